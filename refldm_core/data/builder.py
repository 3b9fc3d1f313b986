"""Build a dataset from a folder of photos as FFHQ-Ref was built: crops, people, splits, references, degraded test sets.

The method is that of the paper's section on FFHQ-Ref. Every face is embedded (ArcFace). Faces less than 0.4 apart are
linked, and faces that links join are one person. Each person belongs to one split. The references of a picture are the
person's other pictures. The paper's statistics of age, gender and origin are left out; nothing of the kind is computed
here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from ..face.identity import Embeddings
from ..progress import ShowProgress, show_no_progress
from .build_output import IMAGES, degrade_tests, write_lists
from .build_report import BuildReport, Duplicate, SplitSize
from .corpus import DataError
from .degradation import Kind
from .distances import BLOCK, DistanceGraph, distances_to, grow
from .photo_folder import read_photos, require_new_or_earlier
from .photo_reading import PhotoReader
from .photo_store import Outcome, PhotoRecord, PhotoStore
from .splits import SPLITS, Row, Split, SplitSettings, assign_splits, group_members, references_of, rows_of

STATE = "build.sqlite"
"""File in the dataset's folder that holds what the build knows of each photo."""

_EXAMPLES = 4
"""Examples of each split in the report."""

_COMPARED = 200
"""Pictures of a group of near-duplicates that are compared for its smallest distance."""


@dataclass(frozen=True)
class BuildSettings:
    """How a dataset is built from the faces of the photos.

    Attributes:
        splits: how people and references are chosen.
        degraded_seed: seed of the low-quality test pictures.
        test_sets: kinds of low-quality test pictures to write.
        block: number of faces along a side of a block of distances.
    """

    splits: SplitSettings = field(default_factory=SplitSettings)
    degraded_seed: int = 2024
    test_sets: tuple[Kind, ...] = ("moderate", "severe")
    block: int = BLOCK

    @property
    def split_key(self) -> str:
        """The settings that must not change if people are to stay in the splits of an earlier build, as text."""
        splits = self.splits
        return json.dumps([splits.same_person, splits.validation, splits.test, splits.seed])


def build_dataset(
    photos: Mapping[str, Path],
    output: Path,
    reader: PhotoReader,
    settings: BuildSettings | None = None,
    show_progress: ShowProgress = show_no_progress,
) -> BuildReport:
    """Build a dataset, or continue an earlier build that was interrupted or has new photos.

    A later run into the same folder reads only the photos that are new or whose files changed. It does not compute
    known distances again, and it leaves known people in their splits.

    Args:
        photos: file of each photo, by its path below the folder of photos (with "/").
        output: folder for the dataset: a new or empty folder, or one with an earlier build.
        reader: finds, aligns and embeds faces.
        settings: None uses the defaults.
        show_progress: shows the progress.

    Returns:
        The report, which is also written to the folder.

    Raises:
        DataError: no two photos show the same person, so that no picture has a reference.
        OutputError: the folder holds other things or cannot be written to.
        SettingsError: the earlier build read its photos with other settings.
    """
    require_new_or_earlier(output, STATE)
    store = PhotoStore(output / STATE, reader.described)
    try:
        read_photos(photos, output / IMAGES, store, reader, show_progress)
        return _Build(photos, output, store, settings or BuildSettings(), show_progress).finish()
    finally:
        store.close()


@dataclass(frozen=True, eq=False)
class _Faces:
    """The usable faces, sorted by the names of their crops.

    Attributes:
        names: path of each crop.
        embeddings: (n, d) of unit length.
        people: indices of each person's faces.
        near_duplicates: indices of the faces of each group of near-duplicates.
        graph: distances among the faces, in the order in which they were read.
    """

    names: list[str]
    embeddings: Embeddings
    people: list[list[int]]
    near_duplicates: list[list[int]]
    graph: DistanceGraph

    def duplicate(self, members: Sequence[int]) -> Duplicate:
        """Return a group of near-duplicates with the smallest distance between two of its first pictures."""
        own = self.embeddings[list(members[:_COMPARED])]
        least = min(float(np.delete(distances_to(own, face), i).min()) for i, face in enumerate(own))
        return Duplicate([self.names[k] for k in members], max(0.0, least))


@dataclass(frozen=True, eq=False)
class _Build:
    """The steps of a build after every photo has been read."""

    photos: Mapping[str, Path]
    output: Path
    store: PhotoStore
    settings: BuildSettings
    show_progress: ShowProgress

    def finish(self) -> BuildReport:
        records = self.store.records()
        faces = self._compare([r for r in records if r.name in self.photos])
        people = [members for members in faces.people if len(members) > 1]
        if not people:
            raise DataError(
                f"No two of {len(faces.names)} faces in {len(self.photos)} photos are of one person.",
                expected="a folder with at least two photos of some people",
                remedy="add photos, or raise --same-person, below which two faces count as one person's",
            )
        settings = self.settings.splits
        splits = self._splits(faces, people)
        rows: dict[Split, list[Row]] = {split: [] for split in SPLITS}
        for members, split in self.show_progress(zip(people, splits, strict=True), "references", len(people)):
            rows[split] += rows_of(members, faces.embeddings, split, settings)
        split_of: dict[str, Split] = {}
        for members, split in zip(people, splits, strict=True):
            split_of.update((faces.names[k], split) for k in members)
        write_lists(self.output, faces.names, faces.people, split_of, rows)
        targets = [faces.names[row.target] for row in rows["test"]]
        kinds, seed = self.settings.test_sets, self.settings.degraded_seed
        degrade_tests(self.output, targets, kinds, seed, show_progress=self.show_progress)
        report = self._report(records, faces, rows, split_of)
        report.write(self.output / "report.json", self.output / "report.md")
        self.store.keep_splits(self.settings.split_key, split_of)
        return report

    def _compare(self, records: Sequence[PhotoRecord]) -> _Faces:
        limits = (self.settings.splits.near_duplicate, self.settings.splits.same_person)
        crops = {record.name: record.crop for record in records}
        order, numbers, embeddings = self.store.embeddings(list(crops))
        graph = self.store.graph(numbers, limits)
        blocks = -(-(len(numbers) - graph.rows) // self.settings.block)
        for grown in self.show_progress(grow(graph, embeddings, self.settings.block), "blocks of distances", blocks):
            graph = grown
            self.store.keep_graph(numbers, graph)
        names = [crops[name] for name in order]
        by_name = np.array(sorted(range(len(names)), key=lambda i: names[i]), dtype=np.int64)
        return _Faces(
            [names[i] for i in by_name],
            embeddings[by_name],
            group_members(graph.groups(limits[1])[by_name]),
            [members for members in group_members(graph.groups(limits[0])[by_name]) if len(members) > 1],
            graph,
        )

    def _splits(self, faces: _Faces, people: Sequence[Sequence[int]]) -> list[Split]:
        settings = self.settings.splits

        def can_test(i: int) -> bool:
            return any(references_of(k, people[i], faces.embeddings, "test", settings) for k in people[i])

        names_of_people = [[faces.names[k] for k in members] for members in people]
        return assign_splits(names_of_people, can_test, settings, self.store.splits(self.settings.split_key))

    def _report(
        self,
        records: Sequence[PhotoRecord],
        faces: _Faces,
        rows: Mapping[Split, Sequence[Row]],
        split_of: Mapping[str, Split],
    ) -> BuildReport:
        names = faces.names
        present = sorted((record for record in records if record.name in self.photos), key=lambda record: record.name)
        outcomes: dict[str, dict[str, str]] = {outcome: {} for outcome in get_args(Outcome) if outcome != "face"}
        for record in present:
            if record.outcome != "face":
                outcomes[record.outcome][record.name] = record.note
        people = Counter(split_of[names[members[0]]] for members in faces.people if len(members) > 1)
        pictures = Counter(split_of.values())
        return BuildReport(
            settings=asdict(self.settings.splits) | {"degraded_seed": self.settings.degraded_seed},
            photos=len(self.photos),
            faces=len(names),
            people=len(faces.people),
            splits={
                split: SplitSize(people[split], pictures[split], [len(row.references) for row in rows[split]])
                for split in SPLITS
            },
            examples={
                split: [(names[row.target], [names[i] for i in row.references]) for row in _spread_rows(rows[split])]
                for split in SPLITS
            },
            outcomes=outcomes,
            several_faces={record.name: record.faces for record in present if record.faces > 1},
            gone=sorted(record.name for record in records if record.name not in self.photos),
            alone=[names[members[0]] for members in faces.people if len(members) == 1],
            near_duplicates=[faces.duplicate(members) for members in faces.near_duplicates],
            histogram=faces.graph.histogram.tolist(),
        )


def _spread_rows(rows: Sequence[Row]) -> list[Row]:
    """Return a few rows, spread evenly over a split."""
    return list(rows[:: max(1, len(rows) // _EXAMPLES)])[:_EXAMPLES]
