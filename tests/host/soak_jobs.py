"""The prompts of the soak: small workflows of every kind, each several times with equal inputs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comfy import Api, Server
from .faces import FaceGraph
from .graphs import REFERENCES, Graph, conditioned_graph, restoration_graph
from .test_face_identity import add_restored_group

CHECKPOINTS = ("tiny.safetensors", "raw.safetensors")
SEEDS = 3
"""Different seeds of a kind of workflow. With few of them, equal prompts come again and again."""
SWITCHES, INTERRUPTS = 0.1, 0.1
"""Share of the prompts before which the model changes, and of those that a client interrupts."""


def _one_reference() -> Graph:
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], REFERENCES[0])
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), references)[0])
    return graph


def _separate_references() -> Graph:
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], *REFERENCES, encoding="separate")
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png", REFERENCES[1]), references)[0])
    return graph


def _stock_sampler() -> Graph:
    graph, model, vae, _, conditioning = conditioned_graph()
    graph.decode(graph.ksampler(model, conditioning), vae)
    return graph


def _group() -> Graph:
    graph = FaceGraph()
    graph.save(add_restored_group(graph, ["anna", "ben"])[0])
    return graph


def _video() -> Graph:
    graph = FaceGraph()
    model = graph.load_model()
    frames = graph.image("frame_1.png", "frame_2.png", "frame_3.png")
    detected = graph.detect(frames, video=True)
    restored = graph.sampler(model[0], model[1], detected[1], faces=detected[0])
    graph.save(graph.paste(frames, detected[0], restored[0])[0])
    return graph


def _saved_person() -> Graph:
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], *REFERENCES[:2])
    graph.add("ReFLDM_SaveReferences", references=references, name="", overwrite=False)
    return graph


def _loaded_person() -> Graph:
    graph = Graph()
    model = graph.load_model()
    references = graph.add("ReFLDM_LoadReferences", name="")
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), references[0])[0])
    return graph


KINDS: dict[str, Callable[[], Graph]] = {
    "save references": _saved_person,  # first, since the others load what it saves
    "load references": _loaded_person,
    "one reference": _one_reference,
    "three references, joint": restoration_graph,
    "two faces, three references, separate": _separate_references,
    "KSampler": _stock_sampler,
    "group photo: detect, match, restore, paste": _group,
    "video: detect, follow, restore, paste": _video,
}


@dataclass(frozen=True)
class Job:
    """A prompt. Equal jobs must give equal results.

    Attributes:
        kind: Key of `KINDS`.
        checkpoint: Model file.
        seed, steps: Values of every sampler in the graph.
    """

    kind: str
    checkpoint: str
    seed: int = 0
    steps: int = 1

    @property
    def person(self) -> str:
        """File of the saved person. References belong to one model."""
        return f"soak {Path(self.checkpoint).stem}.safetensors"

    def api(self) -> Api:
        """Return the graph with the values of this job."""
        values: dict[str, Any] = {"checkpoint": self.checkpoint, "seed": self.seed, "steps": self.steps}
        api = KINDS[self.kind]().api
        for node in api.values():
            node["inputs"].update({name: value for name, value in values.items() if name in node["inputs"]})
            if node["class_type"] in {"ReFLDM_SaveReferences", "ReFLDM_LoadReferences"}:
                node["inputs"]["name"] = self.person
        return api

    def digest(self, server: Server, outputs: dict[str, Any]) -> str:
        """Return the hash of the result: of the pixels of all saved pictures, and of the saved person's file."""
        digest = hashlib.sha256()
        for number, node in self.api().items():
            if node["class_type"] == "SaveImage":
                for file in outputs[number]["images"]:
                    digest.update(server.picture(file).tobytes())
            elif node["class_type"] == "ReFLDM_SaveReferences":
                folder = server.base / "models" / "refldm_references"
                digest.update((folder / self.person).read_bytes())
        return digest.hexdigest()


def first_jobs() -> list[Job]:
    """Return each kind of workflow with each model, in an order in which people are saved before they are loaded."""
    return [Job(kind, checkpoint) for checkpoint in CHECKPOINTS for kind in KINDS]


def random_jobs(count: int, seed: int) -> list[tuple[Job, float | None]]:
    """Return jobs in random order, and for those to interrupt the moment, as a share of their usual time."""
    random_source = random.Random(seed)
    checkpoint = CHECKPOINTS[0]
    jobs: list[tuple[Job, float | None]] = []
    for _ in range(count):
        if random_source.random() < SWITCHES:
            checkpoint = next(name for name in CHECKPOINTS if name != checkpoint)
        kind, job_seed = random_source.choice(list(KINDS)), random_source.randrange(SEEDS)
        moment = random_source.random() if random_source.random() < INTERRUPTS else None
        # More steps give an interrupt more time. Such a prompt is another job, since its result is another one.
        jobs.append((Job(kind, checkpoint, job_seed, 1 if moment is None else 8), moment))
    return jobs
