"""The node that finds faces with a detector, or in boxes of another node."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any, get_args

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import crop_transform
from ..refldm_core.face.boxes import added_boxes as parse_added
from ..refldm_core.face.boxes import faces_from_boxes, host_boxes, parse_added_boxes, parse_boxes, with_added_faces
from ..refldm_core.face.detection import DetectionSettings, FaceNetwork, SearchingDetector, detect_batch
from ..refldm_core.face.selection import Order, WhenEmpty, parse_indices, select_faces
from ..refldm_core.face.tracking import average_landmarks, smooth_landmarks, track_faces
from .crops import aligned_crops
from .detected_faces import describe_pictures, draw_previews
from .display import MOST_SHOWN, save_pictures
from .face_types import FaceDetector, Faces, crop_size_input, threshold_input
from .host import Progress
from .images import ModelPictures, to_images, to_model
from .sampling_inputs import averaging_input
from .types import ADVANCED, CATEGORY, where_supported

HostBoxes = io.Custom("BOUNDING_BOX")
"""The host's own type: a list of {"x", "y", "width", "height"} for each picture, "label" and "score" optional."""

_HOST_HAS_BOXES = hasattr(io, "BoundingBox")
"""Whether ComfyUI is 0.15 or newer. Its class of the type is not used, since the arguments differ between versions."""


class DetectFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_DetectFaces",
            category=CATEGORY,
            display_name="Detect Faces",
            description="Finds the faces in photos or video frames, and cuts the chosen ones out as aligned crops. "
            "Paste Faces puts them back at the same place.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["face detection", "crop faces", "align face", "find faces", "group photo", "bbox"],
            ),
            inputs=[
                FaceDetector.Input(
                    "face_detector",
                    optional=_HOST_HAS_BOXES,
                    tooltip="Connect Load Face Detector. It is optional if boxes of faces are connected. With it, the "
                    "eyes and the mouth are found inside each box, so that tilted faces are aligned too."
                    if _HOST_HAS_BOXES
                    else "Connect Load Face Detector.",
                ),
                io.Image.Input("image", tooltip="Connect whole photos or video frames, one or a batch."),
                io.String.Input(
                    "select",
                    default="all",
                    tooltip='Write "all", or the numbers of faces in the preview. Numbers begin with 0: "0" takes the '
                    'first face in the chosen order, "0, 2-4" takes four faces. The faces of each picture in a batch '
                    "are numbered anew.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(get_args(Order)),
                    default="largest",
                    tooltip="Choose which face is number 0: the largest face in the picture, the face nearest to the "
                    "middle, the leftmost, the topmost, or the face with the highest confidence.",
                ),
                io.Int.Input(
                    "count",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Take at most this many faces of each picture. 0 takes all.",
                ),
                threshold_input(" A lower value finds more blurred faces, and more places that are not faces."),
                io.Int.Input(
                    "min_size",
                    default=0,
                    min=0,
                    max=8192,
                    tooltip="Ignore faces smaller than this, in pixels of the photo. 0 takes every face.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "smallest",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip="Set the size of the smallest face that the face detector searches for, 10 pixels or more. "
                    "A larger value is faster. 0 means 24 pixels, and more in very large photos.",
                    **ADVANCED,
                ),
                io.Boolean.Input(
                    "rotated",
                    default=True,
                    tooltip="Also search for faces that lie on their side. The face detector then searches three times "
                    "instead of once.",
                    **ADVANCED,
                ),
                io.Combo.Input(
                    "when_empty",
                    options=list(get_args(WhenEmpty)),
                    default="error",
                    tooltip="Choose what happens if no face is left: stop with an error, or pass the pictures on "
                    "unchanged. An empty choice never means all faces.",
                ),
                io.Boolean.Input(
                    "video",
                    default=False,
                    tooltip="Treat the batch as a video. Each face is then followed through the frames, so that it "
                    "keeps its noise and its person.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Steady the crops of a video by the earlier frames only. 0 is off. Prefer averaging, which "
                    "uses the later frames too and steadies more.",
                    **ADVANCED,
                ),
                crop_size_input(),
                *_boxes_input(),
                io.String.Input(
                    "added_boxes",
                    default="",
                    optional=True,
                    tooltip="Add faces that the face detector misses. Write the number of the picture, from 0, and x, "
                    "y, width and height of a box around the face in pixels, such as "
                    '"0: 120,80,60,70; 1: 5,5,40,40". The face picker writes this text when you draw a box.',
                    **ADVANCED,
                ),
                # Workflow files identify widgets by position, so new ones come last, and their default is off.
                averaging_input(
                    0.0,
                    "Steady the crops of a video, so that they do not tremble. The places of eyes, nose and "
                    "mouth are averaged over about this many frames before and after. 0 is off, 2 is a good start. It "
                    "has no effect while video is off.",
                    optional=True,
                ),
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="Holds the chosen faces and their places in the pictures."),
                io.Image.Output(display_name="crops", tooltip="Holds the chosen faces, aligned, as one batch."),
                io.Image.Output(
                    display_name="preview",
                    tooltip="Shows all faces with their numbers. The chosen faces are green. The pictures of a large "
                    "batch are small.",
                ),
                *_boxes_output(),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        select: str | None,
        smallest: int | None,
        face_detector: object = False,
        bboxes: object = False,
        added_boxes: str | None = "",
    ) -> bool | str:
        try:
            parse_indices("all" if select is None else select)
            DetectionSettings(smallest=smallest or None)
            # Before the run, a connected input is None, and an input without a connection is missing.
            has_added_boxes = added_boxes is None or bool(parse_added_boxes(added_boxes))
            _require_source(face_detector is None, bboxes is None or has_added_boxes)
        except SettingsError as error:
            return str(error)
        return True

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
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
        face_detector: FaceNetwork | None = None,
        bboxes: Any = None,
        added_boxes: str = "",
        averaging: float = 0.0,
    ) -> io.NodeOutput:
        _require_source(face_detector is not None, bboxes is not None or bool(added_boxes.strip()))
        images = to_model(image, "image")
        sizes = [images.size] * len(images)
        # Boxes are read first, so that an error in them appears before a long search.
        boxes = None if bboxes is None else parse_boxes(bboxes, sizes)
        boxes_by_hand = parse_added(added_boxes, sizes)
        settings = DetectionSettings(threshold or None, smallest or None, (0, 1, 3) if rotated else (0,))
        detected = None if face_detector is None else _detect(images, face_detector, settings)
        located = (detected or []) if boxes is None else faces_from_boxes(boxes, detected)
        located = with_added_faces(located, boxes_by_hand)
        if video:
            located = smooth_landmarks(average_landmarks(track_faces(located), averaging), smoothing)
        candidates = _with_transforms(located, images, crop_size)
        numbered = select_faces(candidates, order=order, min_size=min_size, when_empty="pass")
        chosen = select_faces(
            candidates,
            order=order,
            indices=parse_indices(select),
            count=count or None,
            min_size=min_size,
            when_empty=when_empty,
        )
        drawn = draw_previews(images, numbered, chosen)
        shown = list(islice(drawn, MOST_SHOWN))
        height, width = shown[0].shape[1:] if shown else images.size
        preview = to_images(chain(shown, drawn), len(images), (height, width))
        display = {
            "images": save_pictures(shown, cls),
            "refldm_faces": describe_pictures(images, numbered, chosen, cls),
        }
        outputs = [chosen, aligned_crops(images, chosen, crop_size), preview]
        return io.NodeOutput(*outputs, *([host_boxes(chosen)] if _HOST_HAS_BOXES else []), ui=display)


def _boxes_input() -> list[io.Input]:
    if not _HOST_HAS_BOXES:
        return []
    return [
        HostBoxes.Input(
            "bboxes",
            optional=True,
            tooltip="Connect the boxes of another node: Detect Face Landmarks (MediaPipe), SDPose, SAM3, RT-DETR or "
            "Create Bounding Boxes. They replace the search: each box is one face. If a box has another label, such as "
            "person, the face detector finds the face in it.",
            extra_dict={"forceInput": True},  # show a socket instead of the widget for a single box
        )
    ]


def _boxes_output() -> list[io.Output]:
    if not _HOST_HAS_BOXES:
        return []
    return [
        HostBoxes.Output(
            display_name="bboxes",
            tooltip="Holds the boxes of the chosen faces for ComfyUI's own nodes, one list for each picture.",
        )
    ]


def _detect(images: ModelPictures, network: FaceNetwork, settings: DetectionSettings) -> list[face.Face]:
    progress = Progress(len(images))
    progress.show(0)

    def on_picture(done: int, _: int) -> None:
        progress.show(done)

    return detect_batch(images, SearchingDetector(network, settings), on_picture)


def _require_source(detector: bool, boxes: bool) -> None:
    if not detector and not boxes:
        raise SettingsError(
            "Detect Faces has neither a face detector nor boxes.",
            expected="a face detector, bounding boxes, or both",
            remedy="connect Load Face Detector to face_detector, or a node with an output bboxes to bboxes",
        )


def _with_transforms(faces: Sequence[face.Face], images: ModelPictures, crop_size: int) -> face.Faces:
    transforms = tuple(crop_transform(located.landmarks, images.size, crop_size) for located in faces)
    return face.Faces(tuple(faces), transforms, (images.size,) * len(images))
