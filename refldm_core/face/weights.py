"""Addresses and checksums of the published weights of face networks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FaceWeights:
    """A published file with weights.

    Attributes:
        name: Name of the file.
        url: Address in the release of its authors.
        sha256: SHA-256 of the whole file.
        size: Size in bytes.
        license: License or terms of use.
        members: For an archive: name and SHA-256 of each file in it that this project uses.
    """

    name: str
    url: str
    sha256: str
    size: int
    license: str
    members: tuple[tuple[str, str], ...] = ()


_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_WITH_FACEXLIB = "released with facexlib (Apache-2.0)"
_RESEARCH = "non-commercial research only"
_SCRFD_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"

RETINAFACE_RESNET50 = FaceWeights(
    "detection_Resnet50_Final.pth",
    f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth",
    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
    109_497_761,
    _WITH_FACEXLIB,
)
RETINAFACE_MOBILE = FaceWeights(
    "detection_mobilenet0.25_Final.pth",
    f"{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth",
    "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
    1_789_735,
    _WITH_FACEXLIB,
)
PARSENET = FaceWeights(
    "parsing_parsenet.pth",
    f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth",
    "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
    85_331_193,
    _WITH_FACEXLIB,
)
BISENET = FaceWeights(
    "parsing_bisenet.pth",
    f"{_FACEXLIB}/v0.2.0/parsing_bisenet.pth",
    "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
    53_289_463,
    _WITH_FACEXLIB,
)
BUFFALO_L = FaceWeights(
    "buffalo_l.zip",
    f"{_INSIGHTFACE}/buffalo_l.zip",
    "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
    288_621_354,
    _RESEARCH,
    (
        ("det_10g.onnx", _SCRFD_10G),
        ("w600k_r50.onnx", "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"),
    ),
)
BUFFALO_S = FaceWeights(
    "buffalo_s.zip",
    f"{_INSIGHTFACE}/buffalo_s.zip",
    "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
    127_607_557,
    _RESEARCH,
)
ANTELOPE_V2 = FaceWeights(
    "antelopev2.zip",
    f"{_INSIGHTFACE}/antelopev2.zip",
    "8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5",
    360_662_982,
    _RESEARCH,
    (
        ("scrfd_10g_bnkps.onnx", _SCRFD_10G),
        ("glintr100.onnx", "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"),
    ),
)
