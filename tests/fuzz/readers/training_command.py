"""`refldm train`, with odd configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from refldm_core.synthetic.dataset import DatasetSpec, render_missing

from ..cases import Action, Case, Reader
from .commands import ODD_TEXTS, run

_TRAINING: Mapping[str, Any] = {
    "task": "first_stage",
    "output": "out",
    "corpus": {"people": 2, "pictures": 2, "size": 32},
    "groups": {"targets": 1, "references": 1},
    "optimizer": {"learning_rate": 1e-3, "warmup": 1, "betas": [0.9, 0.99], "weight_decay": 0.0, "clip": 1.0},
    "run": {
        "steps": 2, "batch": 2, "precision": "float32", "save_every": 1, "sample_every": 2, "cpu": True,
        "accumulate": 1, "ema": 0.9, "workers": 0,
    },
    "first_stage": {
        "crop": 0,
        "model": {"channels": 32, "channel_mult": [1, 2], "num_res_blocks": 1, "z_channels": 4, "embed_dim": 4},
        "loss": {"perceptual": 0, "adversarial": 0.1, "discriminator_from": 0, "discriminator_width": 8},
    },
}  # fmt: skip
_LARGE_IS_WORK = (
    "people",
    "pictures",
    "size",
    "batch",
    "steps",
    "channels",
    "num_res_blocks",
    "z_channels",
    "embed_dim",
)
"""Values of which a large one is a long training, and no odd one."""
_SMALL = (0, -1, 1, 3, 0.5, "x", None, True, [], {}, float("nan"), float("inf"), "1e-4", [1, 2])
_LARGE = (2**31, 2**63, 10**30, 1e308, -1e308, "9" * 5000, [1] * 50)


def _prepare_train(case: Case) -> Action:
    random = case.random
    people = case.seeds.parent / "people"
    if not people.is_dir():
        pictures = people / "portraits-32px"
        pictures.mkdir(parents=True)
        for _ in render_missing(pictures, DatasetSpec(2, 2, 32, 0), 1):
            pass
    config = json.loads(json.dumps(_TRAINING))
    config["corpus"]["cache"] = str(people)
    for _ in range(random.choice((0, 1, 1, 2))):
        section = config[random.choice(("corpus", "groups", "optimizer", "run", "first_stage"))]
        if "model" in section and random.random() < 0.8:
            section = section[random.choice(("model", "loss"))]
        key = random.choice(sorted(section))
        if key not in ("cache", "cpu", "model", "loss"):
            section[key] = random.choice(_SMALL if key in _LARGE_IS_WORK else (*_SMALL, *_LARGE))
    if config["run"]["workers"] in (1, 3, True, "x"):  # processes of their own take seconds to start
        config["run"]["workers"] = -1
    (case.folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = ["train", "run.yaml", "--quiet", *(["--set", random.choice(ODD_TEXTS)] if random.random() < 0.1 else [])]
    outputs = ("out", "people")

    def action() -> None:
        run(words, case.folder, outputs)
        run([*words, "--json"], case.folder, outputs)

    return action


READERS = [Reader("refldm train", _prepare_train, 3)]
