"""Putting restored faces back."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Literal, get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import align
from ..refldm_core.face.color import ColorMatch
from ..refldm_core.face.parsing import FaceParser as Parser
from ..refldm_core.face.paste import Detail, PasteSettings, paste_faces
from ..refldm_core.images import model_to_bhwc
from .display import save_pictures
from .face_types import FaceParser, Faces
from .images import require_mask, to_model
from .types import ADVANCED, CATEGORY, earlier_name, where_supported

_COLOR_MATCH: ColorMatch = "wavelet"
_DETAIL: Detail = "unchanged"


class PasteFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_PasteFaces",
            category=CATEGORY,
            display_name="Paste Faces",
            description="Puts restored faces back into their photos without a seam. What lies outside the mask stays "
            "as it was, to the last bit.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["paste back", "uncrop face", "blend face", "composite face", "face swap back"],
            ),
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The photos in which the faces were found, or all of these enlarged by an upscaler.",
                ),
                Faces.Input("faces", tooltip="Of the restored crops, in their order."),
                io.Image.Input("restored", tooltip="One crop for each face, of any size."),
                io.Float.Input(
                    "feather",
                    default=0.1,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Set the width of the soft edge, as a part of the crop's side.",
                    **ADVANCED,
                ),
                # From here on all are optional, since an optional input stands after the required ones, and values in
                # workflow files are told apart by their places alone: color_match stays the second.
                io.Combo.Input(
                    "color_match",
                    options=list(get_args(ColorMatch)),
                    default=_COLOR_MATCH,
                    optional=True,
                    tooltip="Choose how the face gets the photo's colors: wavelet takes the photo's coarse colors "
                    "place by place, lab takes its mean and contrast, none keeps the restored colors.",
                ),
                io.Float.Input(
                    "blend",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Mix the restored face with the photo: 1 shows the restored face alone, 0 the photo as it "
                    "was.",
                ),
                io.Combo.Input(
                    "detail",
                    options=list(get_args(Detail)),
                    default=_DETAIL,
                    optional=True,
                    tooltip="Choose where detail of the photo that the crop was too small for is put back: where the "
                    "face was left unchanged, always, or never.",
                    **ADVANCED,
                ),
                io.Float.Input(
                    "upscale",
                    default=1.0,
                    min=1.0,
                    max=8.0,
                    step=0.5,
                    optional=True,
                    tooltip="Enlarge the result. Above 1, a small face that was enlarged for restoring keeps more of "
                    "its new detail. It has no effect on photos that come enlarged.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Where the photo may change: white. One for all photos, or one each."
                ),
                FaceParser.Input(
                    "face_parser", optional=True, tooltip="Limits pasting to face and hair. Without, the crop's shape."
                ),
                earlier_name("colour_match", list(get_args(ColorMatch)), "color_match"),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The photos with their restored faces."),
                io.Mask.Output(display_name="mask", tooltip="How much of each pixel comes from restored faces."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        image: Tensor,
        faces: face.Faces,
        restored: Tensor,
        feather: float,
        color_match: ColorMatch = _COLOR_MATCH,
        blend: float = 1.0,
        detail: Detail = _DETAIL,
        upscale: float = 1.0,
        mask: Tensor | None = None,
        face_parser: Parser | None = None,
        colour_match: ColorMatch | Literal[""] = "",
    ) -> io.NodeOutput:
        photos = to_model(image, "image")
        settings = PasteSettings(feather, colour_match or color_match, blend, upscale, detail)
        pasted = paste_faces(
            list(photos),
            faces,
            to_model(restored, "restored"),
            settings,
            crop_masks=None if face_parser is None else _parsed(face_parser, photos, faces),
            image_masks=None if mask is None else _each(require_mask(mask, "mask"), len(photos)),
        )
        masks = torch.stack([photo.mask for photo in pasted])
        pictures = model_to_bhwc(torch.stack([photo.image for photo in pasted]))
        if pictures.shape[:3] == image.shape[:3]:
            # From [0, 1] to [-1, 1] and back costs the last bit.
            pictures = torch.where(masks.unsqueeze(-1) > 0.0, pictures, image[..., :3].to(pictures))
        before = save_pictures(photos, cls)
        after = save_pictures([photo.image for photo in pasted], cls)
        shown = {"images": [*after, *before], "refldm_before": before, "refldm_after": after}
        return io.NodeOutput(pictures, masks, ui=shown)


def _parsed(parser: Parser, photos: Tensor, faces: face.Faces) -> list[Tensor]:
    size = (photos.shape[-2], photos.shape[-1])
    crops = [
        align(photos[one.frame], transform.for_image(size))
        for one, transform in zip(faces.faces, faces.transforms, strict=True)
    ]
    return [parser.mask(crop.unsqueeze(0))[0] for crop in crops]


def _each(mask: Tensor, photos: int) -> list[Tensor]:
    """MASK (height, width) or (batch, height, width) -> one for each photo."""
    masks = mask.reshape(-1, *mask.shape[-2:])
    if len(masks) not in (1, photos):
        raise SettingsError(
            f"There are {len(masks)} masks for {photos} photos.",
            expected="one mask for all photos, or one for each",
            remedy="connect the masks that belong to these photos",
        )
    return [masks[i % len(masks)] for i in range(photos)]
