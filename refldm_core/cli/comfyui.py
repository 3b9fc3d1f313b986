"""The work of `refldm comfyui`. Its options are in `arguments/comfyui.py`."""

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
"""Name of the link in custom_nodes. ComfyUI's registry installs the pack under the same name."""

_PACK = Path(__file__).resolve().parents[2]


def run(args: argparse.Namespace, output: Output) -> int:
    linked = link(args.path)
    portable = args.path.expanduser().resolve().parent / "python_embeded" / "python.exe"
    python = f"{portable} -s" if portable.is_file() else "python"
    written, existing = copy_examples(args.path) if args.examples else ([], [])
    output.result(
        f"Linked {_PACK} as {linked}. Install its requirements into ComfyUI's own Python, then restart ComfyUI:\n"
        f"  {python} -m pip install -r {_PACK / 'requirements.txt'} facexlib insightface\n"
        "If other packs have installed OpenCV, onnxruntime or insightface, leave out the last two words. The loader "
        "nodes then name each package that is missing." + _describe_copies(written, existing),
        {
            "pack": str(_PACK),
            "link": str(linked),
            "examples": [str(path) for path in written],
            "not replaced": [str(path) for path in existing],
        },
    )
    return 0


def link(path: Path) -> Path:
    """Link the pack into the custom nodes of a ComfyUI. An existing link to the pack stays.

    Args:
        path: ComfyUI's folder.

    Returns:
        The path of the link. It is a symbolic link, or on Windows a junction, which needs no administrator.

    Raises:
        OutputError: The folder is not a ComfyUI's or cannot be written, refldm does not run from a checkout, or the
            name is taken.
    """
    folder = path.expanduser().resolve() / "custom_nodes"
    if not (folder.parent / "main.py").is_file() or not folder.is_dir():
        raise OutputError(
            f"{path} is not the folder of a ComfyUI.",
            expected="a folder with main.py and custom_nodes in it",
            remedy="pass the folder that ComfyUI was installed into",
        )
    if not (_PACK / "nodes" / "extension.py").is_file():
        raise OutputError(
            f"{_PACK} holds no nodes: refldm was installed without them.",
            expected="refldm run from a checkout of the project",
            remedy="clone the project into custom_nodes, or run this command from a clone of it",
        )
    target = folder / _NAME
    if target.exists() and target.samefile(_PACK):
        return target
    if os.path.lexists(target):
        raise OutputError(
            f"{target} exists already and is not a link to this pack.",
            expected=f"no such name, or a link to {_PACK}",
            remedy="move it to another folder if it is an older copy of this pack",
        )
    try:
        _make_link(target)
    except OSError as error:
        raise output_error(target, error) from error
    return target


def copy_examples(path: Path) -> tuple[list[Path], list[Path]]:
    """Copy the pictures and the video of the workflows into a ComfyUI's folder `input`.

    Args:
        path: ComfyUI's folder.

    Returns:
        The files that were written, and the files that existed already and were not replaced.

    Raises:
        OutputError: The folder or a file cannot be written.
        ImageFileError: A sample photo is missing or damaged.
    """
    folder = path.expanduser().resolve() / "input"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    return write_workflow_inputs(folder, replace=False)


def _describe_copies(written: Sequence[Path], existing: Sequence[Path]) -> str:
    text = f"\nCopied {len(written)} example files into {written[0].parent}." if written else ""
    if existing:
        text += f"\nThese files existed already and stay as they are: {', '.join(path.name for path in existing)}."
    return text


def _make_link(target: Path) -> None:
    if sys.platform == "win32":
        import _winapi  # noqa: PLC0415  # only Windows has this module

        _winapi.CreateJunction(str(_PACK), str(target))
    else:
        target.symlink_to(_PACK, target_is_directory=True)
