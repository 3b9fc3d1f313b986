"""Download the official model files: resumed, and checked by SHA-256.

The official weights are for non-commercial research use only; the command shows the licence and asks first.

examples:
  refldm download
  refldm download --folder ComfyUI/models/refldm --accept-licence
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..checkpoints.download import LICENCE, OFFICIAL, fetch
from ..errors import SettingsError
from .options import MODEL_FOLDER
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=MODEL_FOLDER, metavar="DIR", help=f"where to put them (default: {MODEL_FOLDER})"
    )
    parser.add_argument("--accept-licence", action="store_true", help="accept the licence without being asked")


def run(args: argparse.Namespace, output: Output) -> int:
    print(LICENCE, file=sys.stderr)  # also with --quiet: nobody may miss it
    if not (args.accept_licence or _agreed()):
        raise SettingsError(
            "The licence was not accepted, so nothing was downloaded.",
            expected='"yes", or --accept-licence',
            remedy="run the command again if you accept the authors' terms",
        )
    fetched: list[str] = []
    for file in OFFICIAL:
        with output.bar(file.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:

            def on_bytes(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            fetched.append(str(fetch(file, args.folder, on_bytes)))
    output.result("\n".join(fetched), {"files": fetched})
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    print('Type "yes" to accept: ', end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"
