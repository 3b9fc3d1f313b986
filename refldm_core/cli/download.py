"""The work of `refldm download`. Its options are in `arguments/download.py`."""

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
from .arguments.download import MODEL
from .output import Output


def run(args: argparse.Namespace, output: Output) -> int:
    names: Sequence[str] = args.what or [MODEL]
    faces = [DOWNLOADABLE[name] for name in names if name != MODEL]
    licenses = [LICENSE] * (MODEL in names) + [f"{face.name}: {face.license}; see {face.url}." for face in faces]
    print("\n".join(licenses), file=sys.stderr)  # Also with --quiet, since nobody may miss it.
    if not (args.accept_license or _user_accepts()):
        raise SettingsError(
            "The license was not accepted, so nothing was downloaded.",
            expected='"yes", or --accept-license',
            remedy="run the command again if you accept the authors' terms",
        )
    files: list[str] = []
    if MODEL in names:
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
