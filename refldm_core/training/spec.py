"""The config of a training run: dataclasses with the published values as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..data.corpus import CorpusSpec
from ..data.groups import GroupSpec
from ..diffusion.schedule import NoiseSpec
from ..model.unet import UNetSpec
from ..model.vqgan import FirstStageSpec
from .losses import DiffusionLossSpec, FirstStageLossSpec

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
        resize: train the model of `init` for crops of corpus.size, where its own have another size. Its layers fit any
            size; the latents' layout changes.
        unet: shape of a new U-Net; `init` has its own.
        noise: of a new model, or another one for the model of `init`; None keeps that one's, and is the published one
            for a new model. Small latents want less noise at the end (docs/training.md).
        scale_factor: all latents are multiplied by it, those of LQ pictures and references included; "auto" makes the
            targets' standard deviation 1. 1 is published, and the only value that the published script samples with.
            The model of `init` keeps its factor, except with "auto".
        drop: see `DropSpec`.
        cache: folder for latents that need not be encoded again; "" encodes at every step. Needs groups.variants.
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
    """

    width: int = 24
    embedding: int = 128
    temperature: float = 0.1
    pictures: int = 4


@dataclass(frozen=True)
class DetectorSpec:
    """What `detector` trains: RetinaFace with the small MobileNet, the network of facexlib.

    Attributes:
        size: height and width of the training examples, in pixels.
        most_faces: in one scene.
        scenes: number of rendered scenes. An example is a part of one, turned, mirrored, recolored and degraded anew
            whenever it is seen. They are rendered into corpus.cache, 1.5 times as large as an example.
    """

    size: int = 256
    most_faces: int = 6
    scenes: int = 500


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
