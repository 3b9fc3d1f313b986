"""The node that puts restored faces back into their photos."""
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
from .types import ADVANCED, CATEGORY, input_under_earlier_name, where_supported

_COLOR_MATCH: ColorMatch = "wavelet"
_DETAIL: Detail = "unchanged"


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
                    options=list(get_args(ColorMatch)),
                    default=_COLOR_MATCH,
                    optional=True,
                    tooltip="Choose how the face gets the photo's colors. wavelet takes the photo's coarse colors at "
                    "each place, lab takes the mean and the contrast of its colors, none keeps the restored colors.",
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
            crop_masks=None if face_parser is None else _parse_crops(face_parser, photos, faces),
            image_masks=None if mask is None else _mask_of_each_photo(require_mask(mask, "mask"), len(photos)),
        )
        masks = torch.stack([photo.mask for photo in pasted])
        pictures = model_to_bhwc(torch.stack([photo.image for photo in pasted]))
        if pictures.shape[:3] == image.shape[:3]:
            # Conversion to [-1, 1] and back changes the last bit, so pixels outside the mask are copied from the input.
            pictures = torch.where(masks.unsqueeze(-1) > 0.0, pictures, image[..., :3].to(pictures))
        before = save_pictures(photos, cls)
        after = save_pictures([photo.image for photo in pasted], cls)
        display = {"images": [*after, *before], "refldm_before": before, "refldm_after": after}
        return io.NodeOutput(pictures, masks, ui=display)


def _parse_crops(parser: Parser, photos: Tensor, faces: face.Faces) -> list[Tensor]:
    """Return the mask (size, size) of face and hair in each face's crop."""
    size = (photos.shape[-2], photos.shape[-1])
    crops = [
        align(photos[item.frame], transform.for_image(size))
        for item, transform in zip(faces.faces, faces.transforms, strict=True)
    ]
    return [parser.mask(crop.unsqueeze(0))[0] for crop in crops]


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
