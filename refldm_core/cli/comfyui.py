"""Link this pack into an existing ComfyUI.

examples:
  refldm comfyui ~/ComfyUI
      Afterwards restart ComfyUI; the nodes are in the category ReF-LDM.
  refldm comfyui ~/ComfyUI --examples
      Also copies the pictures and the video that the workflows ask for into ComfyUI's folder input, so that each
      workflow runs at once with the small models. Files that are there already stay as they are.

A link is made in custom_nodes, so that an update of this checkout is one of the nodes too; remove it like a file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..demo.inputs import write_workflow_inputs
from ..errors import OutputError
from ..files import output_error
from .output import Output

_NAME = "refldm"
"""Of the folder in custom_nodes; ComfyUI's registry installs the pack under it too."""
_PACK = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="ComfyUI's folder, the one with main.py in it")
    parser.add_argument(
        "--examples", action="store_true", help="copy the workflows' example pictures into ComfyUI's folder input"
    )


def run(args: argparse.Namespace, output: Output) -> int:
    linked = link(args.path)
    portable = args.path.expanduser().resolve().parent / "python_embeded" / "python.exe"
    python = f"{portable} -s" if portable.is_file() else "python"
    written, there = copy_examples(args.path) if args.examples else ([], [])
    output.result(
        f"Linked {_PACK} as {linked}. Install its requirements into ComfyUI's own Python, then restart ComfyUI:\n"
        f"  {python} -m pip install -r {_PACK / 'requirements.txt'} facexlib insightface\n"
        "Where other packs have brought OpenCV, onnxruntime or insightface, leave out the last two words. The loader "
        "nodes then name what is missing." + _in_words(written, there),
        {
            "pack": str(_PACK),
            "link": str(linked),
            "examples": [str(path) for path in written],
            "not replaced": [str(path) for path in there],
        },
    )
    return 0


def link(path: Path) -> Path:
    """Make the pack one of a ComfyUI's custom nodes; nothing happens where it is one already.

    Args:
        path: ComfyUI's folder.

    Returns:
        The link: a symbolic one, on Windows a junction, which needs no administrator.

    Raises:
        OutputError: no ComfyUI, no checkout to link to, a name that is taken, or a folder that cannot be written.
    """
    folder = path.expanduser().resolve() / "custom_nodes"
    if not (folder.parent / "main.py").is_file() or not folder.is_dir():
        raise OutputError(
            f"{path} is no ComfyUI.",
            expected="a folder with main.py and custom_nodes in it",
            remedy="pass the folder that ComfyUI was installed into",
        )
    if not (_PACK / "nodes" / "extension.py").is_file():
        raise OutputError(
            f"{_PACK} holds no nodes to link: refldm was installed without them.",
            expected="refldm run from a checkout of the project",
            remedy="clone the project into custom_nodes, or run this command from a clone of it",
        )
    target = folder / _NAME
    if target.exists() and target.samefile(_PACK):
        return target
    if os.path.lexists(target):
        raise OutputError(
            f"{target} exists already and is something else.",
            expected=f"no such name, or a link to {_PACK}",
            remedy="move it away, if it is an older copy of this pack",
        )
    try:
        _make_link(target)
    except OSError as error:
        raise output_error(target, error) from error
    return target


def copy_examples(path: Path) -> tuple[list[Path], list[Path]]:
    """Copy what the workflows ask for into a ComfyUI's folder `input`.

    Args:
        path: ComfyUI's folder.

    Returns:
        The files that were written, and those that were there already and stayed.

    Raises:
        OutputError: the folder or a file cannot be written.
        ImageFileError: a sample photo is missing or damaged.
    """
    folder = path.expanduser().resolve() / "input"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    return write_workflow_inputs(folder, replace=False)


def _in_words(written: Sequence[Path], there: Sequence[Path]) -> str:
    text = f"\nCopied {len(written)} example files into {written[0].parent}." if written else ""
    if there:
        text += f"\nThese files were there already and stay as they are: {', '.join(path.name for path in there)}."
    return text


def _make_link(target: Path) -> None:
    if sys.platform == "win32":
        import _winapi  # noqa: PLC0415  # Windows alone has it

        _winapi.CreateJunction(str(_PACK), str(target))
    else:
        target.symlink_to(_PACK, target_is_directory=True)
