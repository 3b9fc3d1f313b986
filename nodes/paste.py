"""The node that puts restored faces back into their photos."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.color import ColorMatch
from ..refldm_core.face.parsing import FaceParser as Parser
from ..refldm_core.face.paste import Detail, PastedPicture, PasteSettings, pasted_pictures
from ..refldm_core.images import model_to_bhwc
from ..refldm_core.temporal import with_steady_colors
from .crops import crops_of
from .display import MOST_SHOWN, longest_shown, save_pictures, shrink
from .face_types import FaceParser, Faces
from .images import ModelPictures, require_mask, to_model
from .types import ADVANCED, CATEGORY, input_under_earlier_name, where_supported

_COLOR_MATCH: ColorMatch = "wavelet"
_DETAIL: Detail = "unchanged"
_STEADY = "steady"
"""The color match of a video, which needs the faces of all frames."""


class PasteFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_PasteFaces",
            category=CATEGORY,
            display_name="Paste Faces",
            description="Puts restored faces back into their photos without a seam. Pixels outside the mask do not "
            "change, to the last bit.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["paste back", "uncrop face", "blend face", "composite face", "face swap back"],
            ),
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="Connect the photos in which the faces were found, or all of them enlarged by an upscaler.",
                ),
                Faces.Input("faces", tooltip="Connect the faces of the restored crops, in the same order."),
                io.Image.Input("restored", tooltip="Connect one restored crop for each face, of any size."),
                io.Float.Input(
                    "feather",
                    default=0.1,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Set the width of the soft edge, as a fraction of the crop's side.",
                    **ADVANCED,
                ),
                # Workflow files identify values by position only, so color_match must stay the second widget. It is
                # optional, and optional inputs follow the required ones. So all inputs from here on are optional.
                io.Combo.Input(
                    "color_match",
                    options=[*get_args(ColorMatch), _STEADY],
                    default=_COLOR_MATCH,
                    optional=True,
                    tooltip="Choose how the face gets the photo's colors. wavelet takes the photo's coarse colors at "
                    "each place, lab takes the mean and the contrast of its colors, none keeps the restored colors. "
                    "steady is for videos: it takes the coarse colors of the frames up to this one, so that their "
                    "noise does not flicker in the face.",
                ),
                io.Float.Input(
                    "blend",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Mix the restored face with the photo: 1 shows the restored face only, 0 shows the old "
                    "photo only.",
                ),
                io.Combo.Input(
                    "detail",
                    options=list(get_args(Detail)),
                    default=_DETAIL,
                    optional=True,
                    tooltip="A large face loses fine detail in a smaller crop. Choose where this detail returns from "
                    "the photo: unchanged means where restoring left the face as it was, always means everywhere, "
                    "never means nowhere.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "upscale",
                    default=1.0,
                    min=1.0,
                    max=8.0,
                    step=0.5,
                    optional=True,
                    tooltip="Set the factor that enlarges the result. Above 1, a small face that was enlarged for "
                    "restoring keeps more of its new detail. It has no effect on photos that are enlarged already.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Connect a mask that is white where the photo may change: one for all photos, or one for "
                    "each.",
                ),
                FaceParser.Input(
                    "face_parser",
                    optional=True,
                    tooltip="Connect Load Face Parser to paste only face and hair. Without it, the whole crop is "
                    "pasted with soft edges.",
                ),
                input_under_earlier_name("colour_match", list(get_args(ColorMatch)), "color_match"),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="Holds the photos with their restored faces."),
                io.Mask.Output(display_name="mask", tooltip="Holds the share of restored faces in each pixel."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        image: Tensor,
        faces: face.Faces,
        restored: Tensor,
        feather: float,
        color_match: ColorMatch | Literal["steady"] = _COLOR_MATCH,
        blend: float = 1.0,
        detail: Detail = _DETAIL,
        upscale: float = 1.0,
        mask: Tensor | None = None,
        face_parser: Parser | None = None,
        colour_match: ColorMatch | Literal[""] = "",
    ) -> io.NodeOutput:
        photos, crops = to_model(image, "image"), to_model(restored, "restored")
        color = colour_match or color_match
        # Pasting says what does not fit.
        is_steady = color == _STEADY and (len(crops), len(photos)) == (len(faces), len(faces.image_sizes))
        settings = PasteSettings(feather, "none" if color == _STEADY else color, blend, upscale, detail)
        pasted = pasted_pictures(
            photos,
            faces,
            _with_steady_colors(crops, photos, faces) if is_steady else crops,
            settings,
            crop_masks=None if face_parser is None else _parse_crops(face_parser, photos, faces),
            image_masks=None if mask is None else _mask_of_each_photo(require_mask(mask, "mask"), len(photos)),
        )
        pictures, masks, shown = _collect(pasted, image)
        before, after = save_pictures(photos, cls), save_pictures(shown, cls)
        display = {"images": [*after, *before], "refldm_before": before, "refldm_after": after}
        return io.NodeOutput(pictures, masks, ui=display)


def _collect(pasted: Iterator[PastedPicture], image: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the pictures as an IMAGE, their MASK, and small copies (3, height, width) of those that the page shows.

    Args:
        pasted: The pictures, one by one, so that a video is not in memory twice.
        image: The photos, (batch, height, width, 3 or 4).
    """
    count, height, width, _ = image.shape
    pictures, masks = torch.zeros(0, height, width, 3), torch.zeros(0, height, width)
    shown: list[Tensor] = []
    for i, photo in enumerate(pasted):
        if i == 0:
            masks = photo.mask.new_empty(count, *photo.mask.shape)
            pictures = photo.image.new_empty(count, *photo.mask.shape, 3)
        pictures[i], masks[i] = model_to_bhwc(photo.image.unsqueeze(0))[0], photo.mask
        if photo.mask.shape == (height, width):
            # Conversion to [-1, 1] and back changes the last bit, so pixels outside the mask are copied from the input.
            untouched = image[i, ..., :3].to(pictures)
            pictures[i] = torch.where(photo.mask.unsqueeze(-1) > 0.0, pictures[i], untouched)
        if i < MOST_SHOWN:
            shown.append(shrink(photo.image, longest_shown(count)))
    return pictures, masks, shown


def _with_steady_colors(restored: ModelPictures, photos: ModelPictures, faces: face.Faces) -> Tensor:
    """Return the restored crops (faces, 3, size, size) with the coarse colors of their tracks."""
    size = restored.size[1]
    original = torch.zeros(len(faces), 3, size, size)
    for i, crop in enumerate(crops_of(photos, faces, size)):
        original[i] = crop
    return with_steady_colors(restored, original, faces.faces)


def _parse_crops(parser: Parser, photos: ModelPictures, faces: face.Faces) -> list[Tensor]:
    """Return the mask (size, size) of face and hair in each face's crop."""
    return [parser.mask(crop.unsqueeze(0))[0] for crop in crops_of(photos, faces)]


def _mask_of_each_photo(mask: Tensor, photos: int) -> list[Tensor]:
    """Return a mask (height, width) for each photo from a MASK (height, width) or (batch, height, width)."""
    masks = mask.reshape(-1, *mask.shape[-2:])
    if len(masks) not in (1, photos):
        raise SettingsError(
            f"There are {len(masks)} masks for {photos} photos.",
            expected="one mask for all photos, or one for each",
            remedy="connect the masks that belong to these photos",
        )
    return [masks[i % len(masks)] for i in range(photos)]
