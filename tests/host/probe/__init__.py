"""A ComfyUI pack for tests. It counts the work of the networks, and lets a test read the counts and slow the U-Net."""

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

from . import (
    detection,
    memory,  # noqa: F401  # adds a route
)


class PlainConditioning:
    """A conditioning without data of ReF-LDM, as a text encoder outputs it."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def make(self):
        return ([[torch.zeros(1, 77, 768), {}]],)


class TracedModel:
    """TorchCompileModel with a back end that runs the traced graph unchanged."""

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
    """The output of the host's MediaPipe node for one face in each picture, from the x and y of five points."""

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
    """Images as a faulty node of another pack may output them."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kind": ("STRING",)}}

    def make(self, kind):
        good = torch.full((1, 128, 128, 3), 0.5)
        images = {
            "empty": good[:0],
            "gray": good[..., :1],
            "two channels": good[..., :2],
            "uint8": (good * 255).to(torch.uint8),
            "NaN": good / 0 * 0,
            "infinity": good / 0,
            "array": good.numpy(),
            "nothing": None,
        }
        return (images[kind],)


NODE_CLASS_MAPPINGS = {
    "RefldmProbeOddImage": OddImage,
    "RefldmProbeConditioning": PlainConditioning,
    "RefldmProbeCompile": TracedModel,
    "RefldmProbeLandmarks": Landmarks,
    **detection.NODES,
}

counts: Counter = Counter()
batches: list = []
step_delay = 0.0  # seconds
device_memory = 0  # bytes; 0 means the real size
widest_picture = 0  # pixels; 0 means no limit


def _end_with_the_tests() -> None:
    """End this server when the tests' process is gone. A killed process cannot stop its server."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


threading.Thread(target=_end_with_the_tests, daemon=True).start()


def _pack_module(name):
    """Return a module of the loaded pack, such as "nodes.host"."""
    return next(module for key, module in list(sys.modules.items()) if key.endswith(f".{name}"))


def _limit_pictures() -> None:
    """Let the first stage run out of memory in pictures wider than `widest_picture` pixels. 0 means no limit."""
    first_stage = _pack_module("refldm_core.model.vqgan").FirstStage
    encode = first_stage.encode

    def limited_encode(self, image):
        if widest_picture and image.shape[3] > widest_picture:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (of the probe).")
        return encode(self, image)

    first_stage.encode = limited_encode


def _instrument(host) -> None:
    """Count the calls of the networks, previews and progress."""
    _limit_pictures()
    get_total_memory = comfy.model_management.get_total_memory
    comfy.model_management.get_total_memory = lambda *args, **kwargs: device_memory or get_total_memory(*args, **kwargs)
    forward, encode = host.HostUNet.forward, host.HostUNet.encode_references
    preview = latent_preview.LatentPreviewer.decode_latent_to_preview_image

    @torch.compiler.disable  # otherwise each count would cause another compilation
    def count(x):
        counts["unet"] += 1
        batches.append(x.shape[0])
        time.sleep(step_delay)

    def counted_forward(self, x, *args, **kwargs):
        count(x)
        return forward(self, x, *args, **kwargs)

    def counted_encode(self, latents, *args, **kwargs):
        counts["null" if not latents.any() else "references"] += 1
        return encode(self, latents, *args, **kwargs)

    def counted_preview(self, *args, **kwargs):
        decoded = preview(self, *args, **kwargs)
        counts["previews"] += 1
        counts["preview_colors"] = len(set(decoded[1].getdata()))
        return decoded

    update_absolute = comfy.utils.ProgressBar.update_absolute

    def counted_progress(self, value, total=None, preview=None):
        counts["progress"] += 1
        counts["progress_pictures"] += preview is not None and isinstance(preview[1], Image.Image)
        return update_absolute(self, value, total, preview)

    comfy.utils.ProgressBar.update_absolute = counted_progress
    host.HostUNet.forward, host.HostUNet.encode_references = counted_forward, counted_encode
    latent_preview.LatentPreviewer.decode_latent_to_preview_image = counted_preview


@PromptServer.instance.routes.get("/refldm_probe/pending")
async def report_pending(request):
    """Return the requests to free memory that the host has not taken yet."""
    return web.json_response(PromptServer.instance.prompt_queue.get_flags(reset=False))


@PromptServer.instance.routes.get("/refldm_probe")
async def report(request):
    """Return what was counted since the last report.

    ?alive=1 also counts the objects that are alive. ?slow=S delays each call of the U-Net by S seconds. ?memory=N
    reports a device of N bytes, or its real size for 0. ?widest=N lets the first stage fail on pictures wider than N
    pixels, or on none for 0.
    """
    global step_delay, device_memory, widest_picture  # noqa: PLW0603
    host = _pack_module("nodes.host")
    if not hasattr(host.HostUNet, "_probed"):
        host.HostUNet._probed = True
        _instrument(host)
    step_delay = float(request.query.get("slow", step_delay))
    device_memory = int(request.query.get("memory", device_memory))
    widest_picture = int(request.query.get("widest", widest_picture))
    answer = {"unet": 0, "references": 0, "null": 0, "previews": 0, **counts, "batches": batches[:]}
    answer["graphs"] = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    counts.clear()
    batches.clear()
    if request.query.get("alive"):
        gc.collect()
        kinds = {
            "models": host.ReFLDMModel,
            "vaes": host.ReFLDMVAE,
            "kv": _pack_module("refldm_core.model.reference").ReferenceKV,
        }
        objects = gc.get_objects()
        answer |= {name: sum(type(o) is kind for o in objects) for name, kind in kinds.items()}
        answer["tensors"] = sum(type(o) is torch.Tensor for o in objects)
    return web.json_response(answer)
