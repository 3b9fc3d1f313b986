"""Small valid files, from which the cases are made. Code makes all of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image, ImageCms, PngImagePlugin
from safetensors.torch import save_file

from refldm_core import embedded
from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.checkpoints.references import StoredReferences, save_references
from refldm_core.diffusion.schedule import NoiseSpec
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec
from refldm_core.pictures.formats import writable_format
from refldm_core.samples import CLIP

from ..weights import GOLDEN

SPEC = ModelSpec(
    UNetSpec(
        in_channels=8, out_channels=4, model_channels=32, channel_mult=(1, 2), num_res_blocks=1,
        attention_downsampling=(2,), num_head_channels=16,
    ),
    FirstStageSpec(channels=32, channel_mult=(1, 2), num_res_blocks=1, z_channels=4, embed_dim=4, codebook_size=32),
    latent_size=16,
)  # fmt: skip
"""A model of about 3 MB for faces of 32 pixels."""

MODEL, WEIGHTS, PEOPLE = "model.safetensors", "weights", "people"


def write_seed_files(folder: Path) -> None:
    """Write all seed files. Each subfolder has the files of one reader."""
    folder.mkdir()
    write_random_model(folder / MODEL, SPEC)
    _write_weights(folder / WEIGHTS)
    _write_pictures(folder / "pictures")
    _write_texts(folder)
    (folder / "video").mkdir()
    (folder / "video" / "clip.mp4").write_bytes(CLIP.read_bytes())
    (folder / "networks").mkdir()
    for source in (embedded.DETECTOR, embedded.RECOGNIZER):
        (folder / "networks" / source.name).write_bytes(source.read_bytes())


def photo(seed: int, width: int = 32, height: int = 24) -> Image.Image:
    """Return a smooth picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def _write_weights(folder: Path) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    tensors = {
        "model.diffusion_model.a.weight": torch.randn(8, 4),
        "betas": torch.linspace(0.001, 0.02, 100),
        "half": torch.randn(3, 5).half(),
        "counts": torch.arange(7),
    }
    save_file(tensors, folder / "small.safetensors", {"refldm.spec": "{}", "note": "text"})
    torch.save(tensors, folder / "small.ckpt")
    torch.save({"state_dict": tensors, "epoch": 3}, folder / "nested.ckpt")
    torch.save(tensors, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    layers = {name: KeyValue(torch.randn(2, 8, 4), torch.randn(2, 8, 4)) for name in ("a.1", "b.1")}
    references = ReferenceKV(layers, 2, (2, 2), "fingerprint")
    thumbnails, latents = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.randn(2, 4, 2, 2)
    (folder.parent / "references").mkdir()
    for name, stored in {
        "plain": StoredReferences(references),
        "full": StoredReferences(references, ("Anna", "Zoë"), thumbnails, latents),
    }.items():
        save_references(stored, folder.parent / "references" / f"{name}.safetensors")


def _write_pictures(folder: Path) -> None:
    folder.mkdir()
    picture = photo(1)
    exif = Image.Exif()
    exif[274], exif[315] = 6, "somebody"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for ending in ("png", "jpg", "webp", "tif", "bmp", "avif", "jp2", "ppm"):
        if writable_format(folder / f"a.{ending}"):
            picture.save(folder / f"plain.{ending}")
    picture.save(folder / "progressive.jpg", progressive=True, exif=exif, icc_profile=srgb, dpi=(72, 72))
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.save(folder / "exif.webp", exif=exif, lossless=True, icc_profile=srgb)
    picture.save(folder / "lzw.tif", compression="tiff_lzw")
    picture.save(folder / "deflate.tif", compression="tiff_adobe_deflate", exif=exif)
    picture.convert("F").point(lambda value: value / 255).save(folder / "float.tif")
    picture.convert("LAB").save(folder / "lab.tif")
    picture.save(folder / "colors.gif")
    picture.save(folder / "animated.gif", save_all=True, append_images=[photo(2)], duration=50)
    picture.save(folder / "animated.webp", save_all=True, append_images=[photo(2)], duration=50)
    picture.save(folder / "animated.png", save_all=True, append_images=[photo(2)], duration=50)
    picture.quantize(16).save(folder / "palette.png")
    picture.convert("LA").save(folder / "alpha.png")
    deep = np.random.default_rng(0).integers(0, 65536, (24, 32), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep).save(folder / "deep.tif")
    text = PngImagePlugin.PngInfo()
    text.add_text("refldm", json.dumps({"size": 32}))
    text.add_itxt("note", "text", zip=True)
    picture.save(folder / "text.png", pnginfo=text, exif=exif, icc_profile=srgb)


def _write_texts(folder: Path) -> None:
    config = folder / "config"
    config.mkdir()
    (config / "published.yaml").write_bytes((GOLDEN / "config_tiny.yaml").read_bytes())
    run = folder / "run"
    run.mkdir()
    for source in (Path(__file__).parents[2] / "training").rglob("*.yaml"):
        (run / source.name).write_bytes(source.read_bytes())
    yaml_folder = folder / "yaml"
    yaml_folder.mkdir()
    values = {"a": [1, 2.5, None, True, "text"], "b": {"c": "2020-01-01", "d": [[1], [2]]}, "e": 1e-4}
    (yaml_folder / "plain.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    (yaml_folder / "anchors.yaml").write_text("a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: !!str 3}\n", encoding="utf-8")
    tables = folder / "tables"
    tables.mkdir()
    rows = [["gt_image", "ref_image"], ["a0.png", "['a1.png', 'a2.png']"], ["b0.png", "['b1.png']"]]
    _write_csv(tables / "references.csv", rows)
    _write_csv(tables / "people.csv", [["image", "person"], ["a0.png", "Anna"], ["b0.png", "Ben"]])
    _write_csv(tables / "seconds.csv", [["image", "seconds"], ["a0.png", "1.5"], ["b0.png", "2"]])
    restored = {"restored": [{"input": "a", "seconds": 1.5, "faces": [{"box": [0, 0, 1, 1]}]}, {"seconds": 2}]}
    (folder / "json").mkdir()
    (folder / "json" / "seconds.json").write_text(json.dumps(restored, indent=1), encoding="utf-8")
    about = {"recognizers": {"ids": "a" * 64}, "references": None, "versions": {"pyiqa": "0.1"}}
    evaluation = {"about": about, "sets": {"fid 0": 12.5}}
    (folder / "json" / "evaluation.json").write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
    (folder / "json" / "conditions.json").write_text(json.dumps({"model": "x", "seed": 1}), encoding="utf-8")


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


__all__ = ["MODEL", "PEOPLE", "SPEC", "NoiseSpec", "photo", "write_seed_files"]
