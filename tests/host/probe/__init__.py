"""A test-only ComfyUI pack: counts what the networks do, and lets a test see and slow it down."""

import gc
import os
import sys
import threading
import time
from collections import Counter

import comfy.model_management
import comfy.utils
import latent_preview
import numpy as np
import torch
import torch._dynamo
from aiohttp import web
from comfy_api.torch_helpers import set_torch_compile_wrapper
from PIL import Image
from server import PromptServer

from . import detection


class PlainConditioning:
    """A conditioning without anything of ReF-LDM's in it."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def make(self):
        return ([[torch.zeros(1, 77, 768), {}]],)


class Traced:
    """TorchCompileModel with a back end that runs the traced graph as it is."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "trace"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def trace(self, model):
        traced = model.clone()
        set_torch_compile_wrapper(model=traced, backend="eager")
        return (traced,)


class Landmarks:
    """What the host's own MediaPipe node gives, for five points x y of one face in each picture."""

    RETURN_TYPES = ("FACE_LANDMARKS",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"points": ("STRING",), "pictures": ("INT",)}}

    def make(self, points, pictures):
        mesh = np.zeros((478, 2), dtype=np.float32)
        mesh[[468, 473, 1, 61, 291]] = np.array(points.split(), dtype=np.float32).reshape(5, 2)
        return ({"frames": [[{"landmarks_xy": mesh}] for _ in range(pictures)], "image_size": (192, 256)},)


class OddImage:
    """Pictures as a faulty node of another pack may give them."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kind": ("STRING",)}}

    def make(self, kind):
        good = torch.full((1, 128, 128, 3), 0.5)
        odd = {
            "empty": good[:0],
            "gray": good[..., :1],
            "two channels": good[..., :2],
            "uint8": (good * 255).to(torch.uint8),
            "NaN": good / 0 * 0,
            "infinity": good / 0,
            "array": good.numpy(),
            "nothing": None,
        }
        return (odd[kind],)


NODE_CLASS_MAPPINGS = {
    "RefldmProbeOddImage": OddImage,
    "RefldmProbeConditioning": PlainConditioning,
    "RefldmProbeCompile": Traced,
    "RefldmProbeLandmarks": Landmarks,
    **detection.NODES,
}

counts: Counter = Counter()
batches: list = []
slowness = 0.0
memory = 0
widest = 0


def _end_with_the_tests() -> None:
    """A test run that is killed cannot stop its server."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


threading.Thread(target=_end_with_the_tests, daemon=True).start()


def _host():
    return next(m for name, m in list(sys.modules.items()) if name.endswith(".nodes.host") and hasattr(m, "HostUNet"))


def _kv():
    return next(m.ReferenceKV for n, m in list(sys.modules.items()) if n.endswith(".refldm_core.model.reference"))


def _limit_pictures() -> None:
    """The first stage runs out of memory in pictures that are wider than `widest` pixels; 0 is no limit."""
    name = next(name for name in list(sys.modules) if name.endswith(".refldm_core.model.vqgan"))
    first_stage = sys.modules[name].FirstStage
    encode = first_stage.encode

    def limited_encode(self, image):
        if widest and image.shape[3] > widest:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (of the probe).")
        return encode(self, image)

    first_stage.encode = limited_encode


def _instrument() -> None:
    host = _host()
    _limit_pictures()
    total = comfy.model_management.get_total_memory
    comfy.model_management.get_total_memory = lambda *args, **kwargs: memory or total(*args, **kwargs)
    forward, encode = host.HostUNet.forward, host.HostUNet.encode_references
    preview = latent_preview.LatentPreviewer.decode_latent_to_preview_image

    @torch.compiler.disable  # or each number that is counted here would be compiled for
    def count(x):
        counts["unet"] += 1
        batches.append(x.shape[0])
        time.sleep(slowness)

    def counted_forward(self, x, *args, **kwargs):
        count(x)
        return forward(self, x, *args, **kwargs)

    def counted_encode(self, latents, *args, **kwargs):
        counts["null" if not latents.any() else "references"] += 1
        return encode(self, latents, *args, **kwargs)

    def counted_preview(self, *args, **kwargs):
        told = preview(self, *args, **kwargs)
        counts["previews"] += 1
        counts["preview_colors"] = len(set(told[1].getdata()))
        return told

    show = comfy.utils.ProgressBar.update_absolute

    def counted_progress(self, value, total=None, preview=None):
        counts["progress"] += 1
        counts["progress_pictures"] += preview is not None and isinstance(preview[1], Image.Image)
        return show(self, value, total, preview)

    comfy.utils.ProgressBar.update_absolute = counted_progress
    host.HostUNet.forward, host.HostUNet.encode_references = counted_forward, counted_encode
    latent_preview.LatentPreviewer.decode_latent_to_preview_image = counted_preview


@PromptServer.instance.routes.get("/refldm_probe")
async def report(request):
    """What was counted since the last report; ?alive=1 counts living objects as well, ?slow=S slows the U-Net,
    ?memory=N makes the device that small (0: as it is), ?widest=N lets no wider picture be encoded."""
    global slowness, memory, widest  # noqa: PLW0603
    if not hasattr(_host().HostUNet, "_probed"):
        _host().HostUNet._probed = True
        _instrument()
    slowness = float(request.query.get("slow", slowness))
    memory = int(request.query.get("memory", memory))
    widest = int(request.query.get("widest", widest))
    told = {"unet": 0, "references": 0, "null": 0, "previews": 0, **counts, "batches": batches[:]}
    told["graphs"] = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    counts.clear()
    batches.clear()
    if request.query.get("alive"):
        gc.collect()
        host = _host()
        kinds = {"models": host.ReFLDMModel, "vaes": host.ReFLDMVAE, "kv": _kv()}
        objects = gc.get_objects()
        told |= {name: sum(type(o) is kind for o in objects) for name, kind in kinds.items()}
        told["tensors"] = sum(type(o) is torch.Tensor for o in objects)
    return web.json_response(told)
