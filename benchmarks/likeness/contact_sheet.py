"""A sheet of pictures in rows, enlarged so that single pixels show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from refldm_core.data.corpus import Picture

_ENLARGED = 2
_GAP = 6
_LINE = 18
"""Pixels of a line of text."""


class Cell(NamedTuple):
    """A picture and the line of text below it."""

    picture: Picture
    caption: str


def contact_sheet(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """Draw a sheet.

    Args:
        headings: of the columns.
        rows: each with one cell for each column; pictures of one size.
    """
    side = rows[0][0].picture.shape[0] * _ENLARGED
    width, height = side + _GAP, side + _LINE + _GAP
    sheet = Image.new("RGB", (len(headings) * width + _GAP, len(rows) * height + _LINE + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, heading in enumerate(headings):
        pen.text((_GAP + column * width, 2), heading, fill="black", font=font)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            x, y = _GAP + column * width, _LINE + row * height
            # Nearest: neither hides noise nor adds smoothness.
            sheet.paste(Image.fromarray(cell.picture).resize((side, side), Image.Resampling.NEAREST), (x, y))
            pen.text((x, y + side + 1), cell.caption, fill="black", font=font)
    return sheet
