"""The node that aligns faces whose landmarks are known already."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import align_faces, face_from_landmarks
from ..refldm_core.face.errors import FaceError
from ..refldm_core.face.landmarks import landmarks_from_points, parse_landmarks
from ..refldm_core.images import model_to_bhwc
from .face_types import Faces, crop_size_input
from .images import ModelPictures, to_model
from .types import CATEGORY, where_supported

HostLandmarks = io.Custom("FACE_LANDMARKS")
"""The type of ComfyUI's own MediaPipe nodes, which newer hosts have: {"frames": [[{"landmarks_xy": (468 or 478, 2)}]],
"image_size": (height, width)}."""


class FacesFromLandmarks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_FacesFromLandmarks",
            category=CATEGORY,
            display_name="Faces From Landmarks",
            description="Aligns faces whose landmarks are known: you type them, or ComfyUI's own MediaPipe nodes find "
            "them. It needs no face detector.",
            **where_supported(search_aliases=["landmarks", "mediapipe", "manual face", "face points", "align face"]),
            inputs=[
                io.Image.Input("image", tooltip="Connect whole photos or video frames, one or a batch."),
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    tooltip="Write one face on each line, as ten numbers in pixels: x and y of the left eye, the right "
                    "eye, the nose, and the left and right corner of the mouth. Left and right are those of the "
                    "picture. The faces are the same in every picture of a batch. The text is ignored if "
                    "face_landmarks is connected.",
                ),
                crop_size_input(),
                HostLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="Connect the node Detect Face Landmarks (MediaPipe), which ComfyUI 0.23 and newer have.",
                ),
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="Holds the faces and their places in the pictures."),
                io.Image.Output(display_name="crops", tooltip="Holds the aligned faces as one batch."),
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, text: str, crop_size: int, face_landmarks: dict[str, Any] | None = None
    ) -> io.NodeOutput:
        images = to_model(image, "image")
        located_faces = (
            _faces_from_text(text, len(images)) if face_landmarks is None else _faces_from_host(face_landmarks, images)
        )
        faces, crops = align_faces(images, located_faces, crop_size)
        return io.NodeOutput(faces, model_to_bhwc(crops))


def _faces_from_text(text: str, frames: int) -> list[face.Face]:
    lines = parse_landmarks(text)
    return [face_from_landmarks(landmarks, frame) for frame in range(frames) for landmarks in lines]


def _faces_from_host(landmarks: dict[str, Any], images: ModelPictures) -> list[face.Face]:
    frames, size = landmarks["frames"], images.size
    if len(frames) != len(images) or tuple(landmarks.get("image_size", size)) != size:
        height, width = landmarks.get("image_size", size)
        raise SettingsError(
            f"There are landmarks of {len(frames)} pictures of {width}x{height} pixels for {len(images)} pictures of "
            f"{size[1]}x{size[0]} pixels.",
            expected="landmarks that were found in these pictures",
            remedy="connect the same pictures to both nodes",
        )
    located_faces = [
        face_from_landmarks(landmarks_from_points(detected["landmarks_xy"]), frame)
        for frame, faces in enumerate(frames)
        for detected in faces
    ]
    if not located_faces:
        raise FaceError(
            "The connected landmarks hold no face.",
            expected="at least one face",
            remedy="lower min_confidence in Detect Face Landmarks, or use Detect Faces",
        )
    return located_faces
