"""Random damage to the bytes of a file."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from random import Random

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**63)
_TEXTS = (
    *(b"\0", b"-1", b"99999999999999999999", b"1e999", b"nan", b"../../x", b"\xff\xfe", b"[" * 50, b"\r\n", b'"', b","),
    *(
        b"null",
        b"true",
        b"{}",
        b"\xed\xa0\x80",
        b"%s%n",
        b"0x7fffffff",
        b": &a [*a]",
        b"!!python/name:os.system",
        b"1_0",
    ),
)
_HEAD, _TAIL = 2048, 1024  # bytes in which most formats keep their headers


def cut(content: bytes, random: Random) -> bytes:
    """Return the file without its end, as a download that broke off leaves it."""
    return content[: _position(content, random)] if random.random() < 0.5 else content[: random.randrange(len(content))]


def mutate(content: bytes, random: Random, other: bytes = b"") -> bytes:
    """Return the file with one to many changes.

    Args:
        content: The file, not empty.
        random: Source of the changes.
        other: Another file, from which parts may be copied.
    """
    data = bytearray(content)
    for _ in range(min(int(random.expovariate(0.8)) + 1, 20)):
        if data:
            random.choice(_CHANGES)(data, random, other)
    return bytes(data)


def with_png_checksums(content: bytes) -> bytes:
    """Return a PNG file with the right checksum of each chunk, so that damage inside chunks is not noticed by them."""
    parts, start = [content[:8]], 8
    while start + 12 <= len(content):
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        if end + 4 > len(content):
            break
        chunk = content[start:end]
        parts += [chunk, zlib.crc32(chunk[4:]).to_bytes(4, "big")]
        start = end + 4
    return b"".join(parts) + content[start:]


def _position(content: bytes | bytearray, random: Random) -> int:
    """Return a position in the file. Positions in the headers are more likely."""
    where = random.random()
    if where < 0.55:
        return random.randrange(min(len(content), _HEAD))
    if where < 0.75:
        return max(0, len(content) - 1 - random.randrange(_TAIL))
    return random.randrange(len(content))


def _flip(data: bytearray, random: Random, other: bytes) -> None:
    data[_position(data, random)] ^= 1 << random.randrange(8)


def _set_byte(data: bytearray, random: Random, other: bytes) -> None:
    data[_position(data, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _set_number(data: bytearray, random: Random, other: bytes) -> None:
    size, order = random.choice((2, 4, 8)), random.choice(("little", "big"))
    number = random.choice(_NUMBERS) % 2 ** (8 * size)
    start = _position(data, random)
    data[start : start + size] = number.to_bytes(size, order)  # type: ignore[arg-type]


def _change_digits(data: bytearray, random: Random, other: bytes) -> None:
    """Replace a decimal number in the text of the file."""
    matches = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(data[:20_000])))
    if matches:
        match = random.choice(matches)
        numbers = (b"0", b"-1", b"1", b"65536", b"99999999999", b"18446744073709551615", b"1e308", b"0.5", b"")
        data[match.start() : match.end()] = random.choice(numbers)


def _insert(data: bytearray, random: Random, other: bytes) -> None:
    start = _position(data, random)
    data[start:start] = random.choice((*_TEXTS, random.randbytes(random.randrange(1, 64))))


def _overwrite(data: bytearray, random: Random, other: bytes) -> None:
    text, start = random.choice(_TEXTS), _position(data, random)
    data[start : start + len(text)] = text


def _delete(data: bytearray, random: Random, other: bytes) -> None:
    start = _position(data, random)
    del data[start : start + random.choice((1, 2, 4, 16, 256))]


def _repeat(data: bytearray, random: Random, other: bytes) -> None:
    start, length = _position(data, random), random.choice((1, 4, 16, 128, 1024))
    data[start:start] = data[start : start + length] * random.choice((1, 2, 16))


def _splice(data: bytearray, random: Random, other: bytes) -> None:
    if other:
        begin, length, start = _position(other, random), random.choice((4, 32, 512)), _position(data, random)
        data[start : start + length] = other[begin : begin + length]


def _cut(data: bytearray, random: Random, other: bytes) -> None:
    if random.random() < 0.3:
        del data[_position(data, random) :]


_CHANGES: tuple[Callable[[bytearray, Random, bytes], None], ...] = (
    *(_flip, _flip, _set_byte, _set_byte, _set_number, _set_number, _change_digits, _change_digits),
    *(_insert, _overwrite, _delete, _repeat, _splice, _cut),
)
