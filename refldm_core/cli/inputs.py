"""Which pictures a command works on and where each result goes: files, folders, patterns; resumed, and shared out."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from ..errors import ImageFileError, OutputError
from ..files import require_writable
from ..images import require_image_format

Item = TypeVar("Item")


class Job(NamedTuple):
    """A picture and where its result goes; `named` where the user wrote its own path."""

    source: Path
    target: Path
    named: bool


class _Found(NamedTuple):
    path: Path
    inside: Path
    """Path below the result folder, with the picture's own ending."""
    named: bool


def find_jobs(inputs: Sequence[str], out: Path, *, overwrite: bool, resume: bool) -> list[Job]:
    """Pictures to work on, this process's share of them; nothing may be lost on the way.

    Args:
        inputs: files, folders (searched with their subfolders, whose names are kept) and patterns such as *.jpg,
            which not every shell expands.
        out: a file for one picture, an existing folder for several.
        overwrite: replace results that exist.
        resume: leave out pictures whose results exist.

    Raises:
        ImageFileError: a folder or pattern without pictures.
        OutputError: no such folder, two results of one name, or a result that would replace a file.
    """
    found = [picture for text in inputs for picture in _pictures(text, out)]
    if not out.is_dir() and (len(found) > 1 or not found[0].named):
        raise OutputError(
            f"{len(found)} picture{'s' * (len(found) != 1)} cannot go into the one file {out}.",
            expected="an existing folder as --output",
            remedy=f"create the folder {out}, or restore the pictures one by one",
        )
    jobs = _jobs(found, out) if out.is_dir() else [Job(found[0].path, out, True)]
    _require_no_loss(jobs, overwrite=overwrite, resume=resume)
    # Shared out first: every process must see the same list, whatever the others have finished by now.
    todo = [job for job in share_of(jobs) if not (resume and job.target.exists())]
    for target in {job.target.parent: job.target for job in todo}.values():
        # Subfolders that are made on the way are as writable as the folder that they are made in.
        require_writable(target if target.parent.exists() or not out.is_dir() else out / target.name)
    return todo


def pictures_of(text: str) -> list[Path]:
    """The pictures that a file, folder or pattern names; errors as `find_jobs`."""
    return [picture.path for picture in _pictures(text, None)]


def pictures_below(folder: Path, out: Path) -> dict[str, Path]:
    """The pictures of a folder and its subfolders, without those of an output folder inside.

    Returns:
        Path below the folder, with "/" -> file; sorted.

    Raises:
        ImageFileError: no such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is no folder.", expected="a folder of pictures", remedy="check the path")
    return {picture.inside.as_posix(): picture.path for picture in _pictures(str(folder), out)}


def share_of(jobs: Sequence[Item]) -> Sequence[Item]:
    """One process's share, where several run: `accelerate launch` and `torchrun` set RANK and WORLD_SIZE."""
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return jobs[rank::processes]


def _pictures(text: str, out: Path | None) -> Iterator[_Found]:
    path = Path(text)
    if path.is_dir():
        # Results of an earlier run may lie in a folder inside.
        results = out.resolve() if out and out.resolve() != path.resolve() else None
        files = [file for file in sorted(path.rglob("*")) if results is None or results not in file.resolve().parents]
        pictures = [file for file in files if _is_picture(file)]
        yield from (_Found(file, file.relative_to(path), False) for file in pictures)
    elif not path.exists() and glob.has_magic(text):
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        pictures = [Path(file) for file in matches if _is_picture(Path(file))]
        yield from (_Found(file, Path(file.name), False) for file in pictures)
    else:
        pictures = [path]
        yield _Found(path, Path(path.name), True)
    if not pictures:
        raise ImageFileError(
            f"{text} holds no pictures.",
            expected="files that end in .png, .jpg, .webp, .tif or another picture format",
            remedy="check the path",
        )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in Image.registered_extensions() and path.is_file()


def _jobs(found: Sequence[_Found], out: Path) -> list[Job]:
    """Results are PNG files; where a.jpg and a.png lie together they become a.jpg.png and a.png.png."""
    stems = Counter(picture.inside.with_suffix("") for picture in found)
    jobs: list[Job] = []
    for path, inside, named in found:
        alone = stems[inside.with_suffix("")] == 1
        jobs.append(Job(path, out / (inside.with_suffix(".png") if alone else f"{inside}.png"), named))
    return jobs


def _require_no_loss(jobs: Sequence[Job], *, overwrite: bool, resume: bool) -> None:
    sources = {job.source.resolve() for job in jobs}
    seen: dict[Path, Path] = {}
    for source, target, _ in jobs:
        require_image_format(target)
        if target in seen:
            raise OutputError(
                f"{seen[target]} and {source} would both become {target}.",
                expected="pictures with different names",
                remedy="rename one, or restore them into different folders",
            )
        seen[target] = source
        if target.resolve() in sources:
            raise OutputError(
                f"{target} is one of the inputs.", expected="a new file", remedy="choose another --output"
            )
        if target.exists() and not (overwrite or resume):
            raise OutputError(
                f"{target} exists already.",
                expected="a new file",
                remedy="choose another --output, or add --overwrite, or --resume to leave out what is done",
            )
