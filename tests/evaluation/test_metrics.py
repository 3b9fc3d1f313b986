"""The metrics equal the numbers of their packages and, where no download is needed, independent computations."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from refldm_core.evaluation import learned
from refldm_core.evaluation.identity import PublishedIdentity
from refldm_core.evaluation.metrics import Picture, embed_picture, psnr, ssim, to_unit
from refldm_core.face.errors import MissingPackageError


def pictures(seed: int, size: int = 64) -> tuple[Picture, Picture]:
    """Return a smooth picture with noise, and without."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    truth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    noisy = truth + random.normal(0, 12, truth.shape)
    return noisy.round().clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("seed", range(3))
def test_psnr_and_ssim_equal_those_of_other_packages(seed: int) -> None:
    import pyiqa

    prediction, truth = pictures(seed)
    assert psnr(prediction, truth) == pytest.approx(peak_signal_noise_ratio(truth, prediction), abs=1e-5)
    error = np.mean((prediction.astype(float) - truth.astype(float)) ** 2)
    assert psnr(prediction, truth) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-5)
    tensors = to_unit(prediction), to_unit(truth)
    assert psnr(prediction, truth) == pytest.approx(
        float(pyiqa.create_metric("psnr", device="cpu")(*tensors)), abs=1e-3
    )

    value = ssim(prediction, truth)
    expected = structural_similarity(
        truth, prediction, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert value == pytest.approx(float(np.asarray(expected)), abs=1e-4)
    rgb = pyiqa.create_metric("ssim", device="cpu", channels=3, test_y_channel=False)
    assert value == pytest.approx(float(rgb(*tensors)), abs=1e-4)


def test_equal_pictures_have_the_best_values() -> None:
    _, truth = pictures(0)
    assert psnr(truth, truth) == float("inf")
    assert ssim(truth, truth) == pytest.approx(1.0)


class Thumbnail:
    """A recognizer whose embedding holds the means of 4 x 4 areas."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def embed(self, crops: Tensor) -> np.ndarray:
        self.seen.append(crops)
        flat = torch.nn.functional.adaptive_avg_pool2d(crops, 4).flatten(1).double()
        return (flat / flat.norm(dim=1, keepdim=True)).float().numpy()


def test_identity_is_the_cosine_of_the_published_crop() -> None:
    prediction, truth = pictures(1, 512)
    recognizer = Thumbnail()
    judge = PublishedIdentity(recognizer)
    similarity = judge.similarity(embed_picture(judge, prediction), embed_picture(judge, truth))[0, 0]

    def by_hand(picture: Picture) -> np.ndarray:
        # The crop has rows and columns 32 to 480 of the 512 pixels: 4 x 4 blocks of 112 pixels.
        middle = picture[32:480, 32:480].astype(np.float64) / 127.5 - 1.0
        blocks = middle.reshape(4, 112, 4, 112, 3).mean(axis=(1, 3))
        return blocks.transpose(2, 0, 1).ravel()

    a, b = by_hand(prediction), by_hand(truth)
    assert recognizer.seen[0].shape == (1, 3, 112, 112)
    assert similarity == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)


def test_lpips_equals_that_of_pyiqa(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are random, since trained weights must be downloaded. The test compares the input of the network."""
    import pyiqa
    from pyiqa.archs import lpips_arch

    torch.manual_seed(0)
    alexnet = lpips_arch.models.alexnet
    monkeypatch.setattr(lpips_arch.models, "alexnet", lambda weights: alexnet(weights=None))
    metric = pyiqa.create_metric("lpips", device="cpu", pretrained=False)
    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: metric)
    prediction, truth = pictures(2)
    value = learned.open_pair_metric("lpips")(prediction, truth)
    a, b = (torch.tensor(p).permute(2, 0, 1)[None] / 255.0 for p in (prediction, truth))
    assert value == float(metric(a, b)) > 0.0


def test_metric_without_reference_does_not_see_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    class Brightness:
        metric_mode = "NR"

        def __call__(self, *pictures: Tensor) -> Tensor:
            print("as loud as pyiqa")
            assert len(pictures) == 1
            return pictures[0].mean()

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: Brightness())
    prediction, truth = pictures(2)
    assert learned.open_pair_metric("niqe")(prediction, truth) == pytest.approx(prediction.mean() / 255, abs=1e-6)


def test_fid_equals_the_frechet_distance_of_the_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The features are mean colors, since the weights of pyiqa's network must be downloaded."""
    import pyiqa
    from pyiqa.archs.fid_arch import FID

    class Colors(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

    net = FID.__new__(FID)
    nn.Module.__init__(net)
    net.model, net.test_img_size = Colors(), (16, 16)

    def metric(first: str, second: str, **options: object) -> float:
        return net(first, second, device=torch.device("cpu"), **options)

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: metric)
    random = np.random.default_rng(0)
    sets: list[list[Path]] = []
    colors = [random.integers(0, 256, (6, 3)) for _ in range(2)]
    for name, set_colors in zip("ab", colors, strict=True):
        paths = [tmp_path / f"{name}{i}.png" for i in range(len(set_colors))]
        for path, color in zip(paths, set_colors, strict=True):
            Image.new("RGB", (16, 16), tuple(int(c) for c in color)).save(path)
        sets.append(paths)
    Image.new("RGB", (16, 16)).save(tmp_path / "another.png")  # belongs to neither set
    value = learned.open_set_metric("fid")(*sets)
    (mu_a, s_a), (mu_b, s_b) = ((c.mean(axis=0), np.cov(c, rowvar=False)) for c in colors)
    expected = ((mu_a - mu_b) ** 2).sum() + np.trace(s_a + s_b - 2 * scipy.linalg.sqrtm(s_a @ s_b).real)
    assert value == pytest.approx(expected, rel=1e-4)
    assert capsys.readouterr().out == ""


def test_metric_without_weights_is_absent_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    def create_metric(name: str, device: object) -> object:
        if name in ("lpips", "fid"):
            raise URLError("no route to host")
        if name == "musiq":
            raise RuntimeError("PytorchStreamReader failed\nlong")
        return type("Metric", (), {"metric_mode": "NR", "__call__": lambda self, x: x.mean()})()

    monkeypatch.setattr(pyiqa, "create_metric", create_metric)
    opened = learned.open_learned(["psnr", "lpips", "niqe", "musiq", "fid"])
    assert list(opened.pairs) == ["niqe"] and not opened.sets
    assert set(opened.absent) == {"lpips", "musiq", "fid"}
    assert "no route to host" in opened.absent["lpips"]
    assert opened.absent["musiq"].endswith("(PytorchStreamReader failed)")


def test_error_of_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    assert ".[evaluate]" in learned.open_learned(["fid"]).absent["fid"]
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(MissingPackageError, match=r"\.\[evaluate\]"):
        psnr(*pictures(0))
