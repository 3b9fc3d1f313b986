"""The pictures that a command works on, and the files of their results.

Inputs are files, folders and patterns. Finished work is skipped, and several processes share the rest.
"""

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
from ..video.endings import has_video_ending, is_video, result_ending, video_format

Item = TypeVar("Item")


class Job(NamedTuple):
    """A picture or video to work on.

    Attributes:
        source: File of the picture or video.
        target: File of the result.
        named: True where the user named this file, False where a folder or pattern contains it.
    """

    source: Path
    target: Path
    named: bool

    @property
    def is_video(self) -> bool:
        """Whether the name of the source has the ending of a video."""
        return has_video_ending(self.source)


class _Picture(NamedTuple):
    path: Path
    inside: Path
    """Path below the folder of the results, with the ending of the picture."""
    named: bool


def find_jobs(
    inputs: Sequence[str],
    out: Path,
    *,
    overwrite: bool,
    resume: bool,
    references: Sequence[Path] = (),
    videos: bool = False,
) -> list[Job]:
    """Return this process's share of the pictures to work on, after checks that no file can be lost.

    Args:
        inputs: Files, folders, and patterns such as *.jpg, which not every shell expands. Folders are searched with
            their subfolders, and the results keep the names of the subfolders.
        out: File for the result of one picture, or an existing folder for the results of several.
        overwrite: Replace results that exist.
        resume: Skip pictures whose results exist.
        references: Further pictures that the command reads and must not replace.
        videos: Whether patterns find videos too. Folders never do.

    Raises:
        ImageFileError: A folder or pattern has no pictures.
        OutputError: The folder does not exist, two results have one name, or a result would replace a file.
    """
    pictures = [picture for text in inputs for picture in _pictures(text, out, videos=videos)]
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
    # Share the jobs before skipping finished ones: all processes must share one list, whatever is finished by then.
    remaining = [job for job in share_of(jobs) if not (resume and job.target.exists())]
    for target in {job.target.parent: job.target for job in remaining}.values():
        # A subfolder that does not exist yet will be as writable as the output folder.
        require_writable(target if target.parent.exists() or not out.is_dir() else out / target.name)
    return remaining


def pictures_of(text: str) -> list[Path]:
    """Return the pictures that a file, folder or pattern names; errors as `find_jobs`."""
    return [picture.path for picture in _pictures(text, None)]


def pictures_below(folder: Path, out: Path) -> dict[str, Path]:
    """Return the pictures of a folder and its subfolders, without those of an output folder inside.

    Returns:
        Path below the folder, as Unicode text with "/" -> file; sorted.

    Raises:
        ImageFileError: The folder does not exist, or has no pictures.
    """
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is no folder.", expected="a folder of pictures", remedy="check the path")
    return {in_unicode(picture.inside.as_posix()): picture.path for picture in _pictures(str(folder), out)}


def share_of(jobs: Sequence[Item]) -> Sequence[Item]:
    """Return this process's share of the jobs. `accelerate launch` and `torchrun` set RANK and WORLD_SIZE."""
    rank, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return jobs[rank::processes]


def _pictures(text: str, out: Path | None, *, videos: bool = False) -> Iterator[_Picture]:
    path = Path(text)
    if path.is_dir():
        # The output folder may lie inside, with earlier results. Its name may be typed with other capitals.
        files = pictures_in(path, subfolders=True)
        folders = {path / parent for file in files for parent in file.relative_to(path).parents} - {path}
        result_folder = _same_folder(out, folders) if out is not None and out.is_dir() else None
        pictures = [file for file in files if result_folder not in file.parents]
        yield from (_Picture(file, file.relative_to(path), False) for file in pictures)
    elif not path.exists() and glob.has_magic(text):
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        pictures = [Path(file) for file in matches if is_picture(Path(file)) or (videos and is_video(Path(file)))]
        yield from (_Picture(file, Path(file.name), False) for file in pictures)
    else:
        pictures = [path]
        yield _Picture(path, Path(path.name), True)
    if not pictures:
        raise ImageFileError(
            f"{text} holds no pictures.",
            expected="files that end in .png, .jpg, .webp, .tif or another picture format",
            remedy="check the path",
        )


def _same_folder(folder: Path, paths: Iterable[Path]) -> Path | None:
    """Return the path that leads to the folder; None where no path does."""
    return next((path for path in paths if path.samefile(folder)), None)


def _jobs(pictures: Sequence[_Picture], out: Path) -> list[Job]:
    """Return a job for each picture. The results are PNG files, and those of videos have the same ending or .mp4.

    The result of a.jpg is a.png. Where a.jpg and a.png (or A.png) lie together the results are a.jpg.png and a.png.png.
    """
    stems = Counter(_stem(picture.inside) for picture in pictures)
    jobs: list[Job] = []
    for path, inside, named in pictures:
        has_own_stem = stems[_stem(inside)] == 1
        ending = result_ending(path) if has_video_ending(path) else ".png"
        jobs.append(Job(path, out / (inside.with_suffix(ending) if has_own_stem else f"{inside}{ending}"), named))
    return jobs


def _stem(inside: Path) -> str:
    return folded(inside.with_suffix("").as_posix())


def _real(path: Path) -> str:
    """Return the file that a path leads to, as `folded` text. Path.resolve would raise for loops of links."""
    return folded(os.path.realpath(path))


def _require_no_loss(jobs: Sequence[Job], references: Sequence[Path], *, overwrite: bool, resume: bool) -> None:
    """Refuse results that would replace each other, a picture that the command reads, or an existing file."""
    role_of = {_real(path): "references" for path in references} | {_real(job.source): "inputs" for job in jobs}
    source_of: dict[str, Path] = {}
    for source, target, _ in jobs:
        if has_video_ending(source):
            video_format(target)  # raises for another ending
        else:
            require_image_format(target)
        name = folded(str(target))
        if name in source_of:
            raise OutputError(
                f"{source_of[name]} and {source} would both become {target}.",
                expected="pictures whose names differ in more than capitals, which Windows and macOS ignore",
                remedy="rename one, or write them into different folders",
            )
        source_of[name] = source
        if _real(target) in role_of:
            raise OutputError(
                f"{target} is one of the {role_of[_real(target)]}.",
                expected="a new file",
                remedy="choose another --output",
            )
        if target.exists() and not (overwrite or resume):
            raise OutputError(
                f"{target} exists already.",
                expected="a new file",
                remedy="choose another --output, or add --overwrite, or --resume to skip finished pictures",
            )


def _require_one_spelling(jobs: Sequence[Job]) -> None:
    """Refuse results that differ from an existing file in capitals only, since Windows and macOS would replace it."""
    targets: dict[Path, list[Path]] = defaultdict(list)
    for job in jobs:
        targets[job.target.parent].append(job.target)
    for folder, results in targets.items():
        names = spellings(folder)
        for target in results:
            existing = names.get(folded(target.name), [])
            if existing and _composed(target.name) not in map(_composed, existing):
                raise OutputError(
                    f"{folder / existing[0]} exists already, and {target} differs from it in capitals only.",
                    expected="names that differ in more than capitals, which Windows and macOS ignore",
                    remedy="rename the picture, or choose another --output",
                )


def _composed(name: str) -> str:
    """Return a name with composed accents, since some file systems of macOS store every name with decomposed ones."""
    return unicodedata.normalize("NFC", name)
