"""Let a stage of the networks run out of memory, on request of a test."""

import sys

import torch
from aiohttp import web
from server import PromptServer

_METHODS = {
    "encode": ("refldm_core.model.vqgan", "Encoder", "forward"),
    "decode": ("refldm_core.model.vqgan", "Decoder", "forward"),
    "references": ("refldm_core.model.unet", "UNet", "_reference_pass"),
    "step": ("refldm_core.model.unet", "UNet", "forward"),
    "detector": ("refldm_core.face.backends", "RetinaFaceNetwork", "_find"),
    "parser": ("refldm_core.face.parsing", "FaceParser", "labels"),
}
"""Stage -> the function that fails. The length of its first argument is the size of the batch."""

full_stage = ""
room = 0
first_call = 1
calls = failures = 0


def _limit(stage: str) -> None:
    """Let a stage fail if it is the full one, its batch is larger than `room`, and the call is late enough."""
    name, kind, method = _METHODS[stage]
    module = next(module for key, module in list(sys.modules.items()) if key.endswith(f".{name}"))
    original = getattr(getattr(module, kind), method)

    def limited(self, batch, *args, **kwargs):
        global calls, failures  # noqa: PLW0603
        if stage == full_stage:
            calls += 1
            if calls >= first_call and len(batch) > room:
                failures += 1
                raise torch.cuda.OutOfMemoryError("CUDA out of memory (of the probe).")
        return original(self, batch, *args, **kwargs)

    setattr(getattr(module, kind), method, limited)


@PromptServer.instance.routes.get("/refldm_probe/full")
async def fill(request):
    """Return how often the full stage was called and failed, and choose the next full stage.

    ?stage=S lets S fail for batches larger than ?room=N, from its call number ?call=K on. Without a stage, none fails.
    """
    global full_stage, room, first_call, calls, failures
    for stage in list(_METHODS):
        _limit(stage)
        del _METHODS[stage]  # once
    answer = {"calls": calls, "failures": failures}
    full_stage, room = request.query.get("stage", ""), int(request.query.get("room", 0))
    first_call, calls, failures = int(request.query.get("call", 1)), 0, 0
    return web.json_response(answer)
