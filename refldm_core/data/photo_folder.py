"""Reading a folder of photos once: what an earlier build has read already is not read again."""

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
    each: ShowProgress = show_no_progress,
) -> None:
    """Read the photos that the store does not know, or that changed; each is kept as soon as it is done.

    Args:
        photos: path below their folder, with "/" -> file.
        images: folder for the crops.
        store: of the build.
        reader: finds, aligns and embeds faces.
        each: shows progress.

    Raises:
        OutputError: a crop or the store cannot be written.
    """
    for _ in range(2):  # a photo that turns out to have changed leaves its copies to be read for themselves
        known = {record.name: record for record in store.records()}
        orphans = [record.name for record in known.values() if _is_orphan(record, known, photos)]
        store.forget(orphans)
        for name in orphans:
            del known[name]
        todo = [name for name in sorted(photos) if not _is_done(known.get(name), photos[name], images)]
        if not todo:
            return
        folder = _Folder(images, store, reader, known.values(), photos)
        for name in each(todo, "photos", len(todo)):
            folder.read(name, photos[name], known.get(name))


def _is_done(record: PhotoRecord | None, path: Path, images: Path) -> bool:
    return record is not None and record.state == _state(path) and _has_crop(record, images)


def _has_crop(record: PhotoRecord, images: Path) -> bool:
    """Whether the crop is there, if there is to be one: somebody may have deleted it."""
    return not record.crop or (images / record.crop).is_file()


def _is_orphan(record: PhotoRecord, known: Mapping[str, PhotoRecord], photos: Mapping[str, Path]) -> bool:
    """Whether this is the copy of a photo that has gone, or that has other pixels now."""
    if record.outcome != "same pixels":
        return False
    original = known.get(record.note)
    return original is None or original.name not in photos or original.pixels != record.pixels


class _Folder:
    """The photos that were read so far.

    Args:
        images: folder for the crops.
        store: keeps the records.
        reader: finds, aligns and embeds faces.
        known: records of earlier runs.
        photos: those that are there.
    """

    def __init__(
        self,
        images: Path,
        store: PhotoStore,
        reader: PhotoReader,
        known: Collection[PhotoRecord],
        photos: Collection[str],
    ) -> None:
        self._images = images
        self._store = store
        self._reader = reader
        there = [record for record in known if record.name in photos and record.outcome != "same pixels"]
        self._originals = {record.pixels: record.name for record in there if record.pixels}
        self._taken = {folded(record.crop): record.name for record in known if record.crop}

    def read(self, name: str, path: Path, earlier: PhotoRecord | None) -> None:
        state = _state(path)
        try:
            image = load_image(path)
        except ImageFileError as error:
            # Named as everywhere in the report, which may move to another machine.
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
        """A name for a crop that no other has, also where capitals do not count: a.png, a.jpg.png, a.jpg.2.png.

        Characters that Windows cannot have in a name become "_".
        """
        portable = _NOT_PORTABLE.sub("_", name)
        plain = PurePosixPath(portable).with_suffix(".png").as_posix()
        candidates = chain((plain, f"{portable}.png"), (f"{portable}.{number}.png" for number in count(2)))
        crop = next(crop for crop in candidates if self._taken.get(folded(crop), name) == name)
        self._taken[folded(crop)] = name
        return crop


def require_new_or_earlier(folder: Path, state: str) -> None:
    """Check that a folder is empty or was made by an earlier run.

    Args:
        folder: for results; made where there is none.
        state: name of a file that an earlier run left in it.

    Raises:
        OutputError: it holds other things, or cannot be made.
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
        return FileState(-1, -1)  # reading it will say what is wrong
