"""The nodes that load the networks that find, recognize and parse faces."""
# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from ..refldm_core import embedded
from ..refldm_core.checkpoints.faces import (
    DETECTOR_FILES,
    PARSER_FILES,
    DetectorName,
    detector_path,
    load_detector,
    load_parser,
    load_recognizer,
)
from ..refldm_core.face.parsing import ParserKind
from .face_types import FaceDetector, FaceParser, FaceRecognizer
from .host import face_files, face_networks, warn_of_training
from .types import CATEGORY, where_supported

_PACK = DETECTOR_FILES["insightface"]
_BEST_FIRST: tuple[DetectorName, ...] = ("insightface", "retinaface_resnet50", "retinaface_mobile0.25")


class LoadFaceDetector(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_LoadFaceDetector",
            category=CATEGORY,
            display_name="Load Face Detector",
            description="Loads a network that finds faces and their five landmarks, from the model folder refldm. "
            "The node downloads nothing.",
            **where_supported(
                search_aliases=["retinaface", "scrfd", "insightface", "face detection model", "facexlib"]
            ),
            inputs=[
                io.Combo.Input(
                    "backend",
                    options=list(DETECTOR_FILES),
                    default=next((name for name in _BEST_FIRST if _detector(name).exists()), embedded.NAME),
                    tooltip="insightface is SCRFD of the pack buffalo_l, which Load Face Recognizer uses too (for "
                    "research only). retinaface_resnet50 and retinaface_mobile0.25 belong to facexlib; the second is "
                    "faster and finds fewer faces. embedded is a small detector that comes with this pack, for "
                    "rendered "
                    "people only.",
                )
            ],
            outputs=[FaceDetector.Output(display_name="face_detector")],
        )

    @classmethod
    def fingerprint_inputs(cls, backend: DetectorName) -> str:
        return backend + face_files.state_of_files(_detector(backend))

    @classmethod
    def execute(cls, backend: DetectorName) -> io.NodeOutput:
        folder = face_files.face_folder(DETECTOR_FILES[backend])
        network = load_detector(backend, folder).network
        warn_of_training({"detector": network.metadata})
        return io.NodeOutput(face_networks.manage_network(network))


class LoadFaceRecognizer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        names = face_files.recognizers()
        best_first = [_PACK] if _PACK in names else names
        return io.Schema(
            node_id="ReFLDM_LoadFaceRecognizer",
            category=CATEGORY,
            display_name="Load Face Recognizer",
            description="Loads an ArcFace network that tells people apart, from the model folder refldm. The node "
            "downloads nothing.",
            **where_supported(search_aliases=["arcface", "insightface", "face embedding", "identity", "face id"]),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=list(dict.fromkeys([_PACK, *names, embedded.NAME])),
                    default=next(iter(best_first), embedded.NAME),
                    tooltip="Choose the folder of an insightface pack such as buffalo_l, or an ONNX file of its "
                    "recognizer "
                    "such as w600k_r50.onnx, in the model folder refldm (for research only). embedded is a small "
                    "recognizer that comes with this pack, for rendered people only.",
                )
            ],
            outputs=[FaceRecognizer.Output(display_name="face_recognizer")],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str) -> str:
        return model + face_files.state_of_files(_recognizer(model))

    @classmethod
    def execute(cls, model: str) -> io.NodeOutput:
        recognizer = load_recognizer(_recognizer(model))
        warn_of_training({"recognizer": recognizer.metadata})
        return io.NodeOutput(recognizer)


class LoadFaceParser(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_LoadFaceParser",
            category=CATEGORY,
            display_name="Load Face Parser",
            description="Loads a network that marks which pixels of an aligned crop are face and hair, from the model "
            "folder refldm. Paste Faces uses it, and Select References finds covered faces with it. The node downloads "
            "nothing.",
            **where_supported(search_aliases=["bisenet", "parsenet", "face segmentation", "face mask", "facexlib"]),
            inputs=[
                io.Combo.Input(
                    "kind",
                    options=list(PARSER_FILES),
                    default="parsenet",
                    tooltip="Both networks belong to facexlib and have the same purpose. facexlib's own pasting uses "
                    "parsenet.",
                )
            ],
            outputs=[FaceParser.Output(display_name="face_parser")],
        )

    @classmethod
    def fingerprint_inputs(cls, kind: ParserKind) -> str:
        return kind + face_files.state_of_files(_face_file(PARSER_FILES[kind]))

    @classmethod
    def execute(cls, kind: ParserKind) -> io.NodeOutput:
        parser = load_parser(kind, face_files.face_folder(PARSER_FILES[kind]))
        return io.NodeOutput(face_networks.ManagedParser(parser))


def _detector(backend: DetectorName) -> Path:
    return detector_path(backend, face_files.face_folder(DETECTOR_FILES[backend]))


def _recognizer(model: str) -> Path:
    return embedded.RECOGNIZER if model == embedded.NAME else _face_file(model)


def _face_file(name: str) -> Path:
    return face_files.face_folder(name) / name
