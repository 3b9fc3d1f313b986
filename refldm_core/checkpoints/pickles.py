"""Check pickled checkpoints before torch unpickles them: what they name, what they allocate, how long they take.

torch's `weights_only` refuses code. It does not refuse `bytearray(10**10)`, a tensor of terabytes that is one number
with stride 0, keys that take hours to hash, or archives whose entries expand a thousand times. So `DryRun` first
follows the pickle's instructions without making any of the objects.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path

from .pickle_dry_run import MAX_BYTES, DryRun
from .pickle_errors import refused_error

_MAX_DIRECTORY_BYTES = 16 << 20  # of the list of an archive's entries
_MAX_END_BYTES = 76 + 22 + 65_535  # of the two records at the end of an archive, and of the longest comment


def check_zip(path: Path) -> None:
    """Check an archive that torch.save wrote.

    Raises:
        UnsafeCheckpointError: The pickle names something that no checkpoint needs.
        CheckpointError: The archive is compressed. Or its tensors are of unusual kinds, or larger than their numbers in
            the file.
        zipfile.BadZipFile, OSError, ValueError, LookupError, TypeError: The archive is damaged.
    """
    directory_bytes = _directory_bytes(path)
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise refused_error(path, f"its list of entries has {directory_bytes:,} bytes")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise refused_error(path, "its entries are compressed, which torch.save never does")
        # torch's reader ignores the case of names.
        sizes = {entry.filename.casefold(): entry.file_size for entry in entries}
        if len(sizes) != len(entries):
            raise refused_error(path, "it has two entries of one name")
        folder = entries[0].filename.partition("/")[0].casefold()
        pickle_entry = next(entry for entry in entries if entry.filename.casefold() == f"{folder}/data.pkl")
        if pickle_entry.file_size > MAX_BYTES:
            raise refused_error(path, f"it has {pickle_entry.file_size:,} bytes besides the numbers of its tensors")
        run = DryRun(path, lambda key: sizes[f"{folder}/data/{key}".casefold()])
        run.follow(io.BytesIO(archive.read(pickle_entry)))


def check_legacy(path: Path) -> None:
    """Check a file in the format that torch.save wrote before it wrote archives. Errors are as for `check_zip`."""
    size = path.stat().st_size
    run = DryRun(path, lambda key: size)
    # A file object would take the memory for every length that the pickle names. A mapped file ends where it ends.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for _ in range(5):  # magic number, protocol, machine, content, order of the numbers
            run.follow(content)
    if sum(run.storages.values()) > size:
        raise refused_error(path, "its tensors have more numbers than the file")


def _directory_bytes(path: Path) -> int:
    """Return the length of the list of entries at the end of an archive. zipfile would read the whole list."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _MAX_END_BYTES))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or end + 22 > len(tail):
        raise zipfile.BadZipFile("the end of the archive is missing")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    # A large archive (ZIP64) has another record of 56 bytes and its locator of 20 bytes before that one.
    zip64 = end - 76
    if zip64 >= 0 and tail[zip64 : zip64 + 4] == b"PK\6\6":
        length = int.from_bytes(tail[zip64 + 40 : zip64 + 48], "little")
    return length
