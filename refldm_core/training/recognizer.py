"""Train a small face recognizer on rendered people, whom published recognizers do not tell apart.

The loss is the supervised contrastive loss of Khosla et al. (NeurIPS 2020, arXiv 2004.11362, L_out): among the pictures
of a batch, those of the same person should be nearest. It is computed for each micro-batch of each process; embeddings
are not gathered.
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

from ..checkpoints.training_data import RENDERED_PEOPLE, TRAINED_ON_KEY
from ..data.corpus import open_corpus
from ..face.identity import ARCFACE_SIZE
from ..files import atomic_write
from .recognizer_examples import PeopleExamples, training_crop
from .recognizer_network import RecognizerNetwork, save_onnx
from .spec import TrainSpec
from .task import Batch, Logs, Part, TrainingError

FILE = "recognizer.onnx"


def contrastive_loss(embeddings: Tensor, people: Tensor, temperature: float) -> tuple[Tensor, Logs]:
    """Return the supervised contrastive loss of a batch.

    Args:
        embeddings: (n, d) of any length.
        people: (n,) number of the person in each picture. Each person has two pictures or more.
        temperature: temperature of the softmax over the other pictures.

    Returns:
        The mean loss, and for the log: the mean cosine of pairs of the same person (`same`) and of different people
        (`different`), and the share of pictures whose nearest other picture shows the same person (`nearest`).
    """
    unit = F.normalize(embeddings.float(), dim=1)
    cosines = unit @ unit.T
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same_person = people[:, None] == people[None, :]
    same = same_person & ~itself
    log_share = F.log_softmax((cosines / temperature).masked_fill(itself, -math.inf), dim=1)
    # masked_fill rather than a product: 0 times the -inf of the diagonal is NaN.
    loss = -(log_share.masked_fill(~same, 0.0).sum(dim=1) / same.sum(dim=1)).mean()
    with torch.no_grad():
        nearest = cosines.masked_fill(itself, -2.0).argmax(dim=1)
        logs = {
            "same": cosines[same].mean(),
            "different": cosines[~same_person].mean() if bool((~same_person).any()) else cosines.new_zeros(()),
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
        """See `Part`. The batch has `pictures` (n, 3, 112, 112) in [-1, 1] and `person` (n,)."""
        return contrastive_loss(self.network(batch["pictures"]), batch["person"], self.temperature)


class RecognizerTask:
    """Trains a recognizer with the input and output of insightface's recognizers; see `Task`.

    Args:
        spec: config of the run; `run.batch` counts people.

    Raises:
        TrainingError: there are too few people, or too few pictures of each.
        DataError: the corpus cannot be opened.
    """

    def __init__(self, spec: TrainSpec) -> None:
        if spec.recognizer.pictures < 2 or spec.run.batch < 2:
            raise TrainingError(
                "A recognizer cannot learn from one person, or from one picture of each.",
                expected="recognizer.pictures and run.batch of 2 or more",
                remedy="raise the value that is below 2",
            )
        self._spec = spec
        self._part = RecognizerPart(spec.recognizer.width, spec.recognizer.embedding, spec.recognizer.temperature)
        self.parts: Sequence[Part] = (self._part,)
        self.frozen: nn.Module = nn.Module()
        self.examples = PeopleExamples(open_corpus(spec.corpus), spec.recognizer.pictures)

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """See `Task`."""

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """See `Task`. It writes one ONNX file, which insightface, onnxruntime and onnx2torch load."""
        path = folder / FILE
        with atomic_write(path) as temporary:
            save_onnx(self._averaged(ema), temporary, {TRAINED_ON_KEY: RENDERED_PEOPLE})
        return [path]

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image:
        """See `Task`. Each row shows pictures of one person, with their cosines to the first picture of the row."""
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
        """Return a copy of the network with the averaged weights, on the CPU."""
        part = copy.deepcopy(self._part).cpu()
        part.load_state_dict({**part.state_dict(), **ema.get(part.name, {})})
        return part.network.eval()
