"""The config of a training run: dataclasses with the published values as defaults, and the YAML that fills them."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import yaml

from ..data.corpus import CorpusSpec
from ..data.groups import GroupSpec
from ..diffusion.schedule import NoiseSpec
from ..errors import OutOfRangeError, shortened
from ..model.unet import UNetSpec
from ..model.vqgan import FirstStageSpec
from ..yaml_text import YamlError, parse_yaml, read_yaml
from .losses import DiffusionLossSpec, FirstStageLossSpec
from .task import TrainingError

TaskName = Literal["first_stage", "ldm", "refldm", "recognizer", "detector"]


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW with a warm-up.

    Attributes:
        learning_rate: after the warm-up.
        betas, weight_decay: of AdamW.
        warmup: steps of linear growth from 0.
        decay: "constant", or "cosine" down to `final` times the rate at the last step.
        final: see decay.
        clip: largest norm of the gradient; 0 is no limit.
    """

    learning_rate: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup: int = 10_000
    decay: Literal["constant", "cosine"] = "constant"
    final: float = 0.05
    clip: float = 1.0


@dataclass(frozen=True)
class RunSpec:
    """How long, how fast, and what is written on the way.

    Attributes:
        steps: updates in all.
        batch: items of an update over all processes: groups of targets for ldm and refldm, pictures for the others.
        accumulate: micro-batches that an update is made of; a divisor of each process's share of the batch.
        precision: "float32", "bfloat16" or "float16" autocast of the trained networks; the frozen first stage encodes
            in float32.
        checkpoint_activations: compute activations again on the way back instead of keeping them.
        ema: decay of the moving average of the weights; 0 is none.
        ema_warmup: the average starts as a plain mean: decay min(ema, (1 + step) / (10 + step)).
        save_every: steps between states for resuming; the last step is saved too.
        sample_every: steps between sample grids; 0 is none.
        workers: processes that prepare data, started anew on every platform; 0 prepares it in the training process.
        compile: torch.compile the trained networks.
        cpu: stay on the CPU although there is a GPU.
    """

    steps: int = 150_000
    batch: int = 8
    accumulate: int = 1
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    checkpoint_activations: bool = False
    ema: float = 0.9999
    ema_warmup: bool = True
    save_every: int = 1000
    sample_every: int = 1000
    workers: int = 0
    compile: bool = False
    cpu: bool = False


@dataclass(frozen=True)
class DropSpec:
    """How often a condition is hidden, which guidance and restoring without references need.

    Attributes:
        lq: share of targets whose LQ latent is all zeros.
        references: share of examples whose reference latents are all zeros (guidance's null).
        none: share of examples without any reference tokens: how restoring without references is sampled here. The
            published training has none.
    """

    lq: float = 0.1
    references: float = 0.1
    none: float = 0.0


@dataclass(frozen=True)
class DiffusionSpec:
    """What `ldm` and `refldm` train.

    Attributes:
        first_stage: file of the trained first stage; "" where `init` holds one.
        init: file to start from: a checkpoint of this trainer or the official one; "" starts from random weights.
        init_config: YAML of the published layout for `init`, where it is not of the released architecture.
        init_weights: which copy in it; fine-tuning goes on from the raw one, as the published training does.
        unet: shape of a new U-Net; `init` has its own.
        noise: of a new model, or another one for the model of `init`; None keeps that one's, and is the published one
            for a new model. Small latents want less noise at the end (docs/training.md).
        scale_factor: all latents are multiplied by it, those of LQ pictures and references included; "auto" makes the
            targets' standard deviation 1. 1 is published, and the only value that the published script samples with.
        drop: see `DropSpec`.
        cache: folder for latents that need not be encoded again; "" encodes at every step. Needs groups.variants.
        loss: see `DiffusionLossSpec`.
    """

    first_stage: str = ""
    init: str = ""
    init_config: str = ""
    init_weights: Literal["raw", "ema"] = "raw"
    unet: UNetSpec = field(default_factory=UNetSpec)
    noise: NoiseSpec | None = None
    scale_factor: float | Literal["auto"] = 1.0
    drop: DropSpec = field(default_factory=DropSpec)
    cache: str = ""
    loss: DiffusionLossSpec = field(default_factory=DiffusionLossSpec)


@dataclass(frozen=True)
class FirstStageTrainSpec:
    """What `first_stage` trains.

    Attributes:
        init: file of a first stage to start from; "" starts from random weights.
        model: shape of a new first stage.
        crop: height and width of a random window that is trained on instead of the whole picture; 0 is the whole.
            Small windows give many more steps in the same time; finish with whole pictures.
        loss: see `FirstStageLossSpec`.
    """

    init: str = ""
    crop: int = 0
    model: FirstStageSpec = field(default_factory=FirstStageSpec)
    loss: FirstStageLossSpec = field(default_factory=FirstStageLossSpec)


@dataclass(frozen=True)
class RecognizerSpec:
    """What `recognizer` trains: a small ArcFace-style network.

    Attributes:
        width: channels of the first stage.
        embedding: length of the embedding.
        temperature: of the softmax over the people of a batch.
        pictures: of each person in a batch; `run.batch` counts people.
        lookalikes: with each person comes another of the same head and hair, but with other details, so that these
            count too; as many pictures again.
    """

    width: int = 24
    embedding: int = 128
    temperature: float = 0.1
    pictures: int = 4
    lookalikes: bool = True


@dataclass(frozen=True)
class DetectorSpec:
    """What `detector` trains: RetinaFace with the small MobileNet, the network of facexlib.

    Attributes:
        size: height and width of the training scenes, in pixels.
        most_faces: in one scene.
        scenes: how many different ones, each degraded anew whenever it is seen; 0 draws a new one every time.
    """

    size: int = 320
    most_faces: int = 6
    scenes: int = 0


@dataclass(frozen=True)
class TrainSpec:
    """A whole run.

    Attributes:
        task: what is trained; the section of that task (`diffusion` for ldm and refldm) says the rest.
        output: folder of the run.
        seed: of everything.
    """

    task: TaskName
    output: str
    seed: int = 0
    corpus: CorpusSpec = field(default_factory=CorpusSpec)
    groups: GroupSpec = field(default_factory=GroupSpec)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    run: RunSpec = field(default_factory=RunSpec)
    first_stage: FirstStageTrainSpec = field(default_factory=FirstStageTrainSpec)
    diffusion: DiffusionSpec = field(default_factory=DiffusionSpec)
    recognizer: RecognizerSpec = field(default_factory=RecognizerSpec)
    detector: DetectorSpec = field(default_factory=DetectorSpec)


def read_spec(path: Path, changes: Sequence[str] = ()) -> TrainSpec:
    """Read a run's YAML.

    Args:
        path: of the file.
        changes: "section.key=value" from the command line, which win over the file.

    Raises:
        TrainingError: a file that cannot be read, a key that nothing knows (the message names the nearest one), or a
            value of another type.
    """
    try:
        content = read_yaml(path) or {}
    except (OSError, YamlError) as error:
        raise TrainingError(
            f"The config {path} cannot be read ({str(error).splitlines()[0]}).",
            expected="a YAML file",
            remedy="see docs/training.md for an example of each task",
        ) from error
    values = _section("", content, str(path))
    for change in changes:
        _apply(values, change)
    return cast(TrainSpec, _build(TrainSpec, values, "", str(path)))


def as_yaml(spec: TrainSpec) -> str:
    """The effective config, every default spelled out."""
    return yaml.safe_dump(_plain(asdict(spec)), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast(Mapping[str, Any], value).items()}
    return [_plain(item) for item in cast(Iterable[Any], value)] if isinstance(value, tuple | list) else value


def _apply(values: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *sections, key = name.split(".")
    if not equals or not all([*sections, key]):
        raise TrainingError(
            f'"{change}" is no change of the config.', expected="section.key=value", remedy="see --help"
        )
    for section in sections:
        values = _section(name, values.setdefault(section, {}), "--set")
    try:
        values[key] = parse_yaml(text)
    except YamlError as error:
        raise TrainingError(
            f"{name} cannot be set to {shortened(text)} ({error}).", expected="a value as in YAML", remedy="see --help"
        ) from error


def _build(kind: Any, value: Any, name: str, source: str) -> Any:
    """A value of a type from what YAML gave."""
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _build_dataclass(kind, value, name, source)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _wrong(name, value, "one of " + ", ".join(map(str, get_args(kind))), source)
    if origin is tuple:
        inner = get_args(kind)
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(cast(list[Any], value)) != len(inner)):
            raise _wrong(name, value, f"a list of {'numbers' if inner[-1] is Ellipsis else len(inner)}", source)
        return tuple(_build(inner[0], item, name, source) for item in cast(list[Any], value))
    if origin is not None:  # a union
        for choice in get_args(kind):
            try:
                return _build(choice, value, name, source)
            except TrainingError:
                if is_dataclass(choice) and isinstance(value, dict):  # its error says more
                    raise
        raise _wrong(name, value, str(kind).replace("typing.", ""), source)
    number = _finite(value) if kind is float else None
    if number is not None:
        return number
    if type(value) is kind and kind is not float:
        return value
    raise _wrong(
        name,
        value,
        {"int": "a whole number", "float": "a finite number", "str": "text"}.get(kind.__name__, "true or false"),
        source,
    )


def _finite(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:  # YAML 1.1 reads 1e-4 as text
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _build_dataclass(kind: Any, value: Any, name: str, source: str) -> Any:
    values = _section(name, value, source)
    types = get_type_hints(kind)
    known = [each.name for each in fields(kind)]
    for key in values:
        if key not in known:
            raise _unknown(f"{name}.{key}".lstrip("."), str(key), known, source)
    missing = [required for required in ("task", "output") if kind is TrainSpec and required not in values]
    if missing:
        raise TrainingError(
            f"{source} does not say its {missing[0]}.",
            expected="a task (first_stage, ldm, refldm, recognizer or detector) and an output folder",
            remedy=f"add a line {missing[0]}: ...",
        )
    built = {key: _build(types[key], item, f"{name}.{key}".lstrip("."), source) for key, item in values.items()}
    try:
        return kind(**built)
    except OutOfRangeError as error:
        raise _wrong(
            f"{name}.{error.name}".lstrip("."), built.get(error.name, error.value), error.expected, source
        ) from error


def _section(name: str, value: object, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(name, value, "a section of keys and values", source)
    return cast(dict[str, Any], value)


def _unknown(name: str, key: str, known: Sequence[str], source: str) -> TrainingError:
    near = difflib.get_close_matches(key, known, 1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return TrainingError(
        f"{source} has the key {name[:80]}, which means nothing.", expected=hint, remedy="correct its name"
    )


def _wrong(name: str, value: Any, expected: str, source: str) -> TrainingError:
    return TrainingError(
        f"{source}: {name or 'the config'} is {shortened(value)}.", expected=expected, remedy="correct the value"
    )
