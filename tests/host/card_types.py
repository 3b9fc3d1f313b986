"""Print the dtypes that the loader chooses on graphics cards that are described as JSON.

The host's own Python runs this file in the host's folder:

    python card_types.py PACK_LOADER CARDS [FLAG...]

PACK_LOADER is the path of tests/nodes/pack.py. CARDS is a list of properties, named as those that
torch.cuda.get_device_properties returns. Each FLAG is an option of ComfyUI.
"""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace
from typing import Any

_, pack_loader, cards, *flags = sys.argv
sys.path[0] = "."  # the host's folder; this file's folder has a comfy.py of its own
sys.argv = ["main.py", "--cpu", *flags]  # without --cpu, the host looks for a card when it is imported

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


def _chosen_dtypes(choice: str, device: str, supported: list[torch.dtype]) -> list[str]:
    dtypes = loading._types(choice, weights, torch.device(device), supported)
    return [str(dtype).removeprefix("torch.") for dtype in dtypes]


dtypes: dict[str, Any] = {}
loading.has_fast_bfloat16 = lambda: True
dtypes["cpu"] = _chosen_dtypes("auto", "cpu", supported)
dtypes["cpu, float32 alone"] = _chosen_dtypes("auto", "cpu", [torch.float32])
comfy.cli_args.args.cpu = False
management.cpu_state = management.CPUState.GPU
management.get_total_memory = lambda *args, **kwargs: 6 * 2**30
torch.cuda.is_bf16_supported = lambda *args, **kwargs: True  # every card supports it by emulation
for card in json.loads(cards):
    torch.version.hip = "6.4" if card["gcnArchName"].startswith("gfx") else None
    torch.cuda.get_device_properties = lambda device, card=card: SimpleNamespace(**card)
    dtypes[card["name"]] = {
        "auto": _chosen_dtypes("auto", "cuda:0", supported),
        "float16": _chosen_dtypes("float16", "cuda:0", supported),
        "float32 alone": _chosen_dtypes("auto", "cuda:0", [torch.float32]),
    }
print(json.dumps(dtypes))
