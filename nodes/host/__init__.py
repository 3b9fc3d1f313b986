"""ComfyUI's own machinery, as far as the nodes use it: model folders, models in its memory manager, sampling.

The only place that touches comfy.*, folder_paths and latent_preview. There is no host where types are checked, so that
these files leave missing imports out of it.
"""

from __future__ import annotations

from .conditioning import build_conditioning
from .fingerprints import fingerprint_of
from .first_stage import ReFLDMVAE, require_vae
from .folders import MODELS, REFERENCES, files_in, first_folder, folders_of, path_in, register_folders, state_of
from .guidance import guided_at_timesteps, guided_during
from .loading import DTYPES, load_model
from .messages import tell, warn_of_training
from .model import ReFLDMModel, require_model
from .network import HostUNet
from .progress import Progress, with_progress
from .routes import register_routes
from .sampling import CoreSampler, encode_references, parts_of, sample, sigmas_of

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
    "guided_at_timesteps",
    "guided_during",
    "load_model",
    "parts_of",
    "path_in",
    "register_folders",
    "register_routes",
    "require_model",
    "require_vae",
    "sample",
    "sigmas_of",
    "state_of",
    "tell",
    "warn_of_training",
    "with_progress",
]
