"""Read a folder of photos. Photos that an earlier build has read are not read again."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain, count
from pathlib import Path, PurePosixPath

from ..errors import ImageFileError, OutputError
from ..files import folded, make_folder
from ..images import load_image, save_image, to_pil
from ..paths import path_inside
from ..progress import ShowProgress, show_no_progress
from .photo_reading import PhotoReader, pixel_hash
from .photo_store import FileState, PhotoRecord, PhotoStore

_NOT_PORTABLE = re.compile(r"[\\:\x00-\x1f\x7f]")


def read_photos(
    photos: Mapping[str, Path],
    images: Path,
    store: PhotoStore,
    reader: PhotoReader,
    show_progress: ShowProgress = show_no_progress,
) -> None:
    """Read the photos that are new or whose files changed. Each result is stored at once.

    Args:
        photos: file of each photo, by its path below the folder of photos (with "/").
        images: folder for the crops.
        store: records of the build.
        reader: finds, aligns and embeds faces.
        show_progress: shows the progress.

    Raises:
        OutputError: a crop or the store cannot be written.
    """
    for _ in range(2):  # where the first pass finds a changed photo, the second reads its former copies
        records = {record.name: record for record in store.records()}
        orphans = [record.name for record in records.values() if _is_orphan(record, records, photos)]
        store.forget(orphans)
        for name in orphans:
            del records[name]
        todo = [name for name in sorted(photos) if not _is_read(records.get(name), photos[name], images)]
        if not todo:
            return
        folder = _FolderReader(images, store, reader, records.values(), photos)
        for name in show_progress(todo, "photos", len(todo)):
            folder.read(name, photos[name], records.get(name))


def _is_read(record: PhotoRecord | None, path: Path, images: Path) -> bool:
    return record is not None and record.state == _state(path) and _has_crop(record, images)


def _has_crop(record: PhotoRecord, images: Path) -> bool:
    """Return whether the crop of a record exists, or none is expected. Somebody may have deleted it."""
    return not record.crop or (images / record.crop).is_file()


def _is_orphan(record: PhotoRecord, records: Mapping[str, PhotoRecord], photos: Mapping[str, Path]) -> bool:
    """Return whether the record is a copy of a photo that is gone or has changed its pixels."""
    if record.outcome != "same pixels":
        return False
    original = records.get(record.note)
    return original is None or original.name not in photos or original.pixels != record.pixels


class _FolderReader:
    """Reads photos, and knows which pixels and which names of crops have occurred.

    Args:
        images: folder for the crops.
        store: records of the build.
        reader: finds, aligns and embeds faces.
        records: records of earlier runs.
        photos: names of the photos in the folder.
    """

    def __init__(
        self,
        images: Path,
        store: PhotoStore,
        reader: PhotoReader,
        records: Collection[PhotoRecord],
        photos: Collection[str],
    ) -> None:
        self._images = images
        self._store = store
        self._reader = reader
        originals = [record for record in records if record.name in photos and record.outcome != "same pixels"]
        self._originals = {record.pixels: record.name for record in originals if record.pixels}
        self._photo_of_crop = {folded(record.crop): record.name for record in records if record.crop}

    def read(self, name: str, path: Path, earlier: PhotoRecord | None) -> None:
        """Read one photo and store its record and its crop."""
        state = _state(path)
        try:
            image = load_image(path)
        except ImageFileError as error:
            # The report may move to another machine, and must not name paths of this one.
            note = error.problem.replace(str(path), "the file")
            self._store.put(PhotoRecord(name, state, "", "unreadable", note))
            return
        pixels = pixel_hash(image)
        if earlier is not None and earlier.pixels == pixels and _has_crop(earlier, self._images):
            self._store.touch(name, state)
            return
        original = self._originals.setdefault(pixels, name)
        if original != name:
            self._store.put(PhotoRecord(name, state, pixels, "same pixels", original))
            return
        reading = self._reader.read(image)
        record = PhotoRecord(name, state, pixels, reading.outcome, reading.note, reading.faces)
        if reading.crop is not None:
            record = replace(record, crop=self._crop_name(name))
            target = path_inside(self._images, record.crop, name)
            make_folder(target.parent)
            save_image(to_pil(reading.crop, rounded=True), target)
        self._store.put(record, reading.embedding)

    def _crop_name(self, name: str) -> str:
        """Return an unused name for a crop: a.png, else a.jpg.png, else a.jpg.2.png.

        Names that differ only in upper and lower case count as equal. Characters that Windows forbids become "_".
        """
        portable = _NOT_PORTABLE.sub("_", name)
        plain = PurePosixPath(portable).with_suffix(".png").as_posix()
        candidates = chain((plain, f"{portable}.png"), (f"{portable}.{number}.png" for number in count(2)))
        crop = next(crop for crop in candidates if self._photo_of_crop.get(folded(crop), name) == name)
        self._photo_of_crop[folded(crop)] = name
        return crop


def require_new_or_earlier(folder: Path, state: str) -> None:
    """Check that a folder is empty or holds an earlier build.

    Args:
        folder: folder for the results; created where it is missing.
        state: name of the file by which an earlier build is recognized.

    Raises:
        OutputError: the folder holds other things, or it cannot be created.
    """
    make_folder(folder)
    if not (folder / state).exists() and any(folder.iterdir()):
        raise OutputError(
            f"{folder} is not empty and holds no earlier build.",
            expected=f"an empty folder, a new one, or one with {state}",
            remedy="choose another --output",
        )


def _state(path: Path) -> FileState:
    try:
        return FileState.of(path)
    except OSError:
        return FileState(-1, -1)  # reading the file raises the error that the report names
