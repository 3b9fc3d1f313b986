"""facexlib's own parsing networks, with weight files of the published layout."""

from __future__ import annotations

import warnings

import pytest
import torch

from refldm_core.checkpoints.reading import read_tensors
from refldm_core.errors import CheckpointError
from refldm_core.face.parsing import FaceParser


def constant_parser(tmp_path, kind, label):
    """Make a network of random weights whose last layer gives every pixel the label `label`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "parsenet":
            from facexlib.parsing.parsenet import ParseNet

            network = ParseNet(in_size=512, out_size=512, parsing_ch=19)
        else:
            from facexlib.parsing.bisenet import BiSeNet

            network = BiSeNet(num_class=19)
    tensors = network.state_dict()
    if kind == "parsenet":
        tensors["out_mask_conv.conv2d.weight"].zero_()
        tensors["out_mask_conv.conv2d.bias"].copy_(torch.eye(19)[label])
    else:
        # The last convolution has no bias. The logit of one class is the mean of positive features, all others are 0.
        tensors["conv_out.conv_out.weight"].zero_()
        tensors["conv_out.conv_out.weight"][label] = 1
        tensors["conv_out.conv.bn.bias"].fill_(1)
    path = tmp_path / f"parsing_{kind}.pth"
    torch.save(tensors, path)
    return FaceParser(kind, read_tensors(path).tensors)


def test_parsenet_neck_is_not_face(tmp_path):
    parser = constant_parser(tmp_path, "parsenet", 17)  # neck
    crops = torch.zeros(1, 3, 96, 96)
    mask = parser.mask(crops)
    assert mask.shape == (1, 512, 512)
    assert not mask.any()


def test_bisenet_hair_is_face_only_if_chosen(tmp_path):
    parser = constant_parser(tmp_path, "bisenet", 17)  # hair
    crops = torch.zeros(2, 3, 128, 128)
    assert (parser.labels(crops) == 17).all()
    assert parser.mask(crops).all()
    assert not parser.mask(crops, hair=False).any()
    assert parser.visible(crops).tolist() == [1, 1]


def test_a_file_of_the_other_network_is_refused(tmp_path):
    bisenet = constant_parser(tmp_path, "bisenet", 0)
    with pytest.raises(CheckpointError, match="the face parser parsenet"):
        FaceParser("parsenet", bisenet.module.state_dict())
