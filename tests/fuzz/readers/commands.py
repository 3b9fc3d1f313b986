"""The command line, with odd options and odd files."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
from pathlib import Path
from random import Random

from refldm_core.cli.main import build_parser, main
from refldm_core.errors import ReFLDMError
from refldm_core.images import load_image
from refldm_core.pictures.formats import pictures_in

from ...face.toys import save_arcface
from ..cases import Action, Case, Reader, WrongResultError, require
from ..mutation import cut, mutate
from ..seed_files import MODEL, photo

_NUMBERS = (
    *("0", "1", "2", "-1", "0.5", "nan", "inf", "-inf", "1e400", "1e-320", "99999999999999999999", "-9" * 10, "0x10"),
    *("\uff11", "1_0", "  1", "", " ", "abc", "1e5", "0.1", "1000.5", "9" * 5000),
)
ODD_TEXTS = (
    *(
        "",
        " ",
        "a.png",
        "album",
        "missing",
        "..",
        "*.png",
        "[",
        "x" * 300,
        "a\nb",
        "ü",
        "album/*",
        "a=b",
        "-",
        "--",
        "\udcff",
    ),
    *(
        "embedded",
        "0-3",
        "all",
        "config.yaml",
        "model.safetensors",
        "damaged.png",
        "damaged.safetensors",
        "~",
        "album/a.png",
    ),
)
_SLOW = ("--device", "--judge-device", "--compile", "--help", "-h", "--metrics", "--dtype")


class Refused(ReFLDMError):
    """A command ended with exit code 2 and a message."""


def _odd_options(command: str, random: Random, count: int) -> list[str]:
    """Return random options of a command with odd values."""
    parser = _parser_of(command)
    actions = [action for action in parser._actions if action.option_strings and action.option_strings[0] not in _SLOW]
    words: list[str] = []
    for action in random.sample(actions, min(count, len(actions))):
        if action.dest in ("output", "version"):
            continue
        words.append(action.option_strings[-1])
        if action.nargs == 0:
            continue
        values = (
            list(map(str, action.choices))
            if action.choices
            else list(_NUMBERS if action.type in (int, float) else ODD_TEXTS)
        )
        number = action.nargs if isinstance(action.nargs, int) else 1
        words += [random.choice(values if random.random() < 0.9 else ODD_TEXTS) for _ in range(number)]
    return words


def _parser_of(command: str) -> argparse.ArgumentParser:
    first, _, second = command.partition(" ")
    parser = build_parser(first)
    for word in filter(None, (first, second)):
        subparsers = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = subparsers.choices[word]
    return parser


def run(words: list[str], folder: Path, outputs: tuple[str, ...]) -> str:
    """Run a command in a folder, and check what it must never do.

    Args:
        words: The words after `refldm`.
        folder: Current folder of the command.
        outputs: Names in the folder that the command may write.

    Returns:
        What it printed on standard output, for exit code 0.

    Raises:
        Refused: It ended with exit code 2 and a message.
        WrongResultError: It ended with another exit code, without a message, or changed other files.
    """
    before, earlier = _snapshot(folder, outputs), Path.cwd()
    out, err = io.StringIO(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(earlier)
    require(_snapshot(folder, outputs) == before, f"{words} changed files that are no output")
    require("Traceback" not in err.getvalue(), err.getvalue()[-2000:])
    left = [path.name for name in outputs for path in (folder / name).rglob(".refldm-*")]
    require(not left, f"{words} left temporary files")
    if code == 2:
        message = (err.getvalue() or out.getvalue()).strip()
        require(message, f"{words} ended with exit code 2 and no message")
        raise Refused(message[-1500:], expected="other words", remedy="see the message")
    if code != 0:
        raise WrongResultError(f"{words} ended with exit code {code}: {err.getvalue()[-1000:]}")
    return out.getvalue()


def _snapshot(folder: Path, outputs: tuple[str, ...]) -> dict[str, str]:
    files: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0] not in outputs:
            files[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def _write_album(case: Case, random: Random) -> None:
    """Write pictures, one of them damaged, a model and its damaged copy."""
    folder = case.folder
    (folder / "album").mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "c.webp")):
        photo(i, 48, 40).save(folder / "album" / name)
    photo(5, 32, 32).save(folder / "a.png")
    photo(6, 32, 32).save(folder / "r.png")
    source = random.choice(sorted((case.seeds / "pictures").iterdir()))
    damaged = mutate(source.read_bytes(), random)
    (folder / f"damaged{source.suffix}").write_bytes(damaged)
    if random.random() < 0.5:
        (folder / "album" / f"damaged{source.suffix}").write_bytes(damaged)
    with contextlib.suppress(OSError):
        os.link(case.seeds / MODEL, folder / MODEL)
    if random.random() < 0.3:
        (folder / "damaged.safetensors").write_bytes(_damaged_model(case, random))
    (folder / "config.yaml").write_bytes((case.seeds / "config" / "published.yaml").read_bytes())


def _damaged_model(case: Case, random: Random) -> bytes:
    return (cut if random.random() < 0.3 else mutate)((case.seeds / MODEL).read_bytes(), random)


def _prepare_restore(case: Case) -> Action:
    random = case.random
    _write_album(case, random)
    several = random.random() < 0.5
    inputs = [random.choice(("album", "album/*", "album/a.png")) if several else "a.png"]
    if random.random() < 0.3:
        inputs.append(random.choice(ODD_TEXTS))
    target = "out" if several or len(inputs) > 1 else random.choice(("out.png", "out.jpg", "out.tif", "out.webp"))
    if target == "out":
        (case.folder / "out").mkdir()
    words = ["restore", *inputs, "--output", target, "--steps", "1", "--dtype", "float32", "--json"]
    words += ["--model", str(case.seeds / MODEL)] if random.random() < 0.9 else ["--model", "damaged.safetensors"]
    words += ["--aligned"] if random.random() < 0.7 else ["--detector", "embedded", "--upright", "--skip-empty"]
    words += ["--reference", "r.png"] if random.random() < 0.7 else []
    words += _odd_options("restore", random, random.choice((0, 1, 1, 2)))

    def action() -> None:
        report = json.loads(run(words, case.folder, ("out", target)))
        require(isinstance(report, dict) and not report["failed"], "a failure is reported with exit code 0")
        for restored in report["restored"]:
            image = load_image(case.folder / restored["output"])
            require(min(image.size) >= 8, "a result is too small")

    return action


def _prepare_inspect(case: Case) -> Action:
    random = case.random
    name = random.choice(("model.safetensors", "weights.ckpt"))
    source = case.seeds / MODEL if name == MODEL else random.choice(sorted((case.seeds / "weights").iterdir()))
    (case.folder / name).write_bytes(mutate(source.read_bytes(), random))
    words = ["inspect", name, *_odd_options("inspect", random, random.choice((0, 1)))]
    return lambda: run(words, case.folder, ())


def _prepare_convert(case: Case) -> Action:
    random = case.random
    content = (case.seeds / MODEL).read_bytes()
    (case.folder / "m.safetensors").write_bytes(content if random.random() < 0.6 else _damaged_model(case, random))
    words = [
        "convert",
        "m.safetensors",
        "--output",
        "out.safetensors",
        *_odd_options("convert", random, random.choice((1, 2))),
    ]

    def action() -> None:
        run(words, case.folder, ("out.safetensors",))
        run(["inspect", "out.safetensors", "--json"], case.folder, ())

    return action


def _prepare_build(case: Case) -> Action:
    random = case.random
    photos = case.folder / "photos"
    photos.mkdir()
    for i in range(random.choice((0, 1, 4))):
        photo(i % 3, 40, 40).save(photos / f"{i}.png")
    source = random.choice(sorted((case.seeds / "pictures").iterdir()))
    (photos / source.name).write_bytes(mutate(source.read_bytes(), random))
    words = [
        "dataset",
        "build",
        "photos",
        "--output",
        "out",
        "--aligned",
        "--recognizer",
        "embedded",
        "--crop-size",
        "32",
    ]
    words += _odd_options("dataset build", random, random.choice((0, 1, 2)))

    def action() -> None:
        run(words, case.folder, ("out",))
        for path in pictures_in(case.folder / "out", subfolders=True):
            load_image(path)
        run(words, case.folder, ("out",))

    return action


def _prepare_evaluate(case: Case) -> Action:
    random = case.random
    for name in ("truth", "ours"):
        (case.folder / name).mkdir()
        for i in range(2):
            photo(i, 32, 32).save(case.folder / name / f"{i}.png")
    source = random.choice(sorted((case.seeds / "pictures").iterdir()))
    target = case.folder / random.choice(("truth", "ours")) / f"1{source.suffix}"
    if random.random() < 0.5:
        target.write_bytes(mutate(source.read_bytes(), random))
    save_arcface(case.folder / "first.onnx", 0)
    for table in (case.seeds / "tables").iterdir():
        content = table.read_bytes().replace(b"a0", b"0").replace(b"b0", b"1")
        (case.folder / table.name).write_bytes(mutate(content, random) if random.random() < 0.5 else content)
    words = [
        "evaluate",
        "--predictions",
        "ours",
        "--ground-truth",
        "truth",
        "--output",
        "out",
        "--metrics",
        "psnr",
        "ids",
    ]
    words += ["--recognizer", "first.onnx"]
    words += random.choice(
        ([], ["--people", "people.csv"], ["--references", "references.csv"], ["--seconds", "seconds.csv"])
    )
    words += _odd_options("evaluate", random, random.choice((0, 1)))

    def action() -> None:
        run(words, case.folder, ("out",))
        json.loads((case.folder / "out" / "summary.json").read_text(encoding="utf-8"), parse_constant=_refuse_constant)

    return action


def _refuse_constant(text: str) -> None:
    raise WrongResultError(f"summary.json holds {text}")


READERS = [
    Reader("refldm restore", _prepare_restore, 8),
    Reader("refldm inspect", _prepare_inspect, 6),
    Reader("refldm convert", _prepare_convert, 4),
    Reader("refldm dataset build", _prepare_build, 4),
    Reader("refldm evaluate", _prepare_evaluate, 3),
]
