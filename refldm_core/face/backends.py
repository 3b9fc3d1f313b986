"""Published detection networks: facexlib's RetinaFace and insightface's SCRFD, imported when first used.

The classes are built directly, because the factory functions of facexlib and insightface would download weights.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..out_of_memory import Parts
from .findings import Findings, Picture, require_finite
from .onnx_files import input_shape, metadata_of, onnx_session, running
from .packages import import_optional

RetinaFaceKind = Literal["resnet50", "mobile0.25"]

_SMALLEST_SIDE = 64  # pixels; the feature pyramid of a smaller picture would be empty
_PIXELS_ON_CPU, _PIXELS_ON_GPU = 800_000, 6_600_000
"""Most pixels of the pictures that go through RetinaFace together.

On a CPU, 8 pictures of 320 pixels take 11 ms each together, and 15 ms alone. For pictures of 640 pixels and more, a
batch is no faster. Four tiles of 1280 pixels go together on a GPU, which has not been measured."""
_NMS_OVERLAP = 0.4  # intersection over union in non-maximum suppression
_RETINAFACE_THRESHOLD, _SCRFD_THRESHOLD = 0.8, 0.5  # the defaults of facexlib and insightface
_ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # stride -> sides in pixels, the same in both RetinaFace files
_VARIANCE = (0.1, 0.2)  # factors of the predicted offsets: center, logarithm of the size


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load weights into a network. All names and shapes must match. A prefix `module.` of the names is ignored.

    Args:
        module: The network.
        tensors: Weights by name.
        name: Name of the network for messages.

    Raises:
        CheckpointError: Names or shapes differ from the network's, or values are not finite.
    """
    weights = {key.removeprefix("module."): value for key, value in tensors.items()}
    expected = module.state_dict()
    missing = [key for key in expected if key not in weights]
    unknown = [key for key in weights if key not in expected]
    misshapen = [key for key, value in weights.items() if key in expected and expected[key].shape != value.shape]
    if missing or unknown or misshapen:
        first = (missing or unknown or misshapen)[0]
        raise CheckpointError(
            f"The file does not hold the weights of {name}: {len(missing)} tensors are missing, {len(unknown)} are "
            f"unknown and {len(misshapen)} have another shape (first: {first}).",
            expected=f"the published weights of {name}",
            remedy="choose the file that belongs to this network",
        )
    broken = _not_finite(weights)
    if broken:
        raise CheckpointError(
            f"{len(broken)} tensors of {name} have values that are not finite (first: {broken[0]}).",
            expected=f"the published weights of {name}",
            remedy="get the file again",
        )
    module.load_state_dict(weights, strict=True)


def _not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that contain NaN or infinity."""
    return [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]


class RetinaFaceNetwork:
    """facexlib's RetinaFace (arXiv 1905.00641).

    Args:
        kind: Backbone. "resnet50" finds more faces, "mobile0.25" is far smaller.
        tensors: Weights from the published file, read by `read_tensors`.
        device: Device of the network.
        tile: See `FaceNetwork`. A larger value needs more memory and is a little faster on large pictures.
        turned_threshold: See `FaceNetwork`. None for the threshold of upright pictures.
        second_look: See `FaceNetwork`.
        metadata: See `FaceNetwork`.

    Raises:
        MissingPackageError: facexlib is not installed.
        CheckpointError: The tensors do not belong to this network.
    """

    def __init__(
        self,
        kind: RetinaFaceKind,
        tensors: Mapping[str, Tensor],
        device: torch.device | str = "cpu",
        tile: int = 1280,
        *,
        turned_threshold: float | None = None,
        second_look: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        retinaface = import_optional("facexlib.detection.retinaface", "facexlib")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # facexlib passes torchvision a deprecated argument
            self.module: Any = retinaface.RetinaFace(network_name=kind, half=False, device=torch.device("cpu"))
        load_strictly(self.module, tensors, f"RetinaFace {kind}")
        self.module.eval().requires_grad_(False)
        self._tile = tile
        self._turned_threshold = _RETINAFACE_THRESHOLD if turned_threshold is None else turned_threshold
        self._second_look = second_look
        self._metadata = dict(metadata or {})
        self.to(device)

    @property
    def tile(self) -> int:
        return self._tile

    @property
    def threshold(self) -> float:
        return _RETINAFACE_THRESHOLD

    @property
    def turned_threshold(self) -> float:
        return self._turned_threshold

    @property
    def second_look(self) -> bool:
        return self._second_look

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._metadata

    def to(self, device: torch.device | str) -> RetinaFaceNetwork:
        """Move the network to a device, with the state that facexlib keeps outside the module."""
        self.module.to(device)
        self.module.device = torch.device(device)
        self.module.mean_tensor = self.module.mean_tensor.to(device)
        return self

    def find(self, picture: Picture, threshold: float) -> Findings:
        """See `FaceNetwork`."""
        return self.find_batch([picture], threshold)[0]

    def find_batch(self, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
        """See `BatchNetwork`. Pictures that take too much memory together are searched in smaller batches."""
        height, width = pictures[0].shape[:2]
        pixels = _PIXELS_ON_CPU if self.module.device.type == "cpu" else _PIXELS_ON_GPU
        parts = Parts("search {} parts of a picture for faces", max(1, pixels // (height * width)))
        batches = parts.run(lambda part: self._find(pictures[part], threshold), len(pictures))
        return [findings for batch in batches for findings in batch]

    @torch.no_grad()
    def _find(self, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
        height, width = pictures[0].shape[:2]
        pad = [(0, 0), (0, max(0, _SMALLEST_SIDE - height)), (0, max(0, _SMALLEST_SIDE - width)), (0, 0)]
        bgr = torch.as_tensor(np.pad(np.stack(pictures), pad)).flip(-1).movedim(-1, 1)
        inputs = bgr.to(self.module.device).float() - self.module.mean_tensor
        outputs: tuple[Tensor, Tensor, Tensor] = self.module(inputs)
        anchors = _anchors((inputs.shape[-2], inputs.shape[-1]))
        offsets, scores, points = (output.cpu().double() for output in outputs)
        return [_decoded(*output, anchors, threshold) for output in zip(offsets, scores, points, strict=True)]


def _decoded(offsets: Tensor, scores: Tensor, points: Tensor, anchors: Tensor, threshold: float) -> Findings:
    """Return the faces of one picture from the network's outputs: (n, 4), (n, 2) and (n, 10) for n anchors."""
    # A NaN score is not above any threshold. Without this check, the picture would seem to have no face.
    require_finite(Findings(offsets.numpy(), scores.numpy(), points.numpy()))
    confident = scores[:, 1] > threshold
    offsets, scores, points = offsets[confident], scores[confident, 1], points[confident].view(-1, 5, 2)
    # facexlib's detect_faces is not used: it computes the anchors in Python for every picture, which takes most of the
    # time on a GPU.
    anchors = anchors[confident]
    center_variance, size_variance = _VARIANCE
    centers = anchors[:, :2] + center_variance * offsets[:, :2] * anchors[:, 2:]
    half_sizes = anchors[:, 2:] * (size_variance * offsets[:, 2:]).exp() / 2.0
    boxes = torch.cat([centers - half_sizes, centers + half_sizes], dim=1)
    points = anchors[:, None, :2] + center_variance * points * anchors[:, None, 2:]
    nms: Any = import_optional("torchvision.ops", "torchvision").nms
    selected = nms(boxes, scores, _NMS_OVERLAP)
    return Findings(boxes[selected].numpy(), scores[selected].numpy(), points[selected].numpy())


@lru_cache(maxsize=16)
def _anchors(size: tuple[int, int]) -> Tensor:
    """Return RetinaFace's anchors in a picture of (height, width): (n, 4) center x, y, width, height in pixels."""
    levels: list[Tensor] = []
    for step, sides in _ANCHORS.items():
        rows, columns = ((torch.arange(math.ceil(length / step)).double() + 0.5) * step for length in size)
        y, x, side = torch.meshgrid(rows, columns, torch.tensor(sides, dtype=torch.float64), indexing="ij")
        levels.append(torch.stack([x, y, side, side], dim=-1).view(-1, 4))
    return torch.cat(levels)


class ScrfdNetwork:
    """insightface's SCRFD (arXiv 2105.04714) from an ONNX file with landmarks, such as buffalo_l's det_10g.onnx.

    Args:
        path: Path of the ONNX file.
        providers: Execution providers of onnxruntime, in order of preference. None for the CPU.
        tile: See `FaceNetwork`. It must be a multiple of 32, and is ignored if the file fixes the size of its input.

    Raises:
        MissingPackageError: insightface or onnxruntime is not installed.
        CheckpointError: The file is not an ONNX file, or does not hold SCRFD with landmarks.
    """

    def __init__(self, path: Path, providers: Sequence[str] | None = None, tile: int = 640) -> None:
        scrfd = import_optional("insightface.model_zoo.scrfd", "insightface")
        session = onnx_session(path, providers)
        shape, outputs = input_shape(session), len(session.get_outputs())
        if len(shape) != 4 or outputs not in (9, 15):
            raise CheckpointError(
                f"{path} is not SCRFD with landmarks: its input has shape {shape} and it has {outputs} outputs.",
                expected="an image input, and scores, boxes and landmarks at 3 or 5 strides (9 or 15 outputs)",
                remedy="use det_10g.onnx of the pack buffalo_l, or scrfd_10g_bnkps.onnx of antelopev2",
            )
        fixed = [side for side in shape[2:] if isinstance(side, int) and side > 0]
        self._tile = min(fixed) if len(fixed) == 2 else tile
        self._size = (fixed[1], fixed[0]) if len(fixed) == 2 else (tile, tile)
        self._metadata = metadata_of(session, path)
        self._path = path
        self.model: Any = scrfd.SCRFD(model_file=str(path), session=session)
        self.model.prepare(0, input_size=self._size, nms_thresh=_NMS_OVERLAP)

    @property
    def tile(self) -> int:
        return self._tile

    @property
    def threshold(self) -> float:
        return _SCRFD_THRESHOLD

    @property
    def turned_threshold(self) -> float:
        return _SCRFD_THRESHOLD

    @property
    def second_look(self) -> bool:
        return False

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._metadata

    def find(self, picture: Picture, threshold: float) -> Findings:
        """See `FaceNetwork`."""
        # insightface would enlarge a small picture to its input size. The search has chosen the scale already, so the
        # picture is padded instead.
        height, width = picture.shape[:2]
        canvas = np.zeros((self._size[1], self._size[0], 3), dtype=np.uint8)
        canvas[:height, :width] = picture[..., ::-1]
        self.model.prepare(0, det_thresh=threshold)
        with running(self._path):
            boxes, landmarks = self.model.detect(canvas, input_size=self._size)
        rows = np.reshape(np.asarray(boxes, dtype=np.float64), (-1, 5))
        return Findings(rows[:, :4], rows[:, 4], np.reshape(np.asarray(landmarks, dtype=np.float64), (-1, 5, 2)))
