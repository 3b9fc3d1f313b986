"""Pickled checkpoints are checked before torch unpickles them: what they name, what they allocate, how long they take.

torch's `weights_only` refuses code. It does not refuse `bytearray(10**10)`, a tensor of terabytes that is one number
with stride 0, keys that take hours to hash, or archives whose entries expand a thousand times. So the instructions are
followed here first, without making any of the objects.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from .pickle_dry_run import MOST_BYTES, DryRun
from .pickle_errors import refused_error

_MOST_DIRECTORY = 16 << 20  # bytes of the list of an archive's entries
_ARCHIVE_END = 76 + 22 + 65_535  # bytes: two records and the longest comment


def check_zip(path: Path) -> None:
    """Check an archive of torch.save.

    Raises:
        UnsafeCheckpointError: it names something that is no part of a checkpoint.
        CheckpointError: it is compressed, or has tensors of unusual kinds or larger than their numbers in the file.
        zipfile.BadZipFile, OSError, ValueError, LookupError, TypeError: it is damaged.
    """
    directory = _directory_bytes(path)
    if directory > _MOST_DIRECTORY:
        raise refused_error(path, f"its list of entries has {directory:,} bytes")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise refused_error(path, "its entries are compressed, which torch.save never does")
        # torch's reader finds names whatever their capitals.
        sizes = {entry.filename.casefold(): entry.file_size for entry in entries}
        if len(sizes) != len(entries):
            raise refused_error(path, "it has two entries of one name")
        folder = entries[0].filename.partition("/")[0].casefold()
        pickled = next(entry for entry in entries if entry.filename.casefold() == f"{folder}/data.pkl")
        if pickled.file_size > MOST_BYTES:
            raise refused_error(path, f"it has {pickled.file_size:,} bytes besides the numbers of its tensors")
        run = DryRun(path, lambda key: sizes[f"{folder}/data/{key}".casefold()])
        run.follow(io.BytesIO(archive.read(pickled)))


def check_legacy(path: Path) -> None:
    """Check a file that torch.save wrote before it wrote archives; errors as `check_zip`."""
    size = path.stat().st_size
    run = DryRun(path, lambda key: size)
    with path.open("rb") as file:
        for _ in range(5):  # magic number, protocol, machine, content, order of the numbers
            run.follow(file)
    if sum(run.storages.values()) > size:
        raise refused_error(path, "its tensors have more numbers than the file")


def _directory_bytes(path: Path) -> int:
    """Length of the list of entries at the end of an archive, which zipfile reads as a whole."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _ARCHIVE_END))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or end + 22 > len(tail):
        raise zipfile.BadZipFile("the end of the archive is missing")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    large = end - 76  # where the record of a large archive would be, before its locator of 20 bytes
    if large >= 0 and tail[large : large + 4] == b"PK\6\6":
        length = int.from_bytes(tail[large + 40 : large + 48], "little")
    return length
