"""How much GPU memory a restoration takes, by number type, number of references and number of faces.

python -m benchmarks.memory --output docs/memory.md

The released architecture runs on a simulated GPU (benchmarks/common/simulated_gpu.py), so no GPU is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from refldm_core.model.variants import RELEASED, ModelSpec
from refldm_core.pipeline import PUBLISHED_SEED, Restorer, SamplingSettings

from ..common.reporting import run_and_report
from ..common.simulated_gpu import GPU, MemoryMeter, simulated_gpu, simulated_restorer

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
REFERENCES = (1, 4, 16)
FACES = (1, 8)
GIB = 2**30


class Memory(NamedTuple):
    """Bytes on the GPU.

    Attributes:
        weights: weights of U-Net and first stage.
        references: keys and values of the references and of the null reference, kept while sampling.
        encoding_joint, encoding_separate: peak besides the weights while the references are encoded.
        sampling: peak besides the weights during a guided step, including the keys and values.
        decoding: peak besides the weights while the restored latents are decoded, including the keys and values.
    """

    weights: int
    references: int
    encoding_joint: int
    encoding_separate: int
    sampling: int
    decoding: int

    @property
    def peak(self) -> int:
        """Peak if the references are encoded jointly, as published."""
        return self.weights + max(self.encoding_joint, self.sampling, self.decoding)

    @property
    def peak_separate(self) -> int:
        """Peak if each reference is encoded alone."""
        return self.weights + max(self.encoding_separate, self.sampling, self.decoding)


def simulate_restoration(spec: ModelSpec, dtype: torch.dtype, references: int, faces: int) -> Memory:
    """Simulate the restoration of a batch of faces with a number of references each."""
    with simulated_gpu():
        restorer = simulated_restorer(spec, dtype)
        networks = (restorer.unet, restorer.first_stage)
        weights = sum(p.numel() * p.element_size() for network in networks for p in network.parameters())
        photos = torch.zeros(references, 3, spec.crop_size, spec.crop_size, device=GPU)
        latents = torch.zeros(faces, spec.first_stage.embed_dim, spec.latent_size, spec.latent_size, device=GPU)
        joint = _peak(lambda: restorer.encode_references(photos))
        separate = _peak(lambda: restorer.encode_references(photos, "separate"))
        with MemoryMeter() as meter:
            kv = restorer.encode_references(photos, "separate")
            sample = _sampler(restorer, latents, kv)
            sample()  # the first run encodes the null reference, which is kept
            caches = meter.allocated
        sampling, decoding = _peak(sample), _peak(lambda: restorer.decode(latents))
        return Memory(weights, caches, joint, separate, caches + sampling, caches + decoding)


def _sampler(restorer: Restorer, latents: torch.Tensor, kv: Any) -> Callable[[], object]:
    seeds = [PUBLISHED_SEED] * len(latents)
    return lambda: restorer.sample(latents, kv, seeds, SamplingSettings(steps=2))


def _peak(work: Callable[[], object]) -> int:
    with MemoryMeter() as meter:
        work()
    return meter.peak


def render() -> str:
    """Return the report with its table, in GiB."""
    rows = [row(dtype, references, faces) for dtype in DTYPES for references in REFERENCES for faces in FACES]
    return "\n".join([_HEAD, _line(_COLUMNS), "|" + "---|" * len(_COLUMNS), *rows, _TAIL])


def row(dtype: torch.dtype, references: int, faces: int) -> str:
    """Return one line of the table."""
    usage = simulate_restoration(RELEASED, dtype, references, faces)
    gibibytes = [f"{value / GIB:.2f}" for value in (*usage, usage.peak, usage.peak_separate)]
    return _line([str(dtype).removeprefix("torch."), str(references), str(faces), *gibibytes])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


_HEAD = """\
# GPU memory

GiB that the released architecture takes on a GPU, by type, references and faces that are restored at once. The figures
are of a simulated GPU (`python -m benchmarks.memory --output docs/memory.md`), which counts every tensor. A real one
needs some hundred megabytes more: for CUDA itself, for the workspace of cuDNN, and for memory that fragmentation loses.
In ComfyUI, add what the host keeps of other models.

- "Weights" are those of U-Net and first stage. With float16, the first stage computes in float32, whose range it needs.
- "Kept" are the keys and values of the references and of guidance's null reference.
- Encoding the references jointly, as the model was trained, takes memory for each of them at once. Encoding them
  separately takes no more than one. Where joint encoding does not fit, the error says so.
- The first stage encodes and decodes one picture of 512 x 512 pixels at a time. So more faces at once cost more memory
  in a step, but hardly any in decoding.
- The peak is the weights and the largest of the stages, which run one after the other.
"""
_TAIL = """\
## When the memory is not enough

A stage that runs out of memory goes on with half as many items at once, and again with half of them, down to one. The
result is the same up to rounding. Before each try, torch is asked to give the memory of the failed one back to the GPU.
One line in the console says what was done. The next prompt begins with whole batches again. The tests inject errors.
This has not run on a full GPU yet.

| stage | falls back to | if not even that fits |
|---|---|---|
| encode pictures | one picture at a time | tiles in ComfyUI, then an error |
| encode references jointly | nothing: parts of this wide picture have other latents | an error that names `separate` |
| encode references separately | it takes one picture at a time already | tiles in ComfyUI, then an error |
| keys and values of references | one reference at a time | an error |
| sampling step | one prediction at a time; with guidance, a face has two | an error |
| decode pictures | one picture at a time | tiles in ComfyUI, then an error |
| recognize faces | one face at a time | an error |
| find faces | one part of a picture at a time | an error |
| face parser | it takes one face at a time already | an error |

- In ComfyUI this also holds for stock samplers, VAE Encode and VAE Decode. ComfyUI itself decides beforehand, by an
  estimate, whether positive and negative run together. A model behind TorchCompileModel is not split.
- Tiles are ComfyUI's own last resort. They give a different picture, and the console says so.
- The error names remedies. ComfyUI then unloads all models, so that the next prompt finds free memory.
"""
_COLUMNS = (
    "type",
    "references",
    "faces",
    "weights",
    "kept",
    "encoding, joint",
    "encoding, separate",
    "a step",
    "decoding",
    "peak, joint",
    "peak, separate",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    args = parser.parse_args()
    return run_and_report(render, args.output)
