"""Degrade a test set as in the paper, and restore it with different numbers of references."""

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
"""Seed of the first person. The embedded models were trained on other people, whose seeds are far below."""

_SECONDS = "refldm seconds"
"""Key of the seconds in a restored PNG file. The file holds the picture and its time, so neither exists alone."""


@dataclass(frozen=True)
class Arm:
    """A way of restoring.

    Attributes:
        count: Largest number of the person's references to restore with.
    """

    count: int

    @property
    def label(self) -> str:
        """Name in the tables."""
        if self.count < 2:
            return "ReF-LDM, 1 reference" if self.count else "ReF-LDM, no references"
        return f"ReF-LDM, up to {self.count} references"

    @property
    def folder(self) -> str:
        """Name of the folder of its results."""
        return f"references_{self.count}"


@dataclass(frozen=True)
class RestoreSettings:
    """Settings for restoring. Each face is restored alone and from the same noise, as the published script does."""

    sampling: SamplingSettings
    seed: int = PUBLISHED_SEED
    encoding: ReferenceEncoding = "joint"


def write_synthetic_people(folder: Path, people: int, references: int, size: int, *, overwrite: bool = False) -> Path:
    """Render a test set: one target portrait and some references of each person. Existing pictures are kept.

    Args:
        folder: Folder of the pictures. It is made if it does not exist.
        people: Number of people.
        references: Number of references of each person.
        size: Pixels along each side of a picture.
        overwrite: Whether to render existing pictures again.

    Returns:
        The CSV of the references, in the published layout.

    Raises:
        SettingsError: A number is below 1, or the folder holds other people.
        OutputError: A file cannot be written.
    """
    if people < 1 or references < 1:
        raise SettingsError(
            f"{people} people with {references} references make no test set.",
            expected="at least one person with at least one reference",
            remedy="correct --synthetic or --counts",
        )
    names_of = {
        seed: [f"person_{seed}_{number}.png" for number in range(references + 1)]
        for seed in range(FIRST_PERSON, FIRST_PERSON + people)
    }
    rows = [(target, str(photos)) for target, *photos in names_of.values()]
    path = folder / "references.csv"
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("gt_image", "ref_image"), *rows])
    if path.exists() and not overwrite and path.read_bytes() != table.getvalue().encode():
        raise SettingsError(
            f"{folder} holds other people.",
            expected=f"{people} people with {references} references, as in the earlier run",
            remedy="use the same numbers, choose another --output, or add --overwrite",
        )
    make_folder(folder)
    for seed, names in names_of.items():
        for number, name in enumerate(names):
            if overwrite or not (folder / name).exists():
                save_image(Image.fromarray(numbered_portrait(seed, number, size).picture), folder / name)
    with atomic_write(path) as temporary:
        temporary.write_bytes(table.getvalue().encode())
    return path


def degrade_target(target: Target, folder: Path, kind: Kind, seed: int, *, overwrite: bool = False) -> Path:
    """Degrade a target, unless its degraded picture exists. Return the file.

    The file has the same bytes as that of `refldm degrade` with the same seed.

    Raises:
        ImageFileError: The target cannot be read.
        OutputError: The result cannot be written.
    """
    path = result_path(target, folder)
    if overwrite or not path.exists():
        degrade_file(target.path, path, path.name, kind, picture_seed(target.name, seed))
    return path


def restore_target(
    restorer: Restorer, lq: Path, references: Sequence[Path], path: Path, settings: RestoreSettings
) -> None:
    """Restore one face into a PNG file that has the size of the degraded picture and holds the seconds that it took.

    The time includes encoding the references and restoring. It does not include reading and writing files.

    Args:
        restorer: Restores the face.
        lq: File of the degraded picture, an aligned crop.
        references: Files of the references, aligned crops. Empty for none.
        path: File to write.
        settings: Settings for restoring.

    Raises:
        ImageFileError: A picture cannot be read.
        OutputError: The result cannot be written.
    """
    size = restorer.spec.crop_size
    image = load_image(lq)
    crop = to_tensor(image, size).unsqueeze(0)
    photos = [to_tensor(load_image(photo), size) for photo in references]
    begin = time.perf_counter()
    kv = restorer.encode_references(torch.stack(photos).to(restorer.device), settings.encoding) if photos else None
    restored = restorer.restore(crop, kv, [settings.seed], settings.sampling)[0].cpu()  # waits until the GPU is done
    seconds = time.perf_counter() - begin
    result = to_pil(restored)
    if result.size != image.size:
        result = result.resize(image.size, Image.Resampling.BICUBIC)
    info = PngInfo()
    info.add_text(_SECONDS, f"{seconds:.4f}")
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        result.save(temporary, "PNG", pnginfo=info)


def seconds_in(path: Path) -> float | None:
    """Return the seconds that a restored picture took. None if its file does not exist or does not say."""
    try:
        with open_image(path) as image:
            seconds = float(image.info.get(_SECONDS, "nan"))
    except ImageFileError:  # `open_image` also raises it in place of the ValueError of a text that is no number
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0.0 else None


def write_seconds(path: Path, seconds: Mapping[tuple[str, str, str], float]) -> None:
    """Write (degradation, method, image) -> seconds to a CSV file.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("degradation", "method", "image", "seconds"))
        table.writerows((*map(as_cell, key), value) for key, value in seconds.items())


def result_path(target: Target, folder: Path) -> Path:
    """Return the PNG file of a target's result. It has the target's name; the result of a.jpg is a.jpg.png.

    Raises:
        UnsafePathError: The name, or a link in the path, leads out of the folder.
    """
    png = PurePosixPath(target.name).suffix.lower() == ".png"
    return path_inside(folder, target.name if png else f"{target.name}.png", "The list of targets")


def require_distinct_results(targets: Iterable[Target]) -> None:
    """Check that every target has its own result file, also on file systems that ignore the case of letters.

    Raises:
        SettingsError: Two targets would have the same result file. The message names them.
    """
    target_of: dict[str, str] = {}
    for target in targets:
        name = folded(result_path(target, Path()).as_posix())
        if name in target_of:
            raise SettingsError(
                f"The results of {target_of[name]} and {target.name} would be one file.",
                expected="pictures whose names differ in more than upper and lower case, which Windows and macOS "
                "ignore",
                remedy="rename one of them, also in the CSV of the references",
            )
        target_of[name] = target.name
