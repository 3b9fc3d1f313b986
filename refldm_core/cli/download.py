"""Download model files. Interrupted downloads are resumed, files are checked by SHA-256, licenses are shown first.

examples:
  refldm download
      Downloads the official ReF-LDM weights (refldm.ckpt and vqgan.ckpt), for non-commercial research use only.
  refldm download retinaface_resnet50 insightface
      Downloads a face detector, and the recognizer that tells people apart.
  refldm download model --folder ComfyUI/models/refldm --accept-license
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..checkpoints.download import fetch, has_hash, unpack
from ..checkpoints.faces import DOWNLOADABLE
from ..checkpoints.official import LICENSE, OFFICIAL, RemoteFile
from ..errors import SettingsError
from ..face.weights import FaceWeights
from .options import MODEL_FOLDER
from .output import Output

_MODEL = "model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        choices=[[], _MODEL, *DOWNLOADABLE],  # argparse also checks the empty default
        help=f"{_MODEL} (the default), {', '.join(DOWNLOADABLE)}",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=MODEL_FOLDER,
        metavar="DIR",
        help=f"folder of the files (default: {MODEL_FOLDER})",
    )
    parser.add_argument("--accept-license", action="store_true", help="accept the licenses without being asked")


def run(args: argparse.Namespace, output: Output) -> int:
    names: Sequence[str] = args.what or [_MODEL]
    faces = [DOWNLOADABLE[name] for name in names if name != _MODEL]
    licenses = [LICENSE] * (_MODEL in names) + [f"{face.name}: {face.license}; see {face.url}." for face in faces]
    print("\n".join(licenses), file=sys.stderr)  # Also with --quiet, since nobody may miss it.
    if not (args.accept_license or _user_accepts()):
        raise SettingsError(
            "The license was not accepted, so nothing was downloaded.",
            expected='"yes", or --accept-license',
            remedy="run the command again if you accept the authors' terms",
        )
    files: list[str] = []
    if _MODEL in names:
        files += [str(_fetch(file, args.folder, output)) for file in OFFICIAL]
    for face in faces:
        files += [str(path) for path in _fetch_face(face, args.folder, output)]
    output.result("\n".join(files), {"files": files})
    return 0


def _fetch(file: RemoteFile, folder: Path, output: Output) -> Path:
    with output.bar(file.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:

        def on_bytes(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return fetch(file, folder, on_bytes)


def _fetch_face(face: FaceWeights, folder: Path, output: Output) -> list[Path]:
    """Fetch a file, or an archive whose files go into a folder of the archive's name. Return the paths of the files."""
    file, members = RemoteFile(face.name, face.url, face.sha256), dict(face.members)
    if not members:
        return [_fetch(file, folder, output)]
    unpacked = folder / Path(face.name).stem
    if all(has_hash(unpacked / name, sha256) for name, sha256 in members.items()):
        return [unpacked / name for name in members]
    archive = _fetch(file, folder, output)
    paths = unpack(archive, unpacked, members)
    archive.unlink()
    return paths


def _user_accepts() -> bool:
    if not sys.stdin.isatty():
        return False
    print('Type "yes" to accept: ', end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"
