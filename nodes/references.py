"""The nodes that encode reference photos, join the references of several people, and keep them in files."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..refldm_core.checkpoints.references import StoredReferences, load_references, save_references
from ..refldm_core.errors import CheckpointError, OutputError, ReferencesError
from ..refldm_core.files import make_folder
from ..refldm_core.model.reference import ReferenceKV
from ..refldm_core.pipeline import ReferenceEncoding
from . import host
from .crops import reference_crops
from .filenames import safetensors_name, safetensors_path
from .saved_people import saved_names
from .types import ADVANCED, CATEGORY, References, ReferenceSet, where_supported

_MORE_IMAGES = ("images_2", "images_3", "images_4", "images_5")
_THUMBNAIL = 160  # pixels; the face in it is then as large as the input of a recognizer, which Match People needs
_NONE = "(no saved references found)"


class EncodeReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_EncodeReferences",
            category=CATEGORY,
            display_name="Encode References",
            description="Runs each reference photo through the model once and keeps its attention keys and values "
            "(CacheKV). Every sampling step then attends to them. Unchanged references are not encoded again.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["reference photos", "cachekv", "identity", "same person", "face reference"],
            ),
            inputs=[
                io.Model.Input("model", tooltip="Connect the model with the same LoRA as in the sampler, if any."),
                io.Vae.Input("vae", tooltip="Connect the VAE of Load ReF-LDM Model."),
                io.Image.Input(
                    "images",
                    tooltip="Connect good, sharp photos of one person, one or a batch: aligned face crops as in FFHQ. "
                    "2 to 5 photos in all are best; the model was trained with up to 5.",
                ),
                *(
                    io.Image.Input(name, optional=True, tooltip="Connect more photos of the same person, of any size.")
                    for name in _MORE_IMAGES
                ),
                io.Combo.Input(
                    "encoding",
                    options=["joint", "separate"],
                    default="joint",
                    tooltip="Choose how the photos are encoded. joint encodes them side by side as one picture, as in "
                    "training. separate encodes each photo alone. The result then differs a little, and the part of "
                    "each photo does not depend on the others.",
                    **ADVANCED,
                ),
            ],
            outputs=[References.Output(display_name="references", tooltip="Holds the references of one person.")],
        )

    @classmethod
    def execute(
        cls, model: Any, vae: Any, images: Tensor, encoding: ReferenceEncoding, **more_images: Tensor
    ) -> io.NodeOutput:
        host.require_model(model)
        vae = host.require_vae(vae)
        crops = reference_crops({"images": images, **more_images}, model.model.spec.crop_size)
        latents = _encode(vae, crops, encoding) * model.model.spec.scale_factor
        person = ReferenceSet(host.encode_references(model, latents), latents, _thumbnails(crops))
        return io.NodeOutput((person,), ui=_preview(person, cls))


class BatchReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_BatchReferences",
            category=CATEGORY,
            display_name="Batch References",
            description="Joins the references of several people in order. The first person belongs to the first "
            "picture of a batch, the second person to the second picture, and so on.",
            **where_supported(search_aliases=["several people", "join references", "one person each"]),
            inputs=[
                References.Input("references_1", tooltip="Connect the person of the first picture, or several people."),
                References.Input("references_2", tooltip="Connect the person of the next picture, or several people."),
            ],
            outputs=[
                References.Output(display_name="references", tooltip="Holds one person for each picture of a batch.")
            ],
        )

    @classmethod
    def execute(cls, references_1: tuple[ReferenceSet, ...], references_2: tuple[ReferenceSet, ...]) -> io.NodeOutput:
        return io.NodeOutput((*references_1, *references_2))


class SaveReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_SaveReferences",
            category=CATEGORY,
            display_name="Save References",
            description="Saves a person's encoded references in the model folder refldm_references, as a .safetensors "
            "file in 16 bit with small pictures of the person. Load References loads them again. The file reveals who "
            "the person is, so share it as carefully as a photo.",
            **where_supported(search_aliases=["save person", "save identity", "save cachekv"]),
            is_output_node=True,
            inputs=[
                References.Input("references", tooltip="Connect the references of one person, from Encode References."),
                io.String.Input(
                    "name",
                    default="person",
                    tooltip="Write the name of the file, without a folder. The ending is added.",
                ),
                io.Boolean.Input(
                    "overwrite",
                    default=False,
                    tooltip="Replace an existing file of that name. If this is off, the node stops with an error, "
                    "unless the file holds the same references.",
                ),
                io.Boolean.Input(
                    "pictures",
                    default=True,
                    optional=True,
                    tooltip="Save small pictures of the person too, and the photos' latents, which the model can "
                    "decode into the photos. If this is off, the file holds keys and values only. Match People then "
                    "cannot recognize the person, and the file only works without LoRA.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Holds the name of the file in the folder.")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        if name is not None:  # None: another node gives the name when it runs
            try:
                safetensors_name(name)
            except OutputError as error:
                return str(error)
        return True

    @classmethod
    def execute(
        cls, references: tuple[ReferenceSet, ...], name: str, overwrite: bool, pictures: bool = True
    ) -> io.NodeOutput:
        if len(references) != 1:
            raise ReferencesError(
                f"{len(references)} people cannot go into one file.",
                expected="the references of one person",
                remedy="save each person under a name of their own, before Batch References",
            )
        person = references[0]
        path = safetensors_path(host.first_folder(host.REFERENCES), name)
        names = person.names or tuple(f"{path.stem} {i + 1}" for i in range(person.kv.count))
        stored = StoredReferences(person.kv, names, person.thumbnails, person.latents)
        stored = stored if pictures else stored.without_pictures()
        if path.exists() and not overwrite:
            earlier = load_references(path)
            same_pictures = earlier.holds_pictures == stored.holds_pictures
            if not (same_pictures and _is_equal(earlier.references, person.kv)):
                raise OutputError(
                    f"{path} exists already, with {_difference(same_pictures, pictures)}.",
                    expected="a name that is not taken",
                    remedy="choose another name, or switch on overwrite to replace the file",
                )
        else:
            make_folder(path.parent)
            save_references(stored, path)
        return io.NodeOutput(path.name, ui=_preview(person, cls))


class LoadReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_LoadReferences",
            category=CATEGORY,
            display_name="Load References",
            description="Loads the references of a saved person from the model folder refldm_references. They only "
            "work with the model that encoded them.",
            **where_supported(
                has_intermediate_output=True, search_aliases=["load person", "load identity", "saved face"]
            ),
            inputs=[
                io.Combo.Input(
                    "name",
                    options=saved_names() or [_NONE],
                    tooltip="Choose a file of the model folder refldm_references. Press R to refresh the list after "
                    "saving a person.",
                )
            ],
            outputs=[References.Output(display_name="references", tooltip="Holds the references of one person.")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        return True if name is None or host.path_in(host.REFERENCES, name) else str(_missing_file(name))

    @classmethod
    def fingerprint_inputs(cls, name: str) -> str:
        return host.state_of(host.path_in(host.REFERENCES, name))

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        path = host.path_in(host.REFERENCES, name)
        if path is None:
            raise _missing_file(name)
        stored = load_references(path)
        person = ReferenceSet(stored.references, stored.latents, stored.thumbnails, stored.names)
        return io.NodeOutput((person,), ui=_preview(person, cls))


def _difference(same_pictures: bool, pictures: bool) -> str:
    """Return how an existing file differs from the references to save, with or without pictures."""
    if same_pictures:
        return "other references"
    return "references without pictures" if pictures else "pictures"


def _encode(vae: Any, crops: Tensor, encoding: ReferenceEncoding) -> Tensor:
    """Encode crops (references, size, size, 3) in [0, 1] as latents (references, c, h, w).

    The latents are float32, on the CPU, and not yet scaled for the U-Net.
    """
    progress = host.Progress(len(crops) + 1)  # the U-Net's pass is the last step
    if encoding == "joint":
        progress.show(0)
        latents = vae.encode_joint(crops)
    else:
        encoded: list[Tensor] = []
        for done, crop in enumerate(crops):
            progress.show(done)
            encoded.append(vae.encode(crop.unsqueeze(0)))
        latents = torch.cat(encoded)
    progress.show(len(crops))
    return latents.float().cpu()


def _missing_file(name: str) -> CheckpointError:
    return CheckpointError(
        f"There are no saved references {'' if name == _NONE else f'{name} '}in {host.first_folder(host.REFERENCES)}.",
        expected="the name of a file in that folder, which Save References writes",
        remedy="save a person first, or choose one from the list (press R to refresh it)",
    )


def _thumbnails(crops: Tensor) -> Tensor:
    """Shrink square crops (batch, size, size, 3) in [0, 1] to thumbnails (batch, 3, side, side) uint8."""
    side = min(_THUMBNAIL, crops.shape[1])
    small = torch.nn.functional.interpolate(crops.movedim(-1, 1).float().cpu(), (side, side), mode="area")
    return (small * 255.0).round().to(torch.uint8)


def _preview(person: ReferenceSet, cls: type[io.ComfyNode]) -> Any:
    if person.thumbnails is None:
        return None
    return ui.PreviewImage(person.thumbnails.movedim(1, -1).float() / 255.0, cls=cls)


def _is_equal(stored: ReferenceKV, new: ReferenceKV) -> bool:
    if (stored.fingerprint, stored.count, stored.latent_size) != (new.fingerprint, new.count, new.latent_size):
        return False
    cast = new.to("cpu", stored.dtype).layers
    return all(
        torch.equal(kv.k, cast[name].k) and torch.equal(kv.v, cast[name].v) for name, kv in stored.layers.items()
    )
