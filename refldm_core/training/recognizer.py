"""A small face recognizer, trained on drawn people: it tells apart whom the published recognizers never saw.

The loss is the supervised contrast of Khosla et al. (NeurIPS 2020, arXiv 2004.11362, L_out): among the pictures of a
batch, those of the same person should be nearest. Each process contrasts its own share of the batch, and each of its
micro-batches by itself: embeddings are not gathered.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..checkpoints.training_data import DRAWN_PEOPLE, TRAINED_ON_KEY
from ..data.corpus import CorpusSpec, synthetic_portrait
from ..data.degradation import DegradationRanges, degrade, draw
from ..data.synthetic import SyntheticPerson, conditions, person, render
from ..face.alignment import FFHQ_SIZE, FFHQ_TEMPLATE, similarity
from ..face.backends import import_optional
from ..face.identity import ARCFACE_SIZE, ARCFACE_TEMPLATE
from ..face.types import Matrix, compose
from ..face.warping import shift, warp
from ..files import atomic_write
from .spec import RecognizerSpec, TrainSpec
from .task import Batch, Examples, Logs, Part, TrainingError, derive

FILE = "recognizer.onnx"

_MARGIN = FFHQ_SIZE // 16
CENTER_TEMPLATE = (FFHQ_TEMPLATE + 0.5 - _MARGIN) * (ARCFACE_SIZE / (FFHQ_SIZE - 2 * _MARGIN)) - 0.5
"""(5, 2): landmarks in the middle 7/8 of an FFHQ crop shrunk to 112 pixels, which the published identity loss sees."""

_SOFT = DegradationRanges((0.0, 6.0), (1.0, 9.0), (0.0, 6.0), (60, 100))
"""Mild: what a small first stage or a modest photo does. At 96 pixels, shrinking begins at 96 / 512 of these."""
_SIZES = (80, 144)
"""Pixels along the side of the drawn portraits, before they are aligned."""


class Block(nn.Module):
    """Residual block that halves height and width, with PReLU (as ArcFace's IR networks have it).

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=2, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h / 2, w / 2)."""
        return self.activation(self.body(x) + self.shortcut(x))


class RecognizerNetwork(nn.Module):
    """Pictures -> embeddings.

    At the end, each channel weighs its 7 x 7 places by itself (as in MobileFaceNet, arXiv 1804.07573): in an aligned
    crop, a mole's place says as much as its being there.

    Args:
        width: channels of the first stage; doubled twice, then times 4/3.
        embedding: length of the embedding.
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        last = width * 16 // 3
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.blocks = nn.Sequential(Block(width, 2 * width), Block(2 * width, 4 * width), Block(4 * width, last))
        self.places = nn.Sequential(nn.Conv2d(last, last, 7, groups=last, bias=False), nn.BatchNorm2d(last))
        self.head = nn.Linear(last, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, 112, 112) RGB in [-1, 1] -> (n, embedding), not of unit length."""
        return self.head(self.places(self.blocks(self.stem(x))).flatten(1))


def contrast(embeddings: Tensor, people: Tensor, temperature: float) -> tuple[Tensor, Logs]:
    """Supervised contrast of a batch.

    Args:
        embeddings: (n, d) of any length.
        people: (n,) equal for pictures of the same person; each person has two or more.
        temperature: of the softmax over the other pictures.

    Returns:
        The mean loss; mean cosines of pairs of the same person and of different people, and how often the nearest
        other picture is of the same person.
    """
    unit = F.normalize(embeddings.float(), dim=1)
    cosines = unit @ unit.T
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    alike = people[:, None] == people[None, :]
    same = alike & ~itself
    log_share = F.log_softmax((cosines / temperature).masked_fill(itself, -math.inf), dim=1)
    # masked_fill, since 0 times the -inf of the diagonal is no number
    loss = -(log_share.masked_fill(~same, 0.0).sum(dim=1) / same.sum(dim=1)).mean()
    with torch.no_grad():
        nearest = cosines.masked_fill(itself, -2.0).argmax(dim=1)
        logs = {
            "same": cosines[same].mean(),
            "different": cosines[~alike].mean() if bool((~alike).any()) else cosines.new_zeros(()),
            "nearest": (people[nearest] == people).float().mean(),
        }
    return loss, logs


class RecognizerPart(Part):
    """The network with its loss."""

    name = "recognizer"

    def __init__(self, width: int, embedding: int, temperature: float) -> None:
        super().__init__()
        self.network = RecognizerNetwork(width, embedding)
        self.temperature = temperature

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        """See `Part`; the batch has `pictures` (n, 3, 112, 112) in [-1, 1] and `person` (n,)."""
        return contrast(self.network(batch["pictures"]), batch["person"], self.temperature)


class People(NamedTuple):
    """One item: pictures (n, 3, 112, 112) in [-1, 1], and whose each is (n,); a lookalike's number is negative."""

    pictures: Tensor
    numbers: Tensor


class PeopleExamples(Examples):
    """Pictures of a person of the corpus, and of a lookalike, in different conditions and framings.

    Args:
        corpus: the people.
        spec: how many pictures, and whether of lookalikes too.
    """

    def __init__(self, corpus: CorpusSpec, spec: RecognizerSpec) -> None:
        self.corpus = corpus
        self.spec = spec

    def __getitem__(self, seed: int) -> People:
        rng = np.random.default_rng(seed)
        corpus, count = self.corpus, self.spec.pictures
        number = corpus.first_person + int(rng.integers(corpus.people))
        crops: list[Tensor] = []
        numbers: list[int] = []
        for alike in (False, True) if self.spec.lookalikes else (False,):
            for index in rng.choice(corpus.pictures, count, replace=corpus.pictures < count):
                crops.append(training_crop(number, int(index), rng, alike=alike))
                numbers.append(-1 - number if alike else number)
        return People(torch.stack(crops), torch.tensor(numbers))

    def collate(self, items: Sequence[People]) -> Batch:
        """See `Examples`: `pictures` (n, 3, 112, 112) in [-1, 1] and `person` (n,)."""
        return {
            "pictures": torch.cat([item.pictures for item in items]),
            "person": torch.cat([item.numbers for item in items]),
        }


class RecognizerTask:
    """Trains a recognizer with the input and output of insightface's.

    Args:
        spec: of the run; `run.batch` counts people.

    Raises:
        TrainingError: too few people or pictures to contrast, or a corpus that is not drawn.
    """

    def __init__(self, spec: TrainSpec) -> None:
        if spec.recognizer.pictures < 2 or min(spec.run.batch, spec.corpus.people) < 2:
            raise TrainingError(
                "A recognizer cannot learn from one person, or from one picture of each.",
                expected="recognizer.pictures, run.batch and corpus.people of 2 or more",
                remedy="raise the one that is 1",
            )
        if spec.corpus.kind != "synthetic":
            raise TrainingError(
                "The recognizer is trained on drawn people only.",
                expected="corpus.kind synthetic",
                remedy="for photos, use a published recognizer (insightface's buffalo_l)",
            )
        self._spec = spec
        self._part = RecognizerPart(spec.recognizer.width, spec.recognizer.embedding, spec.recognizer.temperature)
        self.parts: Sequence[Part] = (self._part,)
        self.frozen: nn.Module = nn.Module()
        self.examples = PeopleExamples(spec.corpus, spec.recognizer)

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """See `Task`."""

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """See `Task`: one ONNX file that insightface, onnxruntime and onnx2torch load."""
        path = folder / FILE
        with atomic_write(path) as temporary:
            save_onnx(self._averaged(ema), temporary, {TRAINED_ON_KEY: DRAWN_PEOPLE})
        return [path]

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image:
        """See `Task`: a row for each of some people outside the corpus; numbers are cosines to the row's first."""
        rows, columns = 8, 6
        corpus, rng = self._spec.corpus, np.random.default_rng(self._spec.seed)
        numbers = range(corpus.first_person + corpus.people, corpus.first_person + corpus.people + rows)
        crops = torch.stack([training_crop(number, index, rng) for number in numbers for index in range(columns)])
        with torch.no_grad():
            unit = F.normalize(self._averaged(ema)(crops), dim=1).view(rows, columns, -1)
        cosines = (unit @ unit[:, :1].mT)[..., 0]
        grid = Image.new("RGB", (columns * ARCFACE_SIZE, rows * ARCFACE_SIZE))
        pen = ImageDraw.Draw(grid)
        for i, crop in enumerate(crops):
            place = (i % columns * ARCFACE_SIZE, i // columns * ARCFACE_SIZE)
            pixels = ((crop + 1.0) * 127.5).round().clamp(0, 255).byte().movedim(0, -1)
            grid.paste(Image.fromarray(pixels.numpy()), place)
            pen.text((place[0] + 3, place[1] + 2), f"{float(cosines.flatten()[i]):.2f}", fill=(255, 255, 0))
        return grid

    def _averaged(self, ema: Mapping[str, Mapping[str, Tensor]]) -> RecognizerNetwork:
        """A copy with the averaged weights, on the CPU."""
        part = copy.deepcopy(self._part).cpu()
        part.load_state_dict({**part.state_dict(), **ema.get(part.name, {})})
        return part.network.eval()


def training_crop(number: int, index: int, rng: np.random.Generator, *, alike: bool = False) -> Tensor:
    """One picture of a drawn person as a recognizer may get it.

    Aligned as ArcFace wants it or as the published identity loss cuts it, a little off, and half of the time softened.

    Args:
        number: of the person.
        index: of the person's picture.
        rng: decides the rest.
        alike: of the person's lookalike instead.

    Returns:
        (3, 112, 112) RGB in [-1, 1].
    """
    picture, landmarks = _portrait(number, index, alike)
    if rng.random() < 0.5:
        picture = degrade(picture, draw(_SOFT, int(rng.integers(2**32))))
    framing = ARCFACE_TEMPLATE if rng.random() < 0.5 else CENTER_TEMPLATE
    matrix = compose(_jitter(rng), similarity(landmarks, framing))
    image = torch.tensor(picture).movedim(-1, 0).float() / 127.5 - 1.0
    return warp(image, matrix, (ARCFACE_SIZE, ARCFACE_SIZE)).clamp(-1.0, 1.0)


@lru_cache(maxsize=8192)  # half a gigabyte at most; drawing takes longer than learning from what was drawn
def _portrait(number: int, index: int, alike: bool) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A picture of a person or of their lookalike, of a size that goes with it, and its landmarks (5, 2)."""
    smallest, largest = _SIZES
    size = smallest + derive(number, index) % (largest + 1 - smallest)
    if alike:
        portrait = render(lookalike(number), conditions(derive(number, index, 1)), size)
    else:
        portrait = synthetic_portrait(number, index, size)
    return portrait.picture, portrait.landmarks


def lookalike(number: int) -> SyntheticPerson:
    """Somebody with the head, hair and skin of a person of the corpus, and some details of another person."""
    rng = np.random.default_rng([number, 2])
    one, other = person(number), person(derive(number, 2) % 2**32)
    taken = set(rng.permutation(5)[: rng.integers(1, 4)].tolist())
    return replace(
        one,
        eyes=replace(one.eyes, color=other.eyes.color) if 0 in taken else one.eyes,
        moles=other.moles if 1 in taken else one.moles,
        glasses=other.glasses if 2 in taken else one.glasses,
        brows=other.brows if 3 in taken else one.brows,
        nose=other.nose if 4 in taken else one.nose,
        mouth=other.mouth if 4 in taken else one.mouth,
        scar=other.scar if 1 in taken else one.scar,
    )


def save_onnx(network: RecognizerNetwork, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network in insightface's layout: input "input.1" (n, 3, 112, 112), one output, float32.

    The weights stay in 32 bits: onnx2torch reads no others.

    Args:
        network: to write.
        path: of the file.
        metadata: text that the file shall say of itself.

    Raises:
        MissingPackageError: onnx is not installed.
    """
    onnx = import_optional("onnx", "onnx")
    export = cast(Any, torch.onnx).export  # typed in part only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called legacy
        export(
            network.eval(),
            (torch.zeros(1, 3, ARCFACE_SIZE, ARCFACE_SIZE),),
            str(path),
            input_names=["input.1"],
            output_names=["embedding"],
            dynamic_axes={"input.1": {0: "n"}, "embedding": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))


def _jitter(rng: np.random.Generator) -> Matrix:
    """(2, 3): a small turn, change of size and shift about the middle of the crop, as detectors are off."""
    angle, scale = rng.normal(0.0, 0.03), math.exp(rng.normal(0.0, 0.03))
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle = (ARCFACE_SIZE - 1) / 2
    turn = np.array([[a, -b, 0.0], [b, a, 0.0]])
    x, y = rng.normal(0.0, 1.2, 2)
    return compose(shift(middle + x, middle + y), compose(turn, shift(-middle, -middle)))
