"""Pictures that explain: found faces with their numbers, and pairs of faces with their similarity."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..refldm_core.face.types import Face
from ..refldm_core.images import to_full_tensor, to_pil

_CHOSEN, _OTHER = (64, 220, 120), (150, 150, 150)
_PAIR = 224  # pixels of a face in a plot


def draw_faces(image: Tensor, labels: Sequence[tuple[Face, str, bool]], longest: int | None = None) -> Tensor:
    """A picture with boxes, landmarks and labels.

    Args:
        image: (3, height, width) in [-1, 1].
        labels: faces, what to write at each, and whether it was chosen (green) or not (grey).
        longest: shrink the result to at most so many pixels along its longer side; None keeps the size.

    Returns:
        (3, height, width) in [-1, 1].
    """
    picture = to_pil(image, rounded=True)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 500))
    font = _font(max(14, round(max(picture.size) / 45)))
    for face, text, chosen in sorted(labels, key=lambda label: label[2]):
        colour = _CHOSEN if chosen else _OTHER
        draw.rectangle(face.box, outline=colour, width=line)
        for x, y in face.landmarks.points.tolist():
            draw.ellipse((x - line, y - line, x + line, y + line), fill=colour)
        _write(draw, (face.box[0], face.box[1]), text, font, colour, picture.size)
    if longest is not None:
        picture.thumbnail((longest, longest))
    return to_full_tensor(picture)


def draw_pairs(pairs: Sequence[tuple[Tensor, Tensor, str]]) -> Tensor:
    """Rows of two faces with a line of text below each.

    Args:
        pairs: each two crops (3, size, size) in [-1, 1] of any size, and the text.

    Returns:
        (3, height, width) in [-1, 1].
    """
    text_height = 34
    picture = Image.new("RGB", (2 * _PAIR + 24, len(pairs) * (_PAIR + text_height + 16) + 8), (32, 32, 32))
    draw = ImageDraw.Draw(picture)
    font = _font(20)
    for row, (a, b, text) in enumerate(pairs):
        top = 8 + row * (_PAIR + text_height + 16)
        for column, crop in enumerate((a, b)):
            small = to_pil(crop, rounded=True).resize((_PAIR, _PAIR), Image.Resampling.BICUBIC)
            picture.paste(small, (8 + column * (_PAIR + 8), top))
        draw.text((8, top + _PAIR + 4), text, fill=(255, 255, 255), font=font)
    return to_full_tensor(picture)


def _write(  # noqa: PLR0917
    draw: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    """Black on the colour, above the corner where there is room and always inside the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 8, bottom - top + 6
    x = min(max(0.0, corner[0]), size[0] - width)
    y = corner[1] - height if corner[1] >= height else max(0.0, corner[1])
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + 4 - left, y + 3 - top), text, fill=(0, 0, 0), font=font)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
