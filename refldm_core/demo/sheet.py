"""Draw the demo's sheets: albums with the chosen references, faces with names, and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..face.references import ChosenReferences
from ..face.types import Face
from ..samples import Picture
from .showing import COLUMNS, Row, to_picture
from .video import VIDEO_COLUMNS, RestoredVideo

_TILE, _GAP, _MARGIN = 240, 12, 24
_THUMB = 74
_CAPTION = 46
_PAPER, _INK, _GRAY = (250, 249, 246), (33, 33, 36), (122, 120, 116)
_GREEN, _RED = (36, 138, 82), (196, 74, 60)
_OWN = COLUMNS.index("own references")


def contact_sheet(rows: Sequence[Row], seed: int) -> Image.Image:
    """Draw a row for each person: small references, then a tile and its similarity for each of `COLUMNS`."""
    left = _MARGIN + _THUMB + 2 * _GAP
    top = _MARGIN + 126
    step = _TILE + _CAPTION
    size = (left + len(COLUMNS) * (_TILE + _GAP) - _GAP + _MARGIN, top + len(rows) * step + _MARGIN - 8)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 6), "The same degraded faces, restored with different references", _INK, _font(34))
    note = f"Below each face: likeness to the truth (cosine similarity; 1 is the same). Rendered people, seed {seed}."
    pen.text((_MARGIN, _MARGIN + 40), note, _GRAY, _font(22))
    pen.text((_MARGIN + _THUMB // 2, top - 14), "references", _GRAY, _font(16), anchor="ms")
    for j, title in enumerate(COLUMNS):
        x = left + j * (_TILE + _GAP) + _TILE // 2
        pen.text((x, top - 14), title, _GREEN if j == _OWN else _INK, _font(25), anchor="ms")
    for i, row in enumerate(rows):
        y = top + i * step
        for k, crop in enumerate(row.references):
            sheet.paste(_resized(to_picture(crop), _THUMB), (_MARGIN, y + k * (_THUMB + 9)))
        pen.text((_MARGIN + _THUMB // 2, y + _TILE + 18), row.name, _INK, _font(24), anchor="mm")
        for j, (tile, similarity) in enumerate(zip(row.tiles, row.similarities, strict=True)):
            x = left + j * (_TILE + _GAP)
            sheet.paste(_resized(to_picture(tile), _TILE), (x, y))
            if j == _OWN:
                pen.rectangle((x - 3, y - 3, x + _TILE + 2, y + _TILE + 2), outline=_GREEN, width=4)
            if j < len(COLUMNS) - 1:  # the last column is the truth itself
                color = _GREEN if j == _OWN else _INK
                pen.text((x + _TILE // 2, y + _TILE + 20), f"{similarity:.2f}", color, _font(26), anchor="mm")
    return sheet


def album_sheet(albums: Mapping[str, Mapping[str, Picture]], chosen: Mapping[str, ChosenReferences]) -> Image.Image:
    """Draw a row for each person's photos. References have a green frame, other photos the reason against them."""
    most = max(len(album) for album in albums.values())
    step = _TILE + _CAPTION
    sheet = Image.new("RGB", (2 * _MARGIN + most * (_TILE + _GAP) - _GAP, _MARGIN + len(albums) * step), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (name, album) in enumerate(albums.items()):
        for j, (picture, verdict) in enumerate(zip(album.values(), chosen[name].verdicts, strict=True)):
            x, y = _MARGIN + j * (_TILE + _GAP), _MARGIN + i * step
            reason = verdict.reason.partition(" (")[0].partition(":")[0].removesuffix(", which is better")
            color = _GREEN if verdict.chosen else _GRAY if reason.startswith("good") else _RED
            photo = Image.fromarray(picture)
            photo.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
            left, top = x + (_TILE - photo.width) // 2, y + (_TILE - photo.height) // 2
            sheet.paste(photo, (left, top))
            pen.rectangle((left - 3, top - 3, left + photo.width + 2, top + photo.height + 2), outline=color, width=4)
            text = f"{name}: reference" if verdict.chosen else reason
            pen.text((x + _TILE // 2, y + _TILE + 20), text, color, _font(19), anchor="mm")
    return sheet


def mark_faces(picture: Picture, faces: Sequence[Face]) -> Image.Image:
    """Return a picture with the box, the landmarks and the person of each face drawn into it."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    outlined: dict[str, Any] = {"anchor": "ms", "stroke_width": 3, "stroke_fill": (0, 0, 0)}
    for face in faces:
        left, top, right, bottom = face.box
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=(255, 220, 60), width=3)
        for x, y in np.asarray(face.landmarks.points):
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(90, 255, 160))
        pen.text(((left + right) / 2, top - 6), face.person or "nobody known", (255, 255, 255), _font(28), **outlined)
    return image


def video_sheet(video: RestoredVideo) -> list[Picture]:
    """Return the frames of each column side by side, with the column's title and mean similarity to the truth."""
    titles = [f"{column}: {value:.2f}" for column, value in zip(VIDEO_COLUMNS, video.similarities, strict=True)]
    titles[-1] = VIDEO_COLUMNS[-1]  # the last column is the truth itself
    return [_side_by_side(pictures, titles) for pictures in video.frames]


def _side_by_side(pictures: Sequence[Picture], titles: Sequence[str]) -> Picture:
    height, width, _ = pictures[0].shape
    sheet = Image.new("RGB", (len(pictures) * (width + _GAP) - _GAP, height + _CAPTION), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x = i * (width + _GAP)
        sheet.paste(Image.fromarray(picture), (x, _CAPTION))
        color = _GREEN if title.startswith("own") else _INK
        pen.text((x + width // 2, _CAPTION // 2), title, color, _font(26), anchor="mm")
    return np.array(sheet)


def _resized(picture: Picture, side: int) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
