"""Datasets of rendered people and of rendered scenes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..files import atomic_write, make_folder
from ..synthetic.dataset import DatasetSpec, SceneSetSpec, render_missing, render_missing_scenes
from ..synthetic.records import require_record
from .build_output import IMAGES, MAPPING, write_references

ATTRIBUTES = "attributes.jsonl"
REFERENCES = f"{MAPPING}/train_references.csv"


@dataclass(frozen=True)
class RenderedDataset:
    """Paths of the parts of a rendered dataset."""

    folder: Path

    @property
    def images(self) -> Path:
        return self.folder / IMAGES

    @property
    def references(self) -> Path:
        return self.folder / REFERENCES

    @property
    def attributes(self) -> Path:
        return self.folder / ATTRIBUTES


def render_dataset(folder: Path, spec: DatasetSpec, workers: int = 1) -> Iterator[int]:
    """Render people into a folder, or continue an interrupted run.

    It writes `images/`, `attributes.jsonl` with one record for each picture, and a references CSV in the published
    layout. The references of a picture are the person's other pictures. With one picture for each person there is no
    CSV.

    Args:
        folder: folder for the dataset; created where it is missing.
        spec: what to render.
        workers: number of processes.

    Yields:
        After each person, the number of pictures that were rendered.

    Raises:
        SettingsError: the folder holds pictures of another size.
        OutputError: a file cannot be written.
    """
    dataset = RenderedDataset(folder)
    make_folder(dataset.images)
    yield from render_missing(dataset.images, spec, workers)
    if spec.pictures > 1:
        write_references(dataset.references, spec.rows(), degraded=False)
    _write_attributes(dataset, (name for seed in spec.seeds() for name in spec.names(seed)))


def render_scenes(folder: Path, spec: SceneSetSpec, workers: int = 1) -> Iterator[int]:
    """Render scenes (pictures of groups) into a folder, or continue an interrupted run.

    It writes `images/`, and `attributes.jsonl` with one record for each picture: its people, landmarks and boxes.

    Args:
        folder: folder for the dataset; created where it is missing.
        spec: what to render.
        workers: number of processes.

    Yields:
        After each picture, 1.

    Raises:
        SettingsError: the folder holds pictures of another size.
        OutputError: a file cannot be written.
    """
    dataset = RenderedDataset(folder)
    make_folder(dataset.images)
    yield from render_missing_scenes(dataset.images, spec, workers)
    _write_attributes(dataset, spec.names())


def _write_attributes(dataset: RenderedDataset, names: Iterable[str]) -> None:
    with atomic_write(dataset.attributes) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for name in names:
            file.write(json.dumps(require_record(dataset.images / name)) + "\n")
