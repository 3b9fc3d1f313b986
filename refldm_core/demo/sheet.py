"""The demo's pictures for people: albums with what was chosen, faces with their names, and the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..face.references import ChosenReferences
from ..face.types import Face
from .showing import COLUMNS, Row, to_picture
from .story import Picture

_TILE, _GAP, _MARGIN = 192, 14, 24
_THUMB = 58
_PAPER, _INK, _GRAY = (250, 249, 246), (33, 33, 36), (122, 120, 116)
_KEPT, _DROPPED = (36, 138, 82), (196, 74, 60)
_OWN = COLUMNS.index("own references")


def contact_sheet(rows: Sequence[Row], seed: int) -> Image.Image:
    """A row for each person: own references in small, then a tile and its similarity for each of `COLUMNS`."""
    left = _MARGIN + _THUMB + 2 * _GAP
    top = _MARGIN + 96
    step = _TILE + 48
    size = (left + len(COLUMNS) * (_TILE + _GAP) - _GAP + _MARGIN, top + len(rows) * step + _MARGIN - 8)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), "The same degraded faces, restored with different references", _INK, _font(24))
    note = f"Under each: likeness to the truth (cosine similarity; 1 is the same). Drawn people, seed {seed}."
    pen.text((_MARGIN, _MARGIN + 30), note, _GRAY, _font(15))
    pen.text((_MARGIN + _THUMB // 2, top - 12), "references", _GRAY, _font(13), anchor="ms")
    for j, title in enumerate(COLUMNS):
        x = left + j * (_TILE + _GAP) + _TILE // 2
        pen.text((x, top - 12), title, _KEPT if j == _OWN else _INK, _font(18), anchor="ms")
    for i, row in enumerate(rows):
        y = top + i * step
        for k, crop in enumerate(row.references):
            sheet.paste(_enlarged(to_picture(crop), _THUMB), (_MARGIN, y + k * (_THUMB + 9)))
        pen.text((_MARGIN + _THUMB // 2, y + _TILE + 18), row.name, _INK, _font(17), anchor="mm")
        for j, (tile, similarity) in enumerate(zip(row.tiles, row.similarities, strict=True)):
            x = left + j * (_TILE + _GAP)
            sheet.paste(_enlarged(to_picture(tile), _TILE), (x, y))
            if j == _OWN:
                pen.rectangle((x - 3, y - 3, x + _TILE + 2, y + _TILE + 2), outline=_KEPT, width=3)
            if j < len(COLUMNS) - 1:  # the truth resembles itself
                color = _KEPT if j == _OWN else _INK
                pen.text((x + _TILE // 2, y + _TILE + 18), f"{similarity:.2f}", color, _font(20), anchor="mm")
    return sheet


def album_sheet(albums: Mapping[str, Mapping[str, Picture]], chosen: Mapping[str, ChosenReferences]) -> Image.Image:
    """A row for each person's photos, framed green where they became references, else with the reason."""
    most = max(len(album) for album in albums.values())
    step = _TILE + 44
    sheet = Image.new("RGB", (2 * _MARGIN + most * (_TILE + _GAP) - _GAP, _MARGIN + len(albums) * step), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (name, album) in enumerate(albums.items()):
        for j, (picture, verdict) in enumerate(zip(album.values(), chosen[name].verdicts, strict=True)):
            x, y = _MARGIN + j * (_TILE + _GAP), _MARGIN + i * step
            reason = verdict.reason.partition(" (")[0].partition(":")[0].removesuffix(", which is better")
            color = _KEPT if verdict.kept else _GRAY if reason.startswith("good") else _DROPPED
            sheet.paste(_enlarged(picture, _TILE), (x, y))
            pen.rectangle((x - 3, y - 3, x + _TILE + 2, y + _TILE + 2), outline=color, width=3)
            told = f"{name}: reference" if verdict.kept else reason
            pen.text((x + _TILE // 2, y + _TILE + 16), told, color, _font(14), anchor="mm")
    return sheet


def marked(picture: Picture, faces: Sequence[Face]) -> Image.Image:
    """A picture with the box, the landmarks and the person of each face."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for face in faces:
        left, top, right, bottom = face.box
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=(255, 220, 60), width=2)
        for x, y in np.asarray(face.landmarks.points):
            pen.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=(90, 255, 160))
        name = face.person or "nobody known"
        pen.text(
            ((left + right) / 2, top - 4),
            name,
            (255, 255, 255),
            _font(18),
            anchor="ms",
            stroke_width=2,
            stroke_fill=(0, 0, 0),
        )
    return image


def _enlarged(picture: Picture, side: int) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
