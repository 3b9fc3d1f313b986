"""The official ReF-LDM files: their addresses and the SHA-256 of their content.

The node pack ships this module, but not the module `download`. Nothing in the pack opens a network connection.
"""

from __future__ import annotations

from dataclasses import dataclass

LICENSE = """\
The official ReF-LDM weights are for NON-COMMERCIAL RESEARCH USE ONLY. They are published by their authors at
https://github.com/ChiWeiHsiao/ref-ldm, not by this project; by downloading them you accept the authors' terms, which
you find there."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, its address, and the SHA-256 that its content must have."""

    name: str
    url: str
    sha256: str


_RELEASE = "https://github.com/ChiWeiHsiao/ref-ldm/releases/download/1.0.0"

OFFICIAL = (
    RemoteFile(
        "refldm.ckpt",
        f"{_RELEASE}/refldm.ckpt",
        "ad953ba72b52ed32dd280232ff0070bc6cb097a71dce250318730c884e38b778",
    ),
    RemoteFile(
        "vqgan.ckpt",
        f"{_RELEASE}/vqgan.ckpt",
        "7b08407b454f5328aaaf1eda35418a5a53dcc68caaf3bcf12ab88b8f21ec1a5d",
    ),
)
