"""The report of a build, for people (Markdown) and programs (JSON). It names everything that was left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files import atomic_write
from ..markdown import as_code, as_text
from .splits import Split

_LISTED = 100
"""Most names of one kind in the Markdown. The JSON has all of them."""

_BAR = 40
"""Characters of the longest bar of the histogram."""

_KINDS = {
    "unreadable": "Not pictures, or damaged",
    "no face": "No face found",
    "too small": "Face too small",
    "several faces": "Left out for showing several faces",
    "same pixels": "Copies, pixel by pixel",
}


@dataclass(frozen=True)
class SplitSize:
    """Size of a split.

    Attributes:
        people: number of people with two pictures or more.
        pictures: number of their pictures.
        references: number of references of each target.
    """

    people: int
    pictures: int
    references: Sequence[int]


@dataclass(frozen=True)
class Duplicate:
    """Pictures that are near-duplicates, directly or through others, and the smallest distance between two of them."""

    pictures: list[str]
    distance: float


@dataclass(frozen=True)
class BuildReport:
    """What a build found.

    A photo is named by its path below the folder of photos, a picture by the path of its crop below the folder of
    crops.

    Attributes:
        settings: value of each setting, by name.
        photos: number of photos in the folder.
        faces: number of pictures (crops) in the dataset.
        people: number of people, including those with one picture.
        splits: size of each split.
        examples: a few targets of each split with their references.
        outcomes: for each reason why photos gave no picture: the photos, each with a note, which may be empty.
        several_faces: number of faces of each photo that shows more than one.
        gone: photos of an earlier build that are no longer in the folder.
        alone: pictures of people who have no other picture.
        near_duplicates: groups of near-duplicates.
        histogram: number of pairs of faces in each of several equal bins of distance from 0 to 2.
    """

    settings: Mapping[str, Any]
    photos: int
    faces: int
    people: int
    splits: Mapping[Split, SplitSize]
    examples: Mapping[Split, Sequence[tuple[str, list[str]]]]
    outcomes: Mapping[str, Mapping[str, str]]
    several_faces: Mapping[str, int]
    gone: Sequence[str]
    alone: Sequence[str]
    near_duplicates: Sequence[Duplicate]
    histogram: Sequence[int]

    def as_json(self) -> dict[str, Any]:
        """Return everything in types that JSON has."""
        return {
            "settings": dict(self.settings),
            "photos": self.photos,
            "faces": self.faces,
            "people": self.people,
            "splits": {split: self._size(split) for split in self.splits},
            "examples": {
                split: [{"gt_image": target, "ref_image": references} for target, references in rows]
                for split, rows in self.examples.items()
            },
            "left_out": {kind: dict(names) for kind, names in self.outcomes.items()},
            "several_faces": dict(self.several_faces),
            "gone": list(self.gone),
            "one_picture": list(self.alone),
            "near_duplicates": [{"pictures": d.pictures, "distance": d.distance} for d in self.near_duplicates],
            "distances": {"bin_width": 2.0 / len(self.histogram), "pairs": list(self.histogram)},
        }

    def as_markdown(self) -> str:
        """Return the report as Markdown. Its links to pictures are relative to the folder that contains images/."""
        return "\n".join(self._lines()) + "\n"

    def write(self, as_json: Path, as_markdown: Path) -> None:
        """Write both files.

        Raises:
            OutputError: a file cannot be written.
        """
        with atomic_write(as_json) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with atomic_write(as_markdown) as temporary:
            temporary.write_text(self.as_markdown(), encoding="utf-8")

    def in_words(self) -> Iterator[str]:
        """Yield lines of text that tell the sizes and what was left out."""
        yield f"{self.faces} faces of {self.people} people in {self.photos} photos."
        for split, size in self.splits.items():
            yield f"  {split}: {len(size.references)} targets, {size.pictures} pictures of {size.people} people"
        for kind, names in self.outcomes.items():
            if names:
                yield f"{_KINDS[kind]}: {_abbreviated(list(names))}"
        if self.alone:
            yield f"People with one picture: {_abbreviated(self.alone)}"

    def _size(self, split: Split) -> dict[str, float]:
        size = self.splits[split]
        counts = size.references or [0]
        return {
            "people": size.people,
            "pictures": size.pictures,
            "targets": len(size.references),
            "least_references": min(counts),
            "mean_references": round(sum(counts) / len(counts), 3),
            "most_references": max(counts),
        }

    def _lines(self) -> Iterator[str]:
        yield "# Dataset"
        yield ""
        yield f"{self.faces} faces of {self.people} people in {self.photos} photos."
        yield ""
        yield "| split | people | pictures | targets | references: least, mean, most |"
        yield "|---|---|---|---|---|"
        for split in self.splits:
            size = self._size(split)
            references = f"{size['least_references']}, {size['mean_references']:.1f}, {size['most_references']}"
            yield f"| {split} | {size['people']} | {size['pictures']} | {size['targets']} | {references} |"
        yield ""
        yield "Settings: " + ", ".join(as_text(f"{name} {value}") for name, value in self.settings.items()) + "."
        yield from self._examples()
        yield from self._histogram()
        for kind, names in self.outcomes.items():
            yield from _section(_KINDS[kind], [_photo_line(name, kind, note) for name, note in names.items()])
        several = [f"{as_code(name)}: {faces} faces" for name, faces in self.several_faces.items()]
        yield from _section("Photos with several faces", several)
        duplicates = [
            ", ".join(as_code(name) for name in d.pictures) + f" ({d.distance:.3f})" for d in self.near_duplicates
        ]
        yield from _section("Near-duplicates, with the least distance between two", duplicates)
        yield from _section("People with one picture", [as_code(name) for name in self.alone])
        yield from _section("Photos that are not there any more", [as_code(name) for name in self.gone])

    def _examples(self) -> Iterator[str]:
        yield ""
        yield "## Examples"
        for split, rows in self.examples.items():
            for target, references in rows:
                pictures = " ".join(f'<img src="images/{quote(name)}" width="96">' for name in (target, *references))
                yield ""
                yield f"{split}, {as_code(target)}, then its references:<br>{pictures}"

    def _histogram(self) -> Iterator[str]:
        """Yield a table with a row for each tenth of distance.

        The bars are logarithmic. On a linear scale, the few pairs of the same person would not be visible.
        """
        step = len(self.histogram) // 20
        counts = [sum(self.histogram[i : i + step]) for i in range(0, len(self.histogram), step)]
        lengths = [math.log1p(count) for count in counts]
        yield ""
        yield "## Distances"
        yield ""
        yield "| distance | pairs | logarithmic |"
        yield "|---|---|---|"
        for i, count in enumerate(counts):
            bar = "#" * round(_BAR * lengths[i] / max(1.0, *lengths))
            yield f"| {i / 10:.1f} to {(i + 1) / 10:.1f} | {count} | {bar} |"


def _photo_line(name: str, kind: str, note: str) -> str:
    if kind == "same pixels":
        return f"{as_code(name)}: as {as_code(note)}"
    return f"{as_code(name)}: {as_text(note)}" if note else as_code(name)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield f"## {title} ({len(lines)})"
    yield ""
    yield from (f"- {line}" for line in lines[:_LISTED])
    if len(lines) > _LISTED:
        yield f"- and {len(lines) - _LISTED} more, which report.json names"


def _abbreviated(names: Sequence[str], count: int = 5) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return f"{len(names)} ({', '.join(names[:count])}{more})"
