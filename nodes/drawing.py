"""Pictures that explain: faces with their numbers, faces beside each other, and photos with what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..refldm_core.face.types import Face
from ..refldm_core.images import to_full_tensor, to_pil

_CHOSEN, _OTHER = (64, 220, 120), (150, 150, 150)
_CELL = 224  # pixels of a face in a plot
_BAR, _TEXT, _GAP = 8, 30, 8
_COLUMNS, _LINES, _LINE = 4, 4, 22  # of a sheet: photos in a row, lines of text, pixels of a line


class PlotCell(NamedTuple):
    """One face of a plot: its crop (3, size, size) in [-1, 1], a line of text, and a bar of 0..1 (None: without)."""

    crop: Tensor
    text: str
    value: float | None = None


def draw_faces(image: Tensor, labels: Sequence[tuple[Face, str, bool]], longest: int | None = None) -> Tensor:
    """A picture with boxes, landmarks and labels.

    Args:
        image: (3, height, width) in [-1, 1].
        labels: faces, what to write at each, and whether it was chosen (green) or not (gray).
        longest: shrink the result to at most so many pixels along its longer side; None keeps the size.

    Returns:
        (3, height, width) in [-1, 1].
    """
    picture = to_pil(image, rounded=True)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 500))
    font = _font(max(14, round(max(picture.size) / 45)))
    for face, text, chosen in sorted(labels, key=lambda label: label[2]):
        color = _CHOSEN if chosen else _OTHER
        draw.rectangle(face.box, outline=color, width=line)
        for x, y in face.landmarks.points.tolist():
            draw.ellipse((x - line, y - line, x + line, y + line), fill=color)
        _write(draw, (face.box[0], face.box[1]), text, font, color, picture.size)
    if longest is not None:
        picture.thumbnail((longest, longest))
    return to_full_tensor(picture)


def draw_rows(rows: Sequence[Sequence[PlotCell]]) -> Tensor:
    """Faces beside each other, each with its bar and text below.

    Args:
        rows: as many cells in each; at least one.

    Returns:
        (3, height, width) in [-1, 1].
    """
    height = _CELL + _BAR + _TEXT + 2 * _GAP
    size = (len(rows[0]) * (_CELL + _GAP) + _GAP, len(rows) * height + _GAP)
    picture = Image.new("RGB", size, (32, 32, 32))
    draw = ImageDraw.Draw(picture)
    font = _font(20)
    for row, cells in enumerate(rows):
        top = _GAP + row * height
        for column, cell in enumerate(cells):
            left = _GAP + column * (_CELL + _GAP)
            small = to_pil(cell.crop, rounded=True).resize((_CELL, _CELL), Image.Resampling.BICUBIC)
            picture.paste(small, (left, top))
            below = top + _CELL + _GAP // 2
            if cell.value is not None:
                draw.rectangle((left, below, left + _CELL - 1, below + _BAR), fill=(70, 70, 70))
                filled = round(_CELL * min(max(cell.value, 0.0), 1.0))
                if filled:
                    draw.rectangle((left, below, left + filled - 1, below + _BAR), fill=_CHOSEN)
            draw.text((left, below + _BAR + 2), cell.text, fill=(255, 255, 255), font=font)
    return to_full_tensor(picture)


class SheetCell(NamedTuple):
    """A photo of a sheet: (3, height, width) in [-1, 1], what to write below, and whether it was kept (green)."""

    photo: Tensor
    text: str
    kept: bool


def draw_sheet(cells: Sequence[SheetCell]) -> Tensor:
    """Photos in rows, each with a frame and a text of up to `_LINES` lines.

    Args:
        cells: at least one.

    Returns:
        (3, height, width) in [-1, 1].
    """
    font = _font(18)
    columns = min(_COLUMNS, len(cells))
    step = (_CELL + _GAP, _CELL + _LINES * _LINE + 2 * _GAP)
    size = (columns * step[0] + _GAP, -(-len(cells) // columns) * step[1] + _GAP)
    sheet = Image.new("RGB", size, (32, 32, 32))
    draw = ImageDraw.Draw(sheet)
    for place, cell in enumerate(cells):
        left, top = _GAP + place % columns * step[0], _GAP + place // columns * step[1]
        photo = to_pil(cell.photo, rounded=True)
        photo.thumbnail((_CELL, _CELL))
        sheet.paste(photo, (left + (_CELL - photo.width) // 2, top + (_CELL - photo.height) // 2))
        color = _CHOSEN if cell.kept else _OTHER
        draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), outline=color, width=4)
        for number, line in enumerate(_wrapped(draw, cell.text, font)):
            draw.text((left, top + _CELL + _GAP // 2 + number * _LINE), line, fill=color, font=font)
    return to_full_tensor(sheet)


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    """Lines of a text that are as wide as a cell; what is too long is cut off."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font=font) > _CELL:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], f"{lines[_LINES - 1]}..."]


def _write(  # noqa: PLR0917
    draw: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    color: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    """Black on the color, above the corner where there is room and always inside the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 8, bottom - top + 6
    x = min(max(0.0, corner[0]), size[0] - width)
    y = corner[1] - height if corner[1] >= height else max(0.0, corner[1])
    draw.rectangle((x, y, x + width, y + height), fill=color)
    draw.text((x + 4 - left, y + 3 - top), text, fill=(0, 0, 0), font=font)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one small font
        return ImageFont.load_default()
