"""References chosen from photos."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.face.detection import DetectionSettings, SearchingDetector
from ..refldm_core.face.matching import SAME_PERSON
from ..refldm_core.face.references import ChosenReferences, ReferenceSettings, Verdict, select_references
from ..refldm_core.images import model_to_bhwc, resize
from .display import save_pictures, shrink
from .drawing import SheetCell, draw_sheet
from .face_types import FaceDetector, FaceParser, FaceRecognizer, crop_size_input
from .host import with_progress
from .images import to_model
from .types import ADVANCED, CATEGORY, growing_inputs, grown_values, where_supported

_PHOTO_SOCKETS = tuple(f"photos_{i}" for i in range(2, 21))
_SHEET = 320  # pixels of a photo that is kept to be shown


class SelectReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_SelectReferences",
            category=CATEGORY,
            display_name="Select References",
            description="Chooses reference photos: finds the person who is in most of them, drops other people, "
            "copies, blurred, tiny and covered faces, and takes the best that differ most.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["reference photos", "choose photos", "best faces", "align references"],
            ),
            # A list of pictures of different sizes is one set of photos, not one run for each.
            is_input_list=True,
            inputs=[
                io.Image.Input(
                    "photos", tooltip="Whole photos of one person, among others perhaps: one, a batch or a list."
                ),
                FaceDetector.Input("face_detector", tooltip="From Load Face Detector."),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                io.Int.Input(
                    "count", default=5, min=1, max=32, tooltip="References at most. The model was trained with up to 5."
                ),
                io.Float.Input(
                    "same_person",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Set the cosine similarity above which two photos show one person.",
                    **ADVANCED,
                ),
                io.Int.Input(
                    "min_size",
                    default=80,
                    min=0,
                    max=4096,
                    tooltip="Set the size of the smallest useful face, in pixels of the photo.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "max_blur",
                    default=0.6,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Drop faces that are more blurred than this: 0 is sharp, 1 is blurred beyond use.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Set the least confidence of the face detector in a face. 0 takes its authors' value.",
                    **ADVANCED,
                ),
                crop_size_input(),
                *growing_inputs("more_photos", _PHOTO_SOCKETS, io.Image, "Connect more photos, of any size."),
                FaceParser.Input(
                    "face_parser", optional=True, tooltip="Sees covered faces. Without, only the detector's doubt does."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="Aligned crops for Encode References, the best first."),
                io.String.Output(display_name="report", tooltip="Why each photo was kept or dropped."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        photos: list[Tensor],
        face_detector: list[Any],
        face_recognizer: list[Any],
        count: list[int],
        same_person: list[float],
        min_size: list[int],
        max_blur: list[float],
        threshold: list[float],
        crop_size: list[int],
        face_parser: Sequence[Any] = (None,),
        **more: Any,
    ) -> io.NodeOutput:
        more_photos = grown_values("more_photos", _PHOTO_SOCKETS, more)
        batches = [*photos, *(batch for batches_of_socket in more_photos for batch in batches_of_socket)]
        # Half the size that is useful: far smaller faces are not worth the search, nor a verdict.
        search = DetectionSettings(threshold[0] or None, smallest=max(24.0, min_size[0] / 2.0))
        detector = SearchingDetector(face_detector[0], search)
        settings = ReferenceSettings(count[0], same_person=same_person[0], min_size=min_size[0], max_blur=max_blur[0])
        small: dict[str, Tensor] = {}
        watched = with_progress(_remembered(_photos(batches), small), sum(len(batch) for batch in batches))
        chosen = select_references(watched, detector, face_recognizer[0], settings, parser=face_parser[0])
        cells = [SheetCell(small[v.photo], f"{v.photo}: {v.reason}", v.kept) for v in _best_first(chosen)]
        shown = {"images": save_pictures([draw_sheet(cells)], cls)}
        return io.NodeOutput(model_to_bhwc(resize(chosen.crops, crop_size[0])), chosen.report, ui=shown)


def _remembered(photos: Iterator[tuple[str, Tensor]], small: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The same photos; small copies of them are put into `small` by name."""
    for name, photo in photos:
        small[name] = shrink(photo, _SHEET)
        yield name, photo


def _best_first(chosen: ChosenReferences) -> list[Verdict]:
    rank = {name: place for place, name in enumerate(chosen.names)}
    return sorted(chosen.verdicts, key=lambda verdict: rank.get(verdict.photo, len(rank)))


def _photos(batches: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    photos = (photo for batch in batches for photo in to_model(batch, "photos"))
    return ((f"photo {number}", photo) for number, photo in enumerate(photos, start=1))
