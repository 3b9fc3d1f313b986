"""The config of a training run: dataclasses with the published values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..data.corpus import CorpusSpec
from ..data.groups import GroupSpec
from ..diffusion.schedule import NoiseSpec
from ..model.unet import UNetSpec
from ..model.vqgan import FirstStageSpec
from ..ranges import Range, check_ranges, ranged_field
from .losses import DiffusionLossSpec, FirstStageLossSpec

_MOST_STEPS, _LARGEST = 10**12, 1e6
"""Bounds that no useful training reaches. They keep damaged configs from reaching the long work."""

TaskName = Literal["first_stage", "ldm", "refldm", "recognizer", "detector"]


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW with a warm-up.

    Attributes:
        learning_rate: learning rate after the warm-up.
        betas, weight_decay: parameters of AdamW.
        warmup: number of steps in which the learning rate grows linearly from 0.
        decay: "constant", or "cosine", which lowers the learning rate to `final` times its value at the last step.
        final: see `decay`.
        clip: largest norm of the gradient; 0 sets no limit.

    Raises:
        OutOfRangeError: a number is outside its range, as for every section of the config.
    """

    learning_rate: float = ranged_field(5e-5, 0.0, 100.0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = ranged_field(0.0, 0.0, _LARGEST)
    warmup: int = ranged_field(10_000, 0, _MOST_STEPS)
    decay: Literal["constant", "cosine"] = "constant"
    final: float = ranged_field(0.05, 0.0, 1.0)
    clip: float = ranged_field(1.0, 0.0, 1e12)

    def __post_init__(self) -> None:
        check_ranges(self)
        for beta in self.betas:
            Range(0.0, 0.999999999, whole=False).number("betas", beta)


@dataclass(frozen=True)
class RunSpec:
    """Length, speed and output of a run.

    Attributes:
        steps: number of updates.
        batch: number of items in an update, over all processes. An item is a group of targets (ldm, refldm), a picture
            (first_stage), a person (recognizer) or a scene (detector).
        accumulate: number of micro-batches in an update. It must divide each process's share of the batch.
        precision: "float32", "bfloat16" or "float16" autocast of the trained networks. The frozen first stage encodes
            in float32.
        checkpoint_activations: whether the backward pass computes activations again, which saves memory.
        ema: decay of the moving average of the weights; 0 trains without an average.
        ema_warmup: whether the decay of an update is at most (1 + updates) / (10 + updates).
        save_every: steps between saved states, from which a run can be continued. The last step is saved too.
        sample_every: steps between sample grids; 0 writes none.
        workers: number of processes that prepare data; 0 prepares it in the training process.
        compile: whether to compile the trained networks (torch.compile).
        cpu: whether to use the CPU although there is a GPU.
    """

    steps: int = ranged_field(150_000, 0, _MOST_STEPS)
    batch: int = ranged_field(8, 1, 65_536)
    accumulate: int = ranged_field(1, 1, 65_536)
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    checkpoint_activations: bool = False
    ema: float = ranged_field(0.9999, 0.0, 1.0)
    ema_warmup: bool = True
    save_every: int = ranged_field(1000, 1, _MOST_STEPS)
    sample_every: int = ranged_field(1000, 0, _MOST_STEPS)
    workers: int = ranged_field(0, 0, 1024)
    compile: bool = False
    cpu: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DropSpec:
    """How often a condition is hidden. Guidance, and restoring without references, need this.

    Attributes:
        lq: share of targets whose LQ latent is all zeros.
        references: share of examples whose reference latents are all zeros (the null of guidance).
        none: share of examples without any reference tokens, as in restoring without references here. The published
            training has no such examples.
    """

    lq: float = ranged_field(0.1, 0.0, 1.0)
    references: float = ranged_field(0.1, 0.0, 1.0)
    none: float = ranged_field(0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DiffusionSpec:
    """What `ldm` and `refldm` train.

    Attributes:
        first_stage: file of the trained first stage; "" where `init` holds one.
        init: file to start from: a checkpoint of this trainer or the official one; "" starts from random weights.
        init_config: YAML in the published layout for an `init` that does not have the released architecture; else "".
        init_weights: weights of `init` to start from: "raw", as in the published fine-tuning, or "ema".
        resize: whether to train the model of `init` for crops of corpus.size where it was made for another size. Its
            layers fit any size.
        unet: shape of a new U-Net. It is ignored with `init`.
        noise: noise schedule. None keeps the schedule of `init`, and uses the published one for a new model. Small
            latents need less noise at the last timestep (docs/training.md).
        scale_factor: factor that all latents are multiplied by, including those of LQ pictures and references. "auto"
            makes the standard deviation of the targets' latents 1. The published value is 1, and the published script
            samples with no other value. The model of `init` keeps its factor unless this is "auto".
        drop: see `DropSpec`.
        cache: folder for a cache of latents, which needs groups.variants; "" encodes at every step.
        loss: see `DiffusionLossSpec`.
    """

    first_stage: str = ""
    init: str = ""
    init_config: str = ""
    init_weights: Literal["raw", "ema"] = "raw"
    resize: bool = False
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
        crop: height and width of the random windows to train on; 0 trains on whole pictures. Small windows allow many
            more steps in the same time. Finish with whole pictures.
        loss: see `FirstStageLossSpec`.
    """

    init: str = ""
    crop: int = ranged_field(0, 0, 8192)
    model: FirstStageSpec = field(default_factory=FirstStageSpec)
    loss: FirstStageLossSpec = field(default_factory=FirstStageLossSpec)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class RecognizerSpec:
    """What `recognizer` trains: a small ArcFace-style network.

    Attributes:
        width: channels of the first level.
        embedding: length of the embedding.
        temperature: temperature of the softmax over the other pictures of a batch.
        pictures: number of pictures of each person in a batch; `run.batch` counts people.
    """

    width: int = ranged_field(24, 1, 4096)
    embedding: int = ranged_field(128, 1, 65_536)
    temperature: float = ranged_field(0.1, 1e-6, _LARGEST)
    pictures: int = ranged_field(4, 1, 1024)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DetectorSpec:
    """What `detector` trains: RetinaFace with the small MobileNet, the network of facexlib.

    Attributes:
        size: height and width of the training examples, in pixels.
        most_faces: most faces in a scene.
        scenes: number of rendered scenes. They are rendered into corpus.cache, 1.5 times as large as an example. Each
            example is a new window of a scene, which is turned, mirrored, recolored and degraded at random.
    """

    size: int = ranged_field(256, 1, 8192)
    most_faces: int = ranged_field(6, 0, 1024)
    scenes: int = ranged_field(500, 0, 10**9)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class TrainSpec:
    """The config of a run.

    Attributes:
        task: what to train. The section of that name (`diffusion` for ldm and refldm) has the details.
        output: folder of the run.
        seed: seed of all random numbers.
    """

    task: TaskName
    output: str
    seed: int = ranged_field(0, -(2**63), 2**63 - 1)
    corpus: CorpusSpec = field(default_factory=CorpusSpec)
    groups: GroupSpec = field(default_factory=GroupSpec)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    run: RunSpec = field(default_factory=RunSpec)
    first_stage: FirstStageTrainSpec = field(default_factory=FirstStageTrainSpec)
    diffusion: DiffusionSpec = field(default_factory=DiffusionSpec)
    recognizer: RecognizerSpec = field(default_factory=RecognizerSpec)
    detector: DetectorSpec = field(default_factory=DetectorSpec)

    def __post_init__(self) -> None:
        check_ranges(self)
