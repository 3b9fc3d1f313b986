"""Reads the schemas of the nodes where there is no ComfyUI.

The nodes import modules of ComfyUI. Here, stand-ins take their places: `io` records what a node writes into its schema,
and everything else may be named, subclassed and called, and does nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

from .pack import PACK, load

PACK_NAME = "refldm_pack_for_schemas"
HOST_MODULES = ("aiohttp", "comfy", "comfy_api", "comfy_execution", "folder_paths", "latent_preview", "server")


@dataclass
class Input:
    """An input of a node. Autogrow has the names of its sockets."""

    id: str
    display_name: str | None = None
    tooltip: str | None = None
    options: Sequence[str] = ()
    sockets: Sequence[str] = ()
    extra_dict: dict[str, Any] = field(default_factory=dict)

    @property
    def hidden(self) -> bool:
        return bool(self.extra_dict.get("hidden"))


@dataclass
class Output:
    display_name: str | None = None
    tooltip: str | None = None


@dataclass
class Schema:
    node_id: str
    display_name: str
    description: str
    inputs: list[Input]
    outputs: list[Output]


def read_schemas() -> list[Schema]:
    """Return the schemas of all nodes, in the order in which ComfyUI gets the nodes."""
    with _host_stand_ins():
        extension = load("nodes.extension", PACK_NAME)
        node_classes = asyncio.run(extension.ReFLDMExtension().get_node_list())
        return [node_class.define_schema() for node_class in node_classes]


def fixed_sockets() -> int:
    """Return how many sockets of a growing input a host without Autogrow shows."""
    with _host_stand_ins():
        return load("nodes.types", PACK_NAME)._FIXED_SOCKETS


class _NamedAnything(type):
    """A class whose every attribute is such a class too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _NamedAnything(name, (_Anything,), {})


class _Anything(metaclass=_NamedAnything):
    """Takes all arguments, has every attribute, and is empty."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return _Anything()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def _input(
    id: str,
    *,
    display_name: str | None = None,
    tooltip: str | None = None,
    options: Sequence[str] = (),
    **_: object,
) -> Input:
    return Input(id, display_name, tooltip, options)


def _output(*, display_name: str | None = None, tooltip: str | None = None, **_: object) -> Output:
    return Output(display_name, tooltip)


def _schema(
    *,
    node_id: str,
    display_name: str,
    description: str,
    inputs: list[Input],
    outputs: Sequence[Output] = (),
    **_: object,
) -> Schema:
    return Schema(node_id, display_name, description, inputs, list(outputs))


_schema.__dataclass_fields__ = {}  # pyright: ignore[reportFunctionMemberAccess]  # where_supported leaves out the rest

_TYPE = SimpleNamespace(Input=_input, Output=_output)


class _Autogrow:
    @staticmethod
    def TemplateNames(template: Input, names: Sequence[str], **_: object) -> Sequence[str]:
        return names

    @staticmethod
    def Input(id: str, sockets: Sequence[str], *, tooltip: str | None = None, **_: object) -> Input:
        return Input(id, tooltip=tooltip, sockets=sockets)


class _Io:
    """Stands for `comfy_api.latest.io`."""

    Schema = staticmethod(_schema)
    Autogrow = _Autogrow
    ComfyNode = _Anything
    Input = Input

    @staticmethod
    def Custom(_: str) -> SimpleNamespace:
        return _TYPE

    def __getattr__(self, name: str) -> SimpleNamespace:
        return _TYPE


_MEMBERS: dict[str, dict[str, Any]] = {
    "comfy_api.latest": {"io": _Io()},
    "folder_paths": {
        "folder_names_and_paths": {},
        "get_filename_list": lambda folder: [],
        "get_folder_paths": lambda folder: [str(PACK / "no models here")],
        "models_dir": str(PACK / "no models here"),
    },
    "server": {"PromptServer": None},
}
"""Members of the host's modules that the schemas depend on."""


class _HostModules(MetaPathFinder, Loader):
    """Finds a stand-in for every module of the host."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] in HOST_MODULES:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name)
        module.__getattr__ = _NamedAnything.__getattr__.__get__(_Anything)  # pyright: ignore[reportAttributeAccessIssue]
        vars(module).update(_MEMBERS.get(spec.name, {}))
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def _host_stand_ins() -> Iterator[None]:
    """Put the stand-ins in place of the host's modules, and take them and the pack away again."""
    finder = _HostModules()
    outside = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in HOST_MODULES}
    for name in outside:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if name.partition(".")[0] in (*HOST_MODULES, PACK_NAME):
                del sys.modules[name]
        sys.modules.update(outside)
