"""ICC profiles (ICC.1:2001-04) of well-known color spaces, built from their published primaries and curves."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
Primaries = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

# XYZ of red, green and blue, adapted to D50 (Bradford).
ADOBE_RGB: Primaries = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3: Primaries = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB: Primaries = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
SRGB_CURVE = np.where(
    np.arange(1024) / 1023 <= 0.04045,
    np.arange(1024) / 1023 / 12.92,
    ((np.arange(1024) / 1023 + 0.055) / 1.055) ** 2.4,
)


def rgb_profile(primaries: Primaries, curve: float | NDArray[np.float64], name: str) -> bytes:
    """Return a display profile with three primaries and one curve, which is a gamma or a table of linear light."""
    tags = {f"{channel}XYZ": _xyz(values) for channel, values in zip("rgb", primaries, strict=True)}
    tags |= {f"{channel}TRC": _curve(curve) for channel in "rgb"}
    return _profile("mntr", "RGB ", "XYZ ", {**tags, "wtpt": _xyz(D50)}, name)


def gray_profile(gamma: float, name: str = "gray") -> bytes:
    return _profile("mntr", "GRAY", "XYZ ", {"kTRC": _curve(gamma), "wtpt": _xyz(D50)}, name)


def adobe_rgb() -> bytes:
    return rgb_profile(ADOBE_RGB, 563 / 256, "Adobe RGB (1998)")


def display_p3() -> bytes:
    return rgb_profile(DISPLAY_P3, SRGB_CURVE, "Display P3")


def srgb() -> bytes:
    return rgb_profile(SRGB, SRGB_CURVE, "sRGB IEC61966-2.1")


def cmyk_profile() -> bytes:
    """Return the profile of a printing press: a table from CMYK to Lab, with two points for each ink (see `_ink`)."""
    corners = [[(i >> 3) & 1, (i >> 2) & 1, (i >> 1) & 1, i & 1] for i in range(16)]
    return _profile("prtr", "CMYK", "Lab ", {"A2B0": _lut8(4, [_ink(c) for c in corners]), "wtpt": _xyz(D50)}, "press")


def scanner_profile() -> bytes:
    """Return the profile of a scanner: a table from RGB to Lab, and none back.

    Equal RGB values are neutral, and colors are weak.
    """
    corners = [[(i >> 2) & 1, (i >> 1) & 1, i & 1] for i in range(8)]
    table = [(100.0 * sum(c) / 3, 60.0 * (c[0] - c[1]), 60.0 * ((c[0] + c[1]) / 2 - c[2])) for c in corners]
    return _profile("scnr", "RGB ", "Lab ", {"A2B0": _lut8(3, table), "wtpt": _xyz(D50)}, "scanner")


def _ink(amounts: Sequence[int]) -> tuple[float, float, float]:
    """Return the Lab color of solid inks printed over each other, roughly as on coated paper."""
    cyan, magenta, yellow, black = amounts
    lightness = 100.0 - 40.0 * cyan - 45.0 * magenta - 8.0 * yellow
    a, b = -35.0 * cyan + 70.0 * magenta - 5.0 * yellow, -45.0 * cyan - 5.0 * magenta + 90.0 * yellow
    remaining = 1.0 - 0.9 * black
    return max(lightness, 12.0) * remaining, a * remaining * 0.8, b * remaining * 0.8


def _profile(kind: str, space: str, connection: str, tags: Mapping[str, bytes], name: str) -> bytes:
    tags = {"desc": _description(name), "cprt": b"text\0\0\0\0public domain\0", **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag.encode() + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x02400000, kind.encode(), space.encode(), connection.encode()
    )
    header += struct.pack(">6H4s4sI", 2001, 1, 1, 0, 0, 0, b"acsp", b"\0" * 4, 0) + b"\0" * 8 + struct.pack(">QI", 0, 0)
    header += _numbers(D50)
    return header.ljust(128, b"\0") + table + body


def _numbers(values: Sequence[float]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(values)


def _curve(curve: float | NDArray[np.float64]) -> bytes:
    if isinstance(curve, float):
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256))
    return b"curv\0\0\0\0" + struct.pack(">I", len(curve)) + np.round(curve * 65535).astype(">u2").tobytes()


def _description(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(8) + bytes(3 + 67)


def _lut8(inputs: int, table: Sequence[tuple[float, float, float]]) -> bytes:
    identity = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([inputs, 3, 2, 0]) + _numbers([1, 0, 0, 0, 1, 0, 0, 0, 1])
    nodes = bytes(
        value for lightness, a, b in table for value in (round(lightness * 2.55), round(a + 128), round(b + 128))
    )
    return head + identity * inputs + nodes + identity * 3


def linear_of_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def as_srgb(values: NDArray[np.float64], primaries: Primaries, gamma: float | None) -> NDArray[np.float64]:
    """Convert values (..., 3) in 0..1 of a color space to sRGB, by the definition. Gamma None is sRGB's curve."""
    linear = linear_of_srgb(values) if gamma is None else values**gamma
    return srgb_of_linear(linear @ np.array(primaries) @ np.linalg.inv(np.array(SRGB)))
