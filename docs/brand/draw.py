"""Draw the icon and the banner for ComfyUI's registry.

`python docs/brand/draw.py` writes icon.png and banner.png beside this file. It draws them from Pillow's shapes, without
any photograph or model.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FOLDER = Path(__file__).parent
ICON_SIDE = 400  # pixels; the registry allows no more
BANNER_SIZE = (1260, 540)  # pixels, 21:9
SMOOTHING = 4  # factor by which shapes are drawn larger; the reduction smooths their edges
BLOCKS = 9  # blocks along each side of a degraded face

BACKGROUND = "#1d2538"
TILE = "#2b3650"
SKIN, SKIN_SHADOW, HAIR, EYE, LIPS, SHIRT = "#eab893", "#d99f78", "#43291c", "#2b2f3a", "#b9605a", "#3f8f86"
ACCENT, TEXT, TEXT_SOFT = "#63d2bd", "#f4f1ea", "#b7c0d4"


def draw_face(side: int, *, turn: float = 0.0, smile: float = 1.0) -> Image.Image:
    """Draw a face on a square tile.

    Args:
        side: Side of the picture, in pixels.
        turn: Shift of the features to the right, as a fraction of the side. The head seems to turn.
        smile: Height of the mouth, relative to that of a friendly smile.

    Returns:
        A (side, side) RGB picture.
    """
    scale = side * SMOOTHING
    picture = Image.new("RGB", (scale, scale), TILE)
    draw = ImageDraw.Draw(picture)

    def box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom) in pixels of a box. The center and size are fractions of the side."""
        return tuple(scale * v for v in (x - width / 2, y - height / 2, x + width / 2, y + height / 2))

    draw.ellipse(box(0.5, 1.08, 0.92, 0.5), fill=SHIRT)
    draw.rounded_rectangle(box(0.5, 0.8, 0.2, 0.26), radius=0.09 * scale, fill=SKIN_SHADOW)
    draw.ellipse(box(0.5, 0.4, 0.66, 0.7), fill=HAIR)
    for ear in (0.235, 0.765):
        draw.ellipse(box(ear + turn / 3, 0.5, 0.09, 0.14), fill=SKIN_SHADOW)
    draw.ellipse(box(0.5, 0.5, 0.54, 0.66), fill=SKIN)
    draw.chord(box(0.5 - turn, 0.31, 0.6, 0.42), 180, 360, fill=HAIR)
    for eye in (0.39, 0.61):
        x = eye + turn
        draw.ellipse(box(x, 0.49, 0.105, 0.066), fill="white")
        draw.ellipse(box(x + turn / 4, 0.49, 0.056, 0.058), fill=EYE)
        draw.arc(box(x, 0.45, 0.15, 0.1), 200, 340, fill=HAIR, width=round(0.02 * scale))
    draw.line([scale * v for v in (0.5 + turn, 0.5, 0.515 + 1.4 * turn, 0.6)], fill=SKIN_SHADOW, width=scale // 45)
    draw.ellipse(box(0.645 + turn, 0.63, 0.026, 0.026), fill=HAIR)  # a mole, which only the reference photos show
    draw.chord(box(0.5 + turn, 0.685, 0.22, 0.1 * smile), 0, 180, fill=LIPS)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def pixelate(picture: Image.Image) -> Image.Image:
    """Return the picture in a few large blocks."""
    return picture.resize((BLOCKS, BLOCKS), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def rounding_mask(picture: Image.Image) -> Image.Image:
    """Return a mask that rounds the corners of a picture."""
    width, height = picture.size
    mask = Image.new("L", (width * SMOOTHING, height * SMOOTHING))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *mask.size), radius=0.12 * mask.height, fill=255)
    return mask.resize(picture.size, Image.Resampling.LANCZOS)


def draw_icon() -> Image.Image:
    """Draw a face whose left half is degraded and whose right half is restored."""
    restored = draw_face(ICON_SIDE)
    half = ICON_SIDE // 2
    restored.paste(pixelate(restored).crop((0, 0, half, ICON_SIDE)), (0, 0))
    ImageDraw.Draw(restored).line((half, 0, half, ICON_SIDE), fill=ACCENT, width=6)
    picture = Image.new("RGBA", (ICON_SIDE, ICON_SIDE))
    picture.paste(restored, mask=rounding_mask(restored))
    return picture


def draw_banner() -> Image.Image:
    """Draw the degraded face, the references below it, the restored face, and the name of the project."""
    width, height = BANNER_SIZE
    picture = Image.new("RGB", BANNER_SIZE, BACKGROUND)
    draw = ImageDraw.Draw(picture)

    def paste(tile: Image.Image, x: int, y: int) -> None:
        picture.paste(tile, (x, y), rounding_mask(tile))

    def draw_arrow(x: int, y: int) -> None:
        draw.line((x, y, x + 44, y), fill=ACCENT, width=8)
        draw.polygon([(x + 40, y - 16), (x + 68, y), (x + 40, y + 16)], fill=ACCENT)

    large, small = 230, 110
    paste(pixelate(draw_face(large)), 70, 70)
    for i, (turn, smile) in enumerate([(-0.06, 0.5), (0.0, 1.6), (0.07, 0.9)]):
        paste(draw_face(small, turn=turn, smile=smile), 70 + i * (small + 10), 340)
    draw_arrow(330, 185)
    paste(draw_face(large), 430, 70)
    draw.text((70, 462), "three good photos of the same person", fill=TEXT_SOFT, font=ImageFont.load_default(22))
    draw.text((720, 110), "ReF-LDM", fill=TEXT, font=ImageFont.load_default(104))
    slogan = "restores a face to that\nperson's own likeness"
    draw.multiline_text((724, 250), slogan, fill=ACCENT, font=ImageFont.load_default(44), spacing=12)
    draw.text((724, 396), "nodes for ComfyUI", fill=TEXT_SOFT, font=ImageFont.load_default(30))
    assert picture.size == (width, height)
    return picture


if __name__ == "__main__":
    draw_icon().save(FOLDER / "icon.png", optimize=True)
    draw_banner().save(FOLDER / "banner.png", optimize=True)
