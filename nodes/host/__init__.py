"""The parts of ComfyUI (the "host") that the nodes use: model folders, the memory manager, sampling.

Only this folder imports comfy.*, folder_paths and latent_preview. ComfyUI is not installed where types are checked, so
these files switch off pyright's report of missing imports.
"""

from __future__ import annotations

from .conditioning import build_conditioning, require_one_for_each
from .fingerprints import fingerprint_of
from .first_stage import ReFLDMVAE, require_vae
from .folders import (
    MODELS,
    REFERENCES,
    files_in,
    first_folder,
    folders_of,
    path_in,
    register_folders,
    state_of,
    temporary_file,
    temporary_folder,
)
from .guidance import limit_guidance_to_part, limit_guidance_to_timesteps
from .loading import DTYPES, load_model
from .messages import show_text, warn_of_training
from .model import ReFLDMModel, require_model
from .network import HostUNet
from .progress import Progress, with_progress
from .routes import register_routes
from .sampling import CoreSampler, encode_references, sample, sigmas_of, split_by_memory

__all__ = [
    "DTYPES",
    "MODELS",
    "REFERENCES",
    "CoreSampler",
    "HostUNet",
    "Progress",
    "ReFLDMModel",
    "ReFLDMVAE",
    "build_conditioning",
    "encode_references",
    "files_in",
    "fingerprint_of",
    "first_folder",
    "folders_of",
    "limit_guidance_to_part",
    "limit_guidance_to_timesteps",
    "load_model",
    "path_in",
    "register_folders",
    "register_routes",
    "require_model",
    "require_one_for_each",
    "require_vae",
    "sample",
    "show_text",
    "sigmas_of",
    "split_by_memory",
    "state_of",
    "temporary_file",
    "temporary_folder",
    "warn_of_training",
    "with_progress",
]
