"""Render the photos of `refldm_core/samples`.

  python -m refldm_core.demo.render_samples               everything
  python -m refldm_core.demo.render_samples anna group_1  only these albums and photos

The people were chosen by eye among the seeds 800000 to 800089, and their photos among eight photos of each person. The
choice is balanced in gender, skin and age, and has no closed eyes and no faces in profile. The photos therefore show
how good the renderer can be. `refldm synthesize` shows how good it is on average.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..files import atomic_write
from ..samples import CLIP, FOLDER, INDEX
from ..synthetic import clip, person, scene
from ..synthetic.layout import Place
from .video import FRAMES, RATE, SIDE, degraded_frames
from .video_file import write_video

PEOPLE: dict[str, tuple[int, tuple[int, int, int, int]]] = {
    "Anna": (800049, (908, 903, 905, 906)),
    "Ben": (800027, (202, 203, 205, 206)),
    "Cem": (800058, (303, 304, 305, 308)),
    "Dora": (800022, (405, 402, 403, 408)),
    "Emil": (800003, (501, 505, 506, 507)),
    "Fay": (800067, (602, 603, 605, 607)),
    "Gina": (800070, (701, 703, 704, 708)),
    "Hugo": (800084, (802, 803, 804, 805)),
    "Ines": (800040, (101, 102, 103, 104)),
    "Jan": (800080, (1002, 1003, 1004, 1008)),
    "Kim": (800032, (1101, 1103, 1104, 1107)),
    "Leo": (800052, (1201, 1202, 1205, 1206)),
}
"""Seed of each person, and seeds of the photos in the person's album."""


@dataclass(frozen=True)
class _Frame:
    """Size of a photo in pixels, and the places of the people in it."""

    width: int
    height: int
    places: tuple[Place, ...]


_ALBUM = (
    _Frame(512, 640, (Place(256, 300, 84),)),
    _Frame(640, 512, (Place(350, 240, 72),)),
    _Frame(512, 640, (Place(240, 300, 90),)),
    _Frame(640, 480, (Place(270, 230, 68),)),
)
_TWO_ROWS = _Frame(
    1280,
    720,
    (
        Place(125, 232, 50),
        Place(535, 222, 51),
        Place(930, 230, 50),
        Place(305, 462, 58),
        Place(725, 465, 59),
        Place(1100, 458, 58),
    ),
)
"""Six places in two rows. The back row comes first."""
_GROUPS = {
    "group_1": (15, ("Anna", "Ben", "Cem", "Dora", "Emil", "Fay")),
    "group_2": (10, ("Gina", "Hugo", "Ines", "Jan", "Kim", "Leo")),
}
"""Seed of each group photo, and the people at its places."""
_CLIP_SEED = 1
_QUALITY: dict[str, Any] = {"quality": 92, "method": 6}


@dataclass(frozen=True)
class _Job:
    """A photo to render."""

    name: str
    seed: int
    people: tuple[str, ...]
    frame: _Frame

    @property
    def file(self) -> str:
        return f"{self.name}.webp"

    def render(self) -> dict[str, Any]:
        """Render and write the photo.

        Returns:
            The photo's entry in the index.
        """
        frame = self.frame
        people = [person(PEOPLE[name][0]) for name in self.people]
        rendered = scene(people, self.seed, frame.width, frame.height, layout=frame.places)
        with atomic_write(FOLDER / self.file) as temporary:
            Image.fromarray(rendered.picture).save(temporary, "WEBP", **_QUALITY)
        return {"file": self.file, "people": list(self.people), "landmarks": np.round(rendered.landmarks, 2).tolist()}


def jobs() -> Iterator[_Job]:
    """Yield all photos to render."""
    for name, (_, seeds) in PEOPLE.items():
        for number, (seed, frame) in enumerate(zip(seeds, _ALBUM, strict=True), 1):
            yield _Job(f"{name.lower()}_{number}", seed, (name,), frame)
    for name, (seed, people) in _GROUPS.items():
        yield _Job(name, seed, people, _TWO_ROWS)


def write_index(photos: Sequence[dict[str, Any]]) -> None:
    """Write the index: the people, and the entries of the photos."""
    people = {
        name: {"seed": seed, "gender": person(seed).gender, "age": round(person(seed).age)}
        for name, (seed, _) in PEOPLE.items()
    }
    lines = ",\n".join(f"    {json.dumps(photo)}" for photo in photos)
    text = f'{{\n  "people": {json.dumps(people)},\n  "photos": [\n{lines}\n  ]\n}}\n'
    with atomic_write(INDEX) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_clip() -> None:
    """Write the degraded video of the first person. This needs PyAV."""
    seed, _ = next(iter(PEOPLE.values()))
    truth = clip(person(seed), _CLIP_SEED, FRAMES, SIDE, rate=RATE).frames
    written = write_video(list(degraded_frames(truth, _CLIP_SEED)), CLIP.with_suffix(""), RATE)
    if written != CLIP:
        written.unlink()
        raise SystemExit(f"{CLIP.name} can only be written with PyAV (pip install av).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a person, a photo without its ending, or clip")
    names = {name.lower() for name in parser.parse_args().names}
    earlier: list[dict[str, Any]] = json.loads(INDEX.read_text(encoding="utf-8"))["photos"] if INDEX.exists() else []
    photos = {photo["file"]: photo for photo in earlier}
    for job in jobs():
        if not names or job.name in names or job.name.rpartition("_")[0] in names:
            print(job.file, flush=True)
            photos[job.file] = job.render()
            write_index([photos[other.file] for other in jobs() if other.file in photos])
    if not names or "clip" in names:
        write_clip()


if __name__ == "__main__":
    main()
