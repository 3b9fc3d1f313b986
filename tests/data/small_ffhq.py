"""A small copy of FFHQ-Ref and FFHQ in their published layouts."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from refldm_core.data.ffhq_ref import Size
from refldm_core.data.splits import Split

SIZES: dict[Split, Size] = {"train": Size(5, 2), "val": Size(2, 1), "test": Size(3, 1)}
PEOPLE: dict[Split, list[list[int]]] = {"train": [[0, 1, 2], [3, 4]], "val": [[10, 11]], "test": [[20, 21, 22]]}
ALONE = {"train": [5, 6], "val": [12], "test": [23]}
LISTED = 14


def name(number: int) -> str:
    return f"{number:05}.png"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


def table(people: list[list[int]]) -> str:
    rows = [(name(t), str([name(r) for r in person if r != t])) for person in people for t in person]
    return "gt_image,ref_image\n" + "".join(f'{target},"{references}"\n' for target, references in rows)


def write_ffhq_ref(dataset: Path, images: Path) -> None:
    """Write the published files, and the pictures in subfolders of ten."""
    for split, people in PEOPLE.items():
        numbers = [number for person in people for number in person] + ALONE[split]
        for number in numbers:
            picture(images / f"{number // 10 * 10:05}" / name(number))
        for path, text in (
            (dataset / "reference_mapping" / f"{split}_references.csv", table(people)),
            (dataset / "id_based_ffhq_split" / f"{split}_image.txt", "".join(f"{name(n)}\n" for n in numbers)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for kind in ("severe_degrad", "moderate_degrad"):
        for number in PEOPLE["test"][0]:
            picture(dataset / "test_images" / kind / name(number))
