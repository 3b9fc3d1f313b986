"""Download the official model files: resume a broken transfer, check the content, then give the file its name.

`requests` does the transfer. We found no maintained package that both resumes a file and checks its SHA-256, so this
module does both.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from ..errors import DownloadError
from ..files import atomic_write, output_error, put_in_place
from .official import RemoteFile

_CHUNK = 1 << 16  # bytes; the most that is lost when a connection breaks
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets

OnBytes = Callable[[int, int | None], None]
"""Called with the number of bytes on disk so far and the total. The total is None where the server does not tell it."""


def _no_progress(done: int, total: int | None) -> None:
    pass


def fetch(file: RemoteFile, folder: Path, on_bytes: OnBytes = _no_progress) -> Path:
    """Download a file into a folder, unless the folder holds it already.

    A transfer that breaks off leaves NAME.part, and the next call continues it. The file gets its name only after its
    SHA-256 was checked.

    Args:
        file: The file to download.
        folder: The folder to write to. It is created where it is missing.
        on_bytes: Callback for the progress.

    Returns:
        The path of the file.

    Raises:
        DownloadError: There is no connection, the server's answer is no file, or the content is not the published one.
        OutputError: The folder cannot be written or the disk is full. The downloaded part stays for the next call.
    """
    target = folder / file.name
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists():
            _require_hash(file, target, "Delete it and download it again, or use another folder.")
            return target
        _transfer(file, part, on_bytes)
        try:
            _require_hash(file, part, "It was deleted; run the same command again.")
        except DownloadError:
            part.unlink()  # continuing a wrong file would only give another wrong file
            raise
        put_in_place(part, target)
    except requests.RequestException as error:
        # RequestException is an OSError too, so this clause comes first.
        raise DownloadError(
            f"The download of {file.name} broke off ({_reason(error)}).",
            expected=f"a connection to {file.url}",
            remedy="run the same command again, which continues where it stopped; or download the file with a browser "
            f"into {folder}",
        ) from error
    except OSError as error:
        raise output_error(target, error) from error
    return target


def unpack(archive: Path, folder: Path, members: Mapping[str, str]) -> list[Path]:
    """Extract files from a ZIP archive and check their content.

    Args:
        archive: The archive.
        folder: The folder to write to. It is created where it is missing.
        members: File name -> SHA-256. The file may be in any folder of the archive.

    Returns:
        The paths of the files, in the order of `members`.

    Raises:
        DownloadError: A file is missing in the archive, or has another content.
        OutputError: The folder cannot be written or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as packed:
            entries = {Path(name).name: name for name in packed.namelist()}
            for name, sha256 in members.items():
                # The file is written under the caller's name. The archive's own name could lead out of the folder.
                with atomic_write(folder / name) as temporary:
                    with packed.open(entries[name]) as source, temporary.open("wb") as target:
                        shutil.copyfileobj(source, target)
                    _require_hash(RemoteFile(name, "", sha256), temporary, "Download the archive again.")
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadError(
            f"{archive} is not the published archive ({error}).",
            expected=", ".join(members),
            remedy="delete it and download it again",
        ) from error
    except OSError as error:
        raise output_error(folder, error) from error
    return [folder / name for name in members]


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def has_hash(path: Path, sha256: str) -> bool:
    """Whether the file exists and has this SHA-256."""
    return path.is_file() and sha256_of(path) == sha256


def _transfer(file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    present = part.stat().st_size if part.exists() else 0
    # "identity" asks for an uncompressed answer, whose length is the file's length.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={present}-"} if present else {})}
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # the part has every byte already; the caller checks its hash
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            present = 0  # the server sends the whole file
        length = answer.headers.get("Content-Length")
        total = present + int(length) if length else None
        with part.open("ab" if present else "wb") as out:
            on_bytes(present, total)
            for block in answer.iter_content(_CHUNK):
                out.write(block)
                present += len(block)
                on_bytes(present, total)
        if total is not None and present < total:
            raise requests.ConnectionError(f"{present} of {total} bytes arrived")


def _require_hash(file: RemoteFile, path: Path, remedy: str) -> None:
    sha256 = sha256_of(path)
    if sha256 != file.sha256:
        raise DownloadError(
            f"{path} is not the published {file.name}: its SHA-256 is {sha256}.",
            expected=file.sha256,
            remedy=remedy,
        )


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return type(error).__name__ if not str(error) else str(error).splitlines()[0]
