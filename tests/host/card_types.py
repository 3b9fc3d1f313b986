"""Run by a host's own Python, in its folder: the types that the loader chooses on cards that are described as JSON.

python card_types.py PACK_LOADER CARDS [FLAG...]    CARDS: a list of properties, as torch.cuda.get_device_properties
"""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace
from typing import Any

_, pack_loader, cards, *flags = sys.argv
sys.path[0] = "."  # the host's folder instead of this one, which has a comfy.py of its own
sys.argv = ["main.py", "--cpu", *flags]  # without --cpu the host looks for a card when it is imported

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.cli_args  # noqa: E402
import comfy.model_management as management  # noqa: E402
import torch  # noqa: E402


def _load(module: str) -> Any:
    spec = spec_from_file_location("pack_loader", pack_loader)
    assert spec is not None and spec.loader is not None
    loader = module_from_spec(spec)
    spec.loader.exec_module(loader)
    return loader.load(module)


loading = _load("nodes.host.loading")
supported = _load("nodes.host.model").ReFLDMConfig.supported_inference_dtypes
weights = {"": torch.zeros(1000)}


def _types(dtype: str, device: str, types: list[torch.dtype]) -> list[str]:
    return [str(one).removeprefix("torch.") for one in loading._types(dtype, weights, torch.device(device), types)]


told: dict[str, Any] = {}
loading.has_fast_bfloat16 = lambda: True
told["cpu"] = _types("auto", "cpu", supported)
told["cpu, float32 alone"] = _types("auto", "cpu", [torch.float32])
comfy.cli_args.args.cpu = False
management.cpu_state = management.CPUState.GPU
management.get_total_memory = lambda *args, **kwargs: 6 * 2**30
torch.cuda.is_bf16_supported = lambda *args, **kwargs: True  # with emulation it is, on every card
for card in json.loads(cards):
    torch.version.hip = "6.4" if card["gcnArchName"].startswith("gfx") else None
    torch.cuda.get_device_properties = lambda device, card=card: SimpleNamespace(**card)
    ways = {"auto": supported, "float16": supported, "float32 alone": [torch.float32]}
    told[card["name"]] = {way: _types(way.replace("float32 alone", "auto"), "cuda:0", ways[way]) for way in ways}
print(json.dumps(told))
