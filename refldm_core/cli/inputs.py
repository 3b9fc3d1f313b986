"""Which pictures a command works on and where each result goes: files, folders, patterns; resumed, and shared out."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..errors import ImageFileError, OutputError
from ..files import folded, in_unicode, require_writable, spellings
from ..images import require_image_format
from ..pictures.formats import is_picture, pictures_in

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


def find_jobs(
    inputs: Sequence[str], out: Path, *, overwrite: bool, resume: bool, references: Sequence[Path] = ()
) -> list[Job]:
    """Pictures to work on, this process's share of them; nothing may be lost on the way.

    Args:
        inputs: files, folders (searched with their subfolders, whose names are kept) and patterns such as *.jpg,
            which not every shell expands.
        out: a file for one picture, an existing folder for several.
        overwrite: replace results that exist.
        resume: leave out pictures whose results exist.
        references: other pictures that the command reads, and must not replace.

    Raises:
        ImageFileError: a folder or pattern without pictures.
        OutputError: no such folder, two results of one name, or a result that would replace a file.
    """
    pictures = [picture for text in inputs for picture in _pictures(text, out)]
    if not out.is_dir() and (len(pictures) > 1 or not pictures[0].named):
        raise OutputError(
            f"{len(pictures)} picture{'s' * (len(pictures) != 1)} cannot go into the one file {out}.",
            expected="an existing folder as --output",
            remedy=f"create the folder {out}, or restore the pictures one by one",
        )
    jobs = _jobs(pictures, out) if out.is_dir() else [Job(pictures[0].path, out, True)]
    _require_no_loss(jobs, references, overwrite=overwrite, resume=resume)
    if out.is_dir():
        _require_one_spelling(jobs)
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
        Path below the folder in Unicode, with "/" -> file; sorted.

    Raises:
        ImageFileError: no such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is no folder.", expected="a folder of pictures", remedy="check the path")
    return {in_unicode(picture.inside.as_posix()): picture.path for picture in _pictures(str(folder), out)}


def share_of(jobs: Sequence[Item]) -> Sequence[Item]:
    """One process's share, where several run: `accelerate launch` and `torchrun` set RANK and WORLD_SIZE."""
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return jobs[rank::processes]


def _pictures(text: str, out: Path | None) -> Iterator[_Found]:
    path = Path(text)
    if path.is_dir():
        # Results of an earlier run may lie in a folder inside, whose name may be typed with other capitals.
        files = pictures_in(path, subfolders=True)
        folders = {path / parent for file in files for parent in file.relative_to(path).parents} - {path}
        results = _same_folder(out, folders) if out is not None and out.is_dir() else None
        pictures = [file for file in files if results not in file.parents]
        yield from (_Found(file, file.relative_to(path), False) for file in pictures)
    elif not path.exists() and glob.has_magic(text):
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        pictures = [Path(file) for file in matches if is_picture(Path(file))]
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


def _same_folder(folder: Path, paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.samefile(folder)), None)


def _jobs(found: Sequence[_Found], out: Path) -> list[Job]:
    """Results are PNG files; where a.jpg and a.png (or A.png) lie together they become a.jpg.png and a.png.png."""
    stems = Counter(_stem(picture.inside) for picture in found)
    jobs: list[Job] = []
    for path, inside, named in found:
        alone = stems[_stem(inside)] == 1
        jobs.append(Job(path, out / (inside.with_suffix(".png") if alone else f"{inside}.png"), named))
    return jobs


def _stem(inside: Path) -> str:
    return folded(inside.with_suffix("").as_posix())


def _real(path: Path) -> str:
    """Where a path leads, as `folded`; unlike Path.resolve, realpath takes loops of links."""
    return folded(os.path.realpath(path))


def _require_no_loss(jobs: Sequence[Job], references: Sequence[Path], *, overwrite: bool, resume: bool) -> None:
    read = {_real(path): "references" for path in references} | {_real(job.source): "inputs" for job in jobs}
    seen: dict[str, Path] = {}
    for source, target, _ in jobs:
        require_image_format(target)
        name = folded(str(target))
        if name in seen:
            raise OutputError(
                f"{seen[name]} and {source} would both become {target}.",
                expected="pictures whose names differ in more than capitals, which Windows and macOS ignore",
                remedy="rename one, or write them into different folders",
            )
        seen[name] = source
        if _real(target) in read:
            raise OutputError(
                f"{target} is one of the {read[_real(target)]}.",
                expected="a new file",
                remedy="choose another --output",
            )
        if target.exists() and not (overwrite or resume):
            raise OutputError(
                f"{target} exists already.",
                expected="a new file",
                remedy="choose another --output, or add --overwrite, or --resume to leave out what is done",
            )


def _require_one_spelling(jobs: Sequence[Job]) -> None:
    """Refuse results whose names differ from an existing file's in capitals only: Windows and macOS replace that."""
    targets: dict[Path, list[Path]] = defaultdict(list)
    for job in jobs:
        targets[job.target.parent].append(job.target)
    for folder, results in targets.items():
        names = spellings(folder)
        for target in results:
            there = names.get(folded(target.name), [])
            if there and _composed(target.name) not in map(_composed, there):
                raise OutputError(
                    f"{folder / there[0]} exists already, and {target} differs from it in capitals only.",
                    expected="names that differ in more than capitals, which Windows and macOS ignore",
                    remedy="rename the picture, or choose another --output",
                )


def _composed(name: str) -> str:
    """A name with composed accents: some file systems of macOS store decomposed ones, whatever was asked for."""
    return unicodedata.normalize("NFC", name)
