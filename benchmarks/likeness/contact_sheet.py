"""A sheet of pictures in rows, enlarged so that single pixels are visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from refldm_core.data.corpus import Picture

_SCALE = 2
_GAP = 6
"""Pixels between pictures."""
_LINE = 18
"""Height of a line of text in pixels."""


class Cell(NamedTuple):
    """A picture and the line of text below it."""

    picture: Picture
    caption: str


def contact_sheet(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Draw a sheet.

    Args:
        headings: headings of the columns.
        rows: rows of one cell for each column. All pictures have the same size.
    """
    side = rows[0][0].picture.shape[0] * _SCALE
    width, height = side + _GAP, side + _LINE + _GAP
    sheet = Image.new("RGB", (len(headings) * width + _GAP, len(rows) * height + _LINE + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, heading in enumerate(headings):
        pen.text((_GAP + column * width, 2), heading, fill="black", font=font)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            x, y = _GAP + column * width, _LINE + row * height
            # Nearest-neighbor interpolation neither hides noise nor smooths.
            sheet.paste(Image.fromarray(cell.picture).resize((side, side), Image.Resampling.NEAREST), (x, y))
            pen.text((x, y + side + 1), cell.caption, fill="black", font=font)
    return sheet
