"""Run HostUNet and FirstStage with the host's layers on a simulated GPU, and print the results as JSON.

The host's own Python runs this file:

    python fake_gpu.py PACK HOST
"""

import itertools
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

pack, host = Path(sys.argv[1]), Path(sys.argv[2])
# The host must not look for a GPU, since there is none. The attention is the one that it chooses on NVIDIA's GPUs.
sys.argv = [sys.argv[0], "--cpu", "--use-pytorch-cross-attention"]
# Remove this file's folder: its comfy.py would hide the host's package.
sys.path[:1] = [str(host), str(pack)]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ldm.modules.diffusionmodules.model as host_model  # noqa: E402
import comfy.ops  # noqa: E402
import torch  # noqa: E402

from benchmarks.common.measuring import TINY  # noqa: E402
from benchmarks.common.simulated_gpu import GPU, CopyCounter, MemoryMeter, simulated_gpu  # noqa: E402


def describe(result, counter):
    return {"device": result.device.type, "dtype": str(result.dtype), "copies": counter.copies}


def unet(operations, storage, compute):
    """One guided step of two faces with different numbers of references."""
    network = host_network.HostUNet(TINY.unet, device=GPU, dtype=storage, operations=operations)
    size = TINY.latent_size
    latents = torch.zeros(3, TINY.unet.out_channels, size, size, device=GPU, dtype=compute)
    references = network.encode_references(latents)
    null = network.encode_references(torch.zeros_like(latents[:1]))
    x = torch.zeros(4, TINY.unet.in_channels, size, size, device=GPU, dtype=compute)
    batch = host_conditioning.ReferenceBatch((null.repeat(3), null.repeat(1), references, references.select(0)))
    with CopyCounter() as counter:
        result = network(x, torch.zeros(4, device=GPU), batch)
    return describe(result, counter)


def first_stage(operations, storage, compute):
    network = vqgan.FirstStage(
        TINY.first_stage,
        operations=operations,
        attention=first_stages._host_attention(),
        device=GPU,
        dtype=storage,
    )
    pictures = torch.zeros(2, 3, TINY.crop_size, TINY.crop_size, device=GPU)
    with CopyCounter() as counter:
        result = network.decode(network.encode(pictures))
    return describe(result, counter)


def estimates(dtype):
    """Return the pack's memory estimates for encoding and decoding one picture, divided by the memory they take."""
    network = vqgan.FirstStage(
        RELEASED.first_stage,
        operations=comfy.ops.disable_weight_init,
        attention=first_stages._host_attention(),
        device=GPU,
        dtype=dtype,
    )
    picture = torch.zeros(1, 3, RELEASED.crop_size, RELEASED.crop_size, device=GPU, dtype=dtype)
    encode, decode = first_stages.memory_estimates(network)
    with MemoryMeter() as encoding:
        latent = network.encode(picture)
    with MemoryMeter() as decoding:
        network.decode(latent)
    return [encode(picture.shape, dtype) / encoding.peak, decode(latent.shape, dtype) / decoding.peak]


def largest_difference(host_function):
    """Return the largest difference between the core's attention and a host's attention for VAEs, on the CPU."""
    q, k, v = torch.randn(3, 2, 1, 12, 64, generator=torch.Generator().manual_seed(0))
    host_model.vae_attention = lambda: host_function
    return (first_stages._host_attention()(q, k, v) - attention.plain_attention(q, k, v)).abs().max().item()


pack_loader_spec = spec_from_file_location("pack_loader", pack / "tests" / "nodes" / "pack.py")
pack_loader = module_from_spec(pack_loader_spec)
pack_loader_spec.loader.exec_module(pack_loader)

RELEASED = pack_loader.load("refldm_core.model.variants").RELEASED
host_network = pack_loader.load("nodes.host.network")
host_conditioning = pack_loader.load("nodes.host.conditioning")
first_stages = pack_loader.load("nodes.host.first_stage")
vqgan = pack_loader.load("refldm_core.model.vqgan")
attention = pack_loader.load("refldm_core.model.attention")

host_vae_attention = {
    function.__name__: largest_difference(function)
    for function in (host_model.pytorch_attention, host_model.normal_attention)
}
host_model.vae_attention = lambda: host_model.pytorch_attention

results = {}
with simulated_gpu(), torch.no_grad():
    for work, (name, operations) in itertools.product(
        (unet, first_stage),
        {"disable_weight_init": comfy.ops.disable_weight_init, "manual_cast": comfy.ops.manual_cast}.items(),
    ):
        for storage in (torch.float32, torch.float16, torch.bfloat16):
            compute = torch.bfloat16 if name == "manual_cast" else storage
            results[f"{work.__name__} {name} {storage}"] = work(operations, storage, compute)
    memory = {str(dtype): estimates(dtype) for dtype in (torch.float32, torch.bfloat16)}
print(json.dumps({"simulated": results, "vae_attention": host_vae_attention, "memory": memory}))
