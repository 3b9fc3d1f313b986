"""A small face recognizer, trained on rendered people: it tells apart people whom no published recognizer knows.

The loss is the supervised contrast of Khosla et al. (NeurIPS 2020, arXiv 2004.11362, L_out): among the pictures of a
batch, those of the same person should be nearest. Each process contrasts its own share of the batch, and each of its
micro-batches by itself: embeddings are not gathered.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..checkpoints.training_data import DRAWN_PEOPLE, TRAINED_ON_KEY
from ..data.corpus import open_corpus
from ..face.identity import ARCFACE_SIZE
from ..files import atomic_write
from .recognizer_examples import PeopleExamples, training_crop
from .recognizer_network import RecognizerNetwork, save_onnx
from .spec import TrainSpec
from .task import Batch, Logs, Part, TrainingError

FILE = "recognizer.onnx"


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


class RecognizerTask:
    """Trains a recognizer with the input and output of insightface's.

    Args:
        spec: of the run; `run.batch` counts people.

    Raises:
        TrainingError: too few people or pictures to contrast.
        DataError: a corpus that cannot be opened.
    """

    def __init__(self, spec: TrainSpec) -> None:
        if spec.recognizer.pictures < 2 or spec.run.batch < 2:
            raise TrainingError(
                "A recognizer cannot learn from one person, or from one picture of each.",
                expected="recognizer.pictures and run.batch of 2 or more",
                remedy="raise the one that is 1",
            )
        self._spec = spec
        self._part = RecognizerPart(spec.recognizer.width, spec.recognizer.embedding, spec.recognizer.temperature)
        self.parts: Sequence[Part] = (self._part,)
        self.frozen: nn.Module = nn.Module()
        self.examples = PeopleExamples(open_corpus(spec.corpus), spec.recognizer.pictures)

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """See `Task`."""

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """See `Task`: one ONNX file that insightface, onnxruntime and onnx2torch load."""
        path = folder / FILE
        with atomic_write(path) as temporary:
            save_onnx(self._averaged(ema), temporary, {TRAINED_ON_KEY: DRAWN_PEOPLE})
        return [path]

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image:
        """See `Task`: a row for each of the first people; numbers are cosines to the row's first picture."""
        people, columns, rng = self.examples.people[:8], 6, np.random.default_rng(self._spec.seed)
        rows = len(people)
        crops = torch.stack(
            [
                training_crop(self.examples.corpus, person[i % len(person)], rng, mirrored=False)
                for person in people
                for i in range(columns)
            ]
        )
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
