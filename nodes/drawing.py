"""Drawing of explanatory pictures: faces with numbers, faces side by side, and photos with captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..refldm_core.face.types import Face
from ..refldm_core.images import to_full_tensor, to_pil

_CHOSEN, _UNCHOSEN = (64, 220, 120), (150, 150, 150)
_CELL = 224  # pixels along a side of a face in a plot
_BAR, _TEXT, _GAP = 8, 30, 8
_COLUMNS, _LINES, _LINE = 4, 4, 22  # of a sheet: photos in a row, lines of text, height of a line in pixels


class PlotCell(NamedTuple):
    """A face in a plot: its crop (3, size, size) in [-1, 1], a line of text, and a bar from 0 to 1 (None: no bar)."""

    crop: Tensor
    text: str
    value: float | None = None


def draw_faces(image: Tensor, labels: Sequence[tuple[Face, str, bool]], longest: int | None = None) -> Tensor:
    """Draw the boxes, landmarks and labels of faces into a picture.

    Args:
        image: (3, height, width) in [-1, 1].
        labels: For each face: the face, its label, and whether it was chosen (green) or not (gray).
        longest: Largest longer side of the result in pixels; None keeps the size.

    Returns:
        (3, height, width) in [-1, 1].
    """
    picture = to_pil(image, rounded=True)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 500))
    font = _font(max(14, round(max(picture.size) / 45)))
    for face, text, chosen in sorted(labels, key=lambda label: label[2]):
        color = _CHOSEN if chosen else _UNCHOSEN
        draw.rectangle(face.box, outline=color, width=line)
        for x, y in face.landmarks.points.tolist():
            draw.ellipse((x - line, y - line, x + line, y + line), fill=color)
        _write(draw, (face.box[0], face.box[1]), text, font, color, picture.size)
    if longest is not None:
        picture.thumbnail((longest, longest))
    return to_full_tensor(picture)


def draw_rows(rows: Sequence[Sequence[PlotCell]]) -> Tensor:
    """Draw faces side by side, each with its bar and its text below.

    Args:
        rows: Rows of cells, at least one; all rows have the same number of cells.

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
    """A photo on a sheet: (3, height, width) in [-1, 1], the text below it, and whether it was chosen (green)."""

    photo: Tensor
    text: str
    chosen: bool


def draw_sheet(cells: Sequence[SheetCell]) -> Tensor:
    """Draw photos in rows, each with a frame and a text of up to `_LINES` lines.

    Args:
        cells: The photos, at least one.

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
        color = _CHOSEN if cell.chosen else _UNCHOSEN
        draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), outline=color, width=4)
        for number, line in enumerate(_wrap(draw, cell.text, font)):
            draw.text((left, top + _CELL + _GAP // 2 + number * _LINE), line, fill=color, font=font)
    return to_full_tensor(sheet)


def _wrap(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    """Break a text into lines as wide as a cell. Text after the last line is cut off."""
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
    """Write black text on the color: above the corner if there is room, and always inside the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 8, bottom - top + 6
    x = min(max(0.0, corner[0]), size[0] - width)
    y = corner[1] - height if corner[1] >= height else max(0.0, corner[1])
    draw.rectangle((x, y, x + width, y + height), fill=color)
    draw.text((x + 4 - left, y + 3 - top), text, fill=(0, 0, 0), font=font)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has only one small font
        return ImageFont.load_default()
