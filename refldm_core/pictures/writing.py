"""PNG and TIFF files of 16 bits a channel. Pillow writes such files for gray pictures only."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, TiffTags
from PIL import TiffImagePlugin as Tiff

from .metadata import Metadata
from .samples import Samples

# A higher level of zlib takes twice as long, and photos of 16 bits get hardly smaller.
_COMPRESSION_LEVEL = 4
_ROWS = 256  # rows of a PNG file that are compressed at once
_INCHES_PER_METER = 1 / 0.0254

_HEADER_BYTES = 8  # header of a TIFF file, before its tags
# Values of TIFF tags.
_MIN_IS_BLACK, _RGB, _STRAIGHT_ALPHA, _INTERLEAVED, _DEFLATE, _HORIZONTAL = 1, 2, 2, 1, 8, 2


def encode_png(samples: Samples, metadata: Metadata) -> bytes:
    """Return the content of a PNG file (ISO/IEC 15948) with 16 bits a channel and the channels of `samples`."""
    height, width, channels = samples.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))]
    if metadata.profile is not None:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.profile)))
    if metadata.dpi is not None:
        x, y = (round(value * _INCHES_PER_METER) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif.removeprefix(b"Exif\0\0")))
    compressor = zlib.compressobj(_COMPRESSION_LEVEL)
    for start in range(0, height, _ROWS):
        chunks.append((b"IDAT", compressor.compress(_filtered(samples[start : start + _ROWS]))))
    chunks += [(b"IDAT", compressor.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filtered(samples: Samples) -> bytes:
    """Return the rows as PNG stores them: differences to the pixel on the left (filter type 1, Sub)."""
    rows = np.reshape(np.frombuffer(samples.astype(">u2").tobytes(), np.uint8), (len(samples), -1))
    step = 2 * samples.shape[2]
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 1
    filtered[:, 1 : 1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, 1 + step :])
    return filtered.tobytes()


def encode_tiff(samples: Samples, metadata: Metadata) -> bytes:
    """Return the content of a deflated TIFF file with 16 bits a channel and the channels of `samples`."""
    height, width, channels = samples.shape
    differences = samples.astype("<u2")  # horizontal differencing, TIFF's predictor 2
    differences[:, 1:] -= samples[:, :-1]
    strip = zlib.compress(differences.tobytes(), _COMPRESSION_LEVEL)
    tags = _directory(metadata)
    tags[Tiff.IMAGEWIDTH], tags[Tiff.IMAGELENGTH], tags[Tiff.ROWSPERSTRIP] = width, height, height
    tags[Tiff.SAMPLESPERPIXEL], tags[Tiff.BITSPERSAMPLE] = channels, (16,) * channels
    tags[Tiff.PHOTOMETRIC_INTERPRETATION] = _RGB if channels > 2 else _MIN_IS_BLACK
    if channels in (2, 4):
        tags[Tiff.EXTRASAMPLES] = _STRAIGHT_ALPHA
    tags[Tiff.PLANAR_CONFIGURATION], tags[Tiff.COMPRESSION], tags[Tiff.PREDICTOR] = _INTERLEAVED, _DEFLATE, _HORIZONTAL
    for tag, value in ((Tiff.STRIPBYTECOUNTS, len(strip)), (Tiff.STRIPOFFSETS, 0)):
        tags[tag], tags.tagtype[tag] = value, TiffTags.LONG
    header = b"II*\0" + struct.pack("<L", _HEADER_BYTES)
    # tobytes() adds the position where the tags end to the offset of the strip.
    return header + tags.tobytes(_HEADER_BYTES) + strip


def _directory(metadata: Metadata) -> Tiff.ImageFileDirectory_v2:
    tags = Tiff.ImageFileDirectory_v2()  # little endian
    if metadata.exif is not None:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag, value in exif.items():
            tags[tag] = exif.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else value
    if metadata.dpi is not None:
        tags[Tiff.X_RESOLUTION], tags[Tiff.Y_RESOLUTION] = metadata.dpi
        tags[Tiff.RESOLUTION_UNIT] = 2  # inch
    if metadata.profile is not None:
        tags[Tiff.ICCPROFILE] = metadata.profile
    return tags
