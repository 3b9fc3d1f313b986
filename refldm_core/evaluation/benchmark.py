"""Restoring a whole test set, degraded as in the paper, with different numbers of references."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..data.degradation import Kind
from ..data.degraded import degrade_file, picture_seed
from ..errors import ImageFileError, SettingsError
from ..files import atomic_write, folded, make_folder
from ..images import load_image, open_image, save_image, to_pil, to_tensor
from ..paths import path_inside
from ..pipeline import PUBLISHED_SEED, ReferenceEncoding, Restorer, SamplingSettings
from ..synthetic.dataset import numbered_portrait
from .cells import as_cell
from .dataset import Target

FIRST_PERSON = 900_000
"""Seed of the first person; the embedded models were trained on others, far below."""

_SECONDS = "refldm seconds"
"""Key of the text in a restored PNG file: so a picture and its time are there together, or neither is."""


@dataclass(frozen=True)
class Arm:
    """A way of restoring: with up to `count` of the person's references."""

    count: int

    @property
    def label(self) -> str:
        """As the tables name it."""
        if self.count < 2:
            return "ReF-LDM, 1 reference" if self.count else "ReF-LDM, no references"
        return f"ReF-LDM, up to {self.count} references"

    @property
    def folder(self) -> str:
        return f"references_{self.count}"


@dataclass(frozen=True)
class RestoreSettings:
    """How each face is restored: alone, and always from the same noise, as the published script does."""

    sampling: SamplingSettings
    seed: int = PUBLISHED_SEED
    encoding: ReferenceEncoding = "joint"


def write_synthetic_people(folder: Path, people: int, references: int, size: int, *, overwrite: bool = False) -> Path:
    """Render a test set: a portrait of each person, and references. Pictures that are there are kept.

    Args:
        folder: to write to; it is made.
        people: how many.
        references: of each.
        size: of the pictures, in pixels along each side.
        overwrite: render everything again.

    Returns:
        The references CSV, in the published layout.

    Raises:
        SettingsError: nobody, or no references; or the folder holds other people.
        OutputError: the folder cannot be written to.
    """
    if people < 1 or references < 1:
        raise SettingsError(
            f"{people} people with {references} references are no test set.",
            expected="one person or more, with one reference or more",
            remedy="correct --synthetic or --counts",
        )
    everybody = {
        who: [f"person_{who}_{which}.png" for which in range(references + 1)]
        for who in range(FIRST_PERSON, FIRST_PERSON + people)
    }
    rows = [(first, str(photos)) for first, *photos in everybody.values()]
    path = folder / "references.csv"
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("gt_image", "ref_image"), *rows])
    if path.exists() and not overwrite and path.read_bytes() != written.getvalue().encode():
        raise SettingsError(
            f"{folder} holds other people.",
            expected=f"{people} people with {references} references, as in the earlier run",
            remedy="give the same numbers, choose another --output, or add --overwrite",
        )
    make_folder(folder)
    for who, names in everybody.items():
        for which, name in enumerate(names):
            if overwrite or not (folder / name).exists():
                save_image(Image.fromarray(numbered_portrait(who, which, size).picture), folder / name)
    with atomic_write(path) as temporary:
        temporary.write_bytes(written.getvalue().encode())
    return path


def degrade_target(target: Target, folder: Path, kind: Kind, seed: int, *, overwrite: bool = False) -> Path:
    """A target's degraded picture, byte for byte what `refldm degrade` makes of it with the same seed.

    Raises:
        ImageFileError: the target cannot be read.
        OutputError: the result cannot be written.
    """
    path = result_path(target, folder)
    if overwrite or not path.exists():
        degrade_file(target.path, path, path.name, kind, picture_seed(target.name, seed))
    return path


def restore_target(
    restorer: Restorer, lq: Path, references: Sequence[Path], path: Path, settings: RestoreSettings
) -> None:
    """Restore one face into a PNG file of the degraded picture's size; the file says how long it took.

    The time is that of encoding the references and of restoring; reading and writing files do not count.

    Raises:
        ImageFileError: a picture cannot be read.
        OutputError: the result cannot be written.
    """
    size = restorer.spec.crop_size
    image = load_image(lq)
    crop = to_tensor(image, size).unsqueeze(0)
    photos = [to_tensor(load_image(photo), size) for photo in references]
    begin = time.perf_counter()
    kv = restorer.encode_references(torch.stack(photos).to(restorer.device), settings.encoding) if photos else None
    restored = restorer.restore(crop, kv, [settings.seed], settings.sampling)[0].cpu()  # waits for a GPU
    seconds = time.perf_counter() - begin
    result = to_pil(restored)
    if result.size != image.size:
        result = result.resize(image.size, Image.Resampling.BICUBIC)
    said = PngInfo()
    said.add_text(_SECONDS, f"{seconds:.4f}")
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        result.save(temporary, "PNG", pnginfo=said)


def seconds_in(path: Path) -> float | None:
    """How long restoring a picture took; None where its file does not say."""
    try:
        with open_image(path) as opened:
            seconds = float(opened.info.get(_SECONDS, "nan"))
    except ImageFileError:  # `open_image` raises it for a text that is no number too
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0.0 else None


def write_seconds(path: Path, seconds: Mapping[tuple[str, str, str], float]) -> None:
    """Write a CSV file of (degradation, method, image) -> seconds; OutputError where it cannot be written."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("degradation", "method", "image", "seconds"))
        table.writerows((*map(as_cell, key), value) for key, value in seconds.items())


def result_path(target: Target, folder: Path) -> Path:
    """Where a target's result lies: PNG files under the targets' names, a.jpg's as a.jpg.png.

    Raises:
        UnsafePathError: the name, or a link on the way, leads out of the folder.
    """
    png = PurePosixPath(target.name).suffix.lower() == ".png"
    return path_inside(folder, target.name if png else f"{target.name}.png", "The list of targets")


def require_distinct_results(targets: Iterable[Target]) -> None:
    """Check that every target has a result file of its own, also where capitals in names do not count.

    Raises:
        SettingsError: two targets would have one result; they are named.
    """
    seen: dict[str, str] = {}
    for target in targets:
        name = folded(result_path(target, Path()).as_posix())
        if name in seen:
            raise SettingsError(
                f"The results of {seen[name]} and {target.name} would be one file.",
                expected="pictures whose names differ in more than capitals, which Windows and macOS ignore",
                remedy="rename one of them, also in the CSV of the references",
            )
        seen[name] = target.name
