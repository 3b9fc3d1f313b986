"""Boxes and numbers are drawn at the faces and inside the picture, and plots and sheets show their cells."""

from __future__ import annotations

import pytest
import torch
from PIL import ImageFont

from .pack import load

drawing = load("nodes.drawing")
face_types = load("refldm_core.face.types")


def face(left: float, top: float, size: float) -> object:
    middle = torch.tensor([left + size / 2, top + size / 2])
    offsets = torch.tensor([[-0.2, -0.2], [0.2, -0.2], [0.0, 0.0], [-0.15, 0.2], [0.15, 0.2]])
    landmarks = face_types.Landmarks5((middle + size * offsets).numpy())
    return face_types.Face((left, top, left + size, top + size), 0.9, landmarks)


def test_chosen_faces_are_green_and_others_gray() -> None:
    drawn = drawing.draw_faces(
        -torch.ones(3, 200, 300), [(face(40, 60, 80), "0", True), (face(180, 60, 80), "1", False)]
    )
    assert drawn.shape == (3, 200, 300)
    on_chosen, on_other = drawn[:, 100, 40], drawn[:, 100, 180]
    assert on_chosen[1] > on_chosen[0] + 0.5
    assert (on_other == on_other[0]).all()
    assert on_other[0] > 0
    assert (drawn[:, 150:, :30] == -1).all(), "nothing is drawn away from the faces"


@pytest.mark.parametrize("corner", [(-50, -50), (260, -50), (-50, 170), (260, 170)])
def test_labels_stay_inside_the_picture(corner: tuple[int, int]) -> None:
    plain = drawing.draw_faces(-torch.ones(3, 200, 300), [(face(*corner, 80), "", True)])
    labeled = drawing.draw_faces(-torch.ones(3, 200, 300), [(face(*corner, 80), "12", True)])
    changed_pixels = ((labeled != plain).any(dim=0)).sum()
    assert changed_pixels > 100, "the number is visible"


def test_a_plot_has_a_row_for_each_pair_and_bars_as_long_as_the_values() -> None:
    white, black = torch.ones(3, 64, 64), -torch.ones(3, 128, 128)
    cell = drawing.PlotCell
    plot = drawing.draw_rows(
        [[cell(white, "0.250", 0.25), cell(black, "")], [cell(black, "-0.100", -0.1), cell(white, "")]]
    )
    assert plot.shape[0] == 3
    half = plot.shape[1] // 2
    assert plot[0, 100, 100] == 1
    assert plot[0, 100, 350] == -1
    assert plot[0, half + 100, 100] == -1
    green = (plot[1] > plot[0] + 0.5) & (plot[1] > plot[2] + 0.3)
    assert green[:half].any(dim=0).sum() == 224 // 4, "the bar is as long as a quarter of the first face"
    assert not green[half:].any(), "a negative value has no bar"


def test_a_preview_is_shrunk_to_its_longest_side() -> None:
    assert drawing.draw_faces(torch.zeros(3, 600, 900), [(face(40, 60, 80), "0", True)], 300).shape == (3, 200, 300)


def test_an_old_pillow_draws_with_its_only_font(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default font of Pillow before 10.1 takes no size."""
    is_new_pillow = hasattr(ImageFont, "load_default_imagefont")
    bitmap_font = ImageFont.load_default_imagefont() if is_new_pillow else ImageFont.load_default()
    monkeypatch.setattr(drawing.ImageFont, "load_default", lambda: bitmap_font)
    drawn = drawing.draw_faces(-torch.ones(3, 200, 300), [(face(40, 60, 80), "12", True)])
    assert (drawn[:, 40:60, 40:60] != -1).any()


def test_a_sheet_frames_chosen_photos_in_green_and_writes_the_reasons() -> None:
    wide, high = torch.ones(3, 60, 120), torch.ones(3, 120, 60)
    cells = [drawing.SheetCell(wide, "photo 1: best quality (yaw +3, pitch -2 degrees)", True)]
    cells += [drawing.SheetCell(high, "photo 2: blurred " + "very " * 60, False)] * 4
    sheet = drawing.draw_sheet(cells)
    assert sheet.shape[2] == 4 * (224 + 8) + 8, "a row has four photos"
    green = (sheet[1] > sheet[0] + 0.5) & (sheet[1] > sheet[2] + 0.3)
    assert green[8:232, 8:232].any() and not green[:, 240:].any()
    assert green[232 : sheet.shape[1] // 2, 8:232].any(), "the text is drawn"
    assert (sheet[:, 8 + 112, 8 + 112] == 1).all(), "the photo is in the middle"
    dark = sheet[:, sheet.shape[1] // 2 - 8 : sheet.shape[1] // 2].max()
    assert dark < -0.5, "a long text is cut off"
