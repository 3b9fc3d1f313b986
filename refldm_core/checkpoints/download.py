"""Fetching the official model files: resumed where it broke off, checked, and put in place whole.

`requests` does the transfer. No maintained package that we found both resumes a file and checks its SHA-256, so those
few lines are here.
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

_CHUNK = 1 << 16  # bytes; what is lost at most when a connection breaks
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that are there so far and the total, None where the server does not say it."""


def _no_progress(done: int, total: int | None) -> None:
    pass


def fetch(file: RemoteFile, folder: Path, on_bytes: OnBytes = _no_progress) -> Path:
    """Download a file into a folder, or find it there already.

    A transfer that breaks off leaves NAME.part, from which the next call goes on. The file takes its name only once
    its SHA-256 is right.

    Args:
        file: what to fetch.
        folder: where to put it; created where it is missing.
        on_bytes: progress.

    Returns:
        The path of the file.

    Raises:
        DownloadError: no connection, an answer that is no file, or another content than the published one.
        OutputError: the folder cannot be written or the disk is full; what came stays for the next call.
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
            part.unlink()  # going on from a wrong file would only give another wrong one
            raise
        put_in_place(part, target)
    except requests.RequestException as error:
        # RequestException is an OSError too, so this clause comes first.
        raise DownloadError(
            f"The download of {file.name} broke off ({_reason(error)}).",
            expected=f"a connection to {file.url}",
            remedy="run the same command again: it goes on where it stopped; or download the file with a browser into "
            f"{folder}",
        ) from error
    except OSError as error:
        raise output_error(target, error) from error
    return target


def unpack(archive: Path, folder: Path, members: Mapping[str, str]) -> list[Path]:
    """Take some files out of a ZIP archive.

    Args:
        archive: to read.
        folder: where to put the files; created where it is missing.
        members: name of each file, wherever in the archive it lies, and its SHA-256.

    Raises:
        DownloadError: no such file in it, or another content.
        OutputError: the folder cannot be written or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as packed:
            inside = {Path(name).name: name for name in packed.namelist()}
            for name, sha256 in members.items():
                # The name is ours and not the archive's, which could lead out of the folder.
                with atomic_write(folder / name) as temporary:
                    with packed.open(inside[name]) as source, temporary.open("wb") as target:
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
    """Hexadecimal digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def has_hash(path: Path, sha256: str) -> bool:
    """Whether there is such a file with that content."""
    return path.is_file() and sha256_of(path) == sha256


def _transfer(file: RemoteFile, part: Path, on_bytes: OnBytes) -> None:
    have = part.stat().st_size if part.exists() else 0
    # identity: a compressed answer's length would say nothing about the file's.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # every byte is there already; the hash decides
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0  # the server sends the whole file
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as out:
            done = have
            on_bytes(done, total)
            for block in answer.iter_content(_CHUNK):
                out.write(block)
                done += len(block)
                on_bytes(done, total)
        if total is not None and done < total:
            raise requests.ConnectionError(f"{done} of {total} bytes arrived")


def _require_hash(file: RemoteFile, path: Path, remedy: str) -> None:
    found = sha256_of(path)
    if found != file.sha256:
        raise DownloadError(
            f"{path} is not the published {file.name}: its SHA-256 is {found}.",
            expected=file.sha256,
            remedy=remedy,
        )


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return type(error).__name__ if not str(error) else str(error).splitlines()[0]
