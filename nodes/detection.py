"""Finding faces: with a detector, or from landmarks that are known already."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import align_faces, crop_transform, face_from_landmarks
from ..refldm_core.face.detection import DetectionSettings, FaceNetwork, SearchingDetector, detect_batch
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.landmarks import landmarks_from_points, parse_landmarks
from ..refldm_core.face.selection import Order, WhenEmpty, parse_indices, select_faces
from ..refldm_core.face.tracking import smooth_landmarks, track_faces
from ..refldm_core.images import bhwc_to_model, model_to_bhwc
from .drawing import draw_faces
from .face_types import FaceDetector, Faces, crop_size_input
from .host import face_networks
from .types import schema

_MANY, _SMALL = 8, 512
"""Pictures of a batch above which its preview is small (pixels): a video would take as much memory once more."""

HostLandmarks = io.Custom("FACE_LANDMARKS")
"""Of ComfyUI's own MediaPipe nodes, where the host has them: {"frames": [[{"landmarks_xy": (468 or 478, 2)}]]}."""


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "DetectFaces",
            display_name="Detect Faces",
            description="Finds the faces of photos or video frames, chooses some, and cuts them out as aligned crops. "
            "Paste Faces puts them back at the same place.",
            search_aliases=["face detection", "crop faces", "align face", "find faces", "group photo"],
            inputs=[
                FaceDetector.Input("face_detector", tooltip="From Load Face Detector."),
                io.Image.Input("image", tooltip="Whole photos or video frames, one or a batch."),
                io.String.Input(
                    "select",
                    default="all",
                    tooltip='all, or numbers of the preview, from 0: "0" is the first in the chosen order, "0, 2-4" '
                    "several. In each picture of a batch.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(get_args(Order)),
                    default="largest",
                    tooltip="Which face is number 0: the largest in the picture, the one nearest to the middle, the "
                    "leftmost, the topmost, or the one the detector is surest of.",
                ),
                io.Int.Input(
                    "count", default=0, min=0, max=1000, tooltip="At most so many faces of each picture; 0 for all."
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How sure the detector must be of a face. 0 takes its authors' value. Less finds more "
                    "blurred faces, and more that are none.",
                ),
                io.Int.Input(
                    "min_size",
                    default=0,
                    min=0,
                    max=8192,
                    tooltip="Pixels of the photo: smaller faces do not count. 0 takes every face.",
                ),
                io.Int.Input(
                    "smallest",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip="Pixels of the smallest face to search for (10 or more); larger is faster. 0 is 24 pixels, "
                    "and more in very large photos.",
                ),
                io.Boolean.Input(
                    "rotated",
                    default=True,
                    tooltip="Search for faces lying on their side too. Off searches once instead of three times.",
                ),
                io.Combo.Input(
                    "when_empty",
                    options=list(get_args(WhenEmpty)),
                    default="error",
                    tooltip="Where no face is left: stop with an error, or pass the pictures on unchanged. It never "
                    "means all faces.",
                ),
                io.Boolean.Input(
                    "video",
                    default=False,
                    tooltip="The batch is a video: follow each face through the frames, so that it keeps its noise and "
                    "its person.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Steadies the crops of a video, against trembling: 0 is off, 0.5 a good start.",
                ),
                crop_size_input(),
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="Where the chosen faces are."),
                io.Image.Output(display_name="crops", tooltip="The chosen faces, aligned, as one batch."),
                io.Image.Output(
                    display_name="preview", tooltip="Numbers of all faces; green ones are chosen. Small for a video."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, select: str | None, smallest: int | None) -> bool | str:
        try:
            parse_indices("all" if select is None else select)
            DetectionSettings(smallest=smallest or None)
        except SettingsError as error:
            return str(error)
        return True

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        face_detector: FaceNetwork,
        image: Tensor,
        select: str,
        order: Order,
        count: int,
        threshold: float,
        min_size: int,
        smallest: int,
        rotated: bool,
        when_empty: WhenEmpty,
        video: bool,
        smoothing: float,
        crop_size: int,
    ) -> io.NodeOutput:
        images = bhwc_to_model(image)
        settings = DetectionSettings(threshold or None, smallest or None, (0, 1, 3) if rotated else (0,))
        detector = SearchingDetector(face_detector, settings)
        found = detect_batch(list(images), detector, face_networks.progress(len(images)))
        if video:
            found = smooth_landmarks(track_faces(found), smoothing)
        every = _with_transforms(found, images, crop_size)
        fit = select_faces(every, order=order, min_size=min_size, when_empty="pass")
        chosen = select_faces(
            every,
            order=order,
            indices=parse_indices(select),
            count=count or None,
            min_size=min_size,
            when_empty=when_empty,
        )
        faces, crops = align_faces(list(images), chosen.faces, crop_size)
        return io.NodeOutput(faces, model_to_bhwc(crops), _preview(images, fit, chosen))


class FacesFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "FacesFromLandmarks",
            display_name="Faces From Landmarks",
            description="Faces whose landmarks are known: typed in, or from ComfyUI's own MediaPipe nodes. Serves "
            "where no detector finds the face.",
            search_aliases=["landmarks", "mediapipe", "manual face", "face points", "align face"],
            inputs=[
                io.Image.Input("image", tooltip="Whole photos or video frames, one or a batch."),
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    tooltip="One face a line, ten numbers in pixels: x y of left eye, right eye, nose, left and right "
                    "corner of the mouth, left and right as seen in the picture. The same in every picture of a batch. "
                    "Not used where landmarks are connected.",
                ),
                crop_size_input(),
                HostLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="From the node Detect Face Landmarks (MediaPipe), which newer ComfyUI versions have.",
                ),
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="Where the faces are."),
                io.Image.Output(display_name="crops", tooltip="The faces, aligned, as one batch."),
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, text: str, crop_size: int, face_landmarks: dict[str, Any] | None = None
    ) -> io.NodeOutput:
        images = bhwc_to_model(image)
        found = _typed(text, len(images)) if face_landmarks is None else _from_host(face_landmarks, len(images))
        faces, crops = align_faces(list(images), found, crop_size)
        return io.NodeOutput(faces, model_to_bhwc(crops))


def _with_transforms(found: Sequence[face.Face], images: Tensor, crop_size: int) -> face.Faces:
    size = (images.shape[-2], images.shape[-1])
    transforms = tuple(crop_transform(one.landmarks, size, crop_size) for one in found)
    return face.Faces(tuple(found), transforms, (size,) * len(images))


def _preview(images: Tensor, fit: face.Faces, chosen: face.Faces) -> Tensor:
    taken = {id(one) for one in chosen.faces}
    longest = _SMALL if len(images) > _MANY else None
    drawn: list[Tensor] = []
    for frame, image in enumerate(images):
        ordered = [fit.faces[i] for i in fit.in_frame(frame)]
        labels = [(one, _label(i, one), id(one) in taken) for i, one in enumerate(ordered)]
        drawn.append(draw_faces(image, labels, longest))
    return model_to_bhwc(torch.stack(drawn))


def _label(number: int, one: face.Face) -> str:
    return str(number) if one.track is None else f"{number} (track {one.track})"


def _typed(text: str, frames: int) -> list[face.Face]:
    lines = parse_landmarks(text)
    return [face_from_landmarks(landmarks, frame) for frame in range(frames) for landmarks in lines]


def _from_host(landmarks: dict[str, Any], frames: int) -> list[face.Face]:
    given = landmarks["frames"]
    if len(given) != frames:
        raise SettingsError(
            f"There are landmarks of {len(given)} pictures for {frames} pictures.",
            expected="the pictures that the landmarks were found in",
            remedy="connect the same pictures to both nodes",
        )
    found = [
        face_from_landmarks(landmarks_from_points(one["landmarks_xy"]), frame)
        for frame, ones in enumerate(given)
        for one in ones
    ]
    if not found:
        raise FaceError(
            "The connected landmarks hold no face.",
            expected="at least one face",
            remedy="lower min_confidence in Detect Face Landmarks, or use Detect Faces",
        )
    return found
