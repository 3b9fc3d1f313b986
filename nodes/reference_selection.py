"""The node that chooses reference photos."""
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
from .face_types import FaceDetector, FaceParser, FaceRecognizer, crop_size_input, threshold_input
from .host import with_progress
from .images import to_model
from .types import ADVANCED, CATEGORY, growing_inputs, grown_values, where_supported

_PHOTO_SOCKETS = tuple(f"photos_{i}" for i in range(2, 21))
_SHEET_SIDE = 320  # pixels along the longer side of a photo in memory, until the sheet is drawn


class SelectReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_SelectReferences",
            category=CATEGORY,
            display_name="Select References",
            description="Chooses reference photos. It finds the person who is in most of the photos, and drops other "
            "people, copies, and blurred, tiny or covered faces. It then takes the best photo, and photos that differ "
            "most from it.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["reference photos", "choose photos", "best faces", "align references"],
            ),
            # A list of pictures of different sizes is one set of photos. Without this, each would be a run of its own.
            is_input_list=True,
            inputs=[
                io.Image.Input(
                    "photos",
                    tooltip="Connect whole photos of one person: a single photo, a batch or a list. Other people may "
                    "be in them too.",
                ),
                FaceDetector.Input("face_detector", tooltip="Connect Load Face Detector."),
                FaceRecognizer.Input("face_recognizer", tooltip="Connect Load Face Recognizer."),
                io.Int.Input(
                    "count",
                    default=5,
                    min=1,
                    max=32,
                    tooltip="Set the largest number of references. The model was trained with up to 5.",
                ),
                io.Float.Input(
                    "same_person",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Set the cosine similarity above which two photos show the same person.",
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
                    tooltip="Drop faces with more blur than this: 0 is sharp, 1 is blurred beyond use.",
                    **ADVANCED,
                ),
                threshold_input(),
                crop_size_input(),
                *growing_inputs("more_photos", _PHOTO_SOCKETS, io.Image, "Connect more photos, of any size."),
                FaceParser.Input(
                    "face_parser",
                    optional=True,
                    tooltip="Connect Load Face Parser to recognize covered faces. Without it, only a low confidence of "
                    "the face detector hints at them.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="Holds aligned crops for Encode References, the best first."
                ),
                io.String.Output(display_name="report", tooltip="Says why each photo was kept or dropped."),
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
        # Faces smaller than half of min_size are not worth the search, nor a line in the report.
        search = DetectionSettings(threshold[0] or None, smallest=max(24.0, min_size[0] / 2.0))
        detector = SearchingDetector(face_detector[0], search)
        settings = ReferenceSettings(count[0], same_person=same_person[0], min_size=min_size[0], max_blur=max_blur[0])
        small_photos: dict[str, Tensor] = {}
        photos_in_turn = _with_small_copies(_named_photos(batches), small_photos)
        photos_with_progress = with_progress(photos_in_turn, sum(len(batch) for batch in batches))
        chosen = select_references(photos_with_progress, detector, face_recognizer[0], settings, parser=face_parser[0])
        cells = [
            SheetCell(small_photos[verdict.photo], f"{verdict.photo}: {verdict.reason}", verdict.chosen)
            for verdict in _best_first(chosen)
        ]
        display = {"images": save_pictures([draw_sheet(cells)], cls)}
        return io.NodeOutput(model_to_bhwc(resize(chosen.crops, crop_size[0])), chosen.report, ui=display)


def _with_small_copies(
    photos: Iterator[tuple[str, Tensor]], small_photos: dict[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the photos, and put small copies of them into `small_photos` by name."""
    for name, photo in photos:
        small_photos[name] = shrink(photo, _SHEET_SIDE)
        yield name, photo


def _best_first(chosen: ChosenReferences) -> list[Verdict]:
    """Return the verdicts on all photos: the chosen photos in their order, then the dropped ones."""
    rank = {name: place for place, name in enumerate(chosen.names)}
    return sorted(chosen.verdicts, key=lambda verdict: rank.get(verdict.photo, len(rank)))


def _named_photos(batches: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Return all photos (3, height, width) in [-1, 1] with names: "photo 1" and so on."""
    photos = (photo for batch in batches for photo in to_model(batch, "photos"))
    return ((f"photo {number}", photo) for number, photo in enumerate(photos, start=1))
