"""Build graphs in the format of POST /prompt, node by node."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .comfy import Api, Server


class Link(NamedTuple):
    """An output of a node in a graph."""

    node: str
    output: int


class Node:
    """A node of a graph. `node[i]` is its i-th output."""

    def __init__(self, number: str) -> None:
        self.number = number

    def __getitem__(self, output: int) -> Link:
        return Link(self.number, output)


class Graph:
    """A graph that grows by one node with each call. `api` is its JSON."""

    def __init__(self) -> None:
        self.api: Api = {}

    def add(self, class_type: str, **inputs: Any) -> Node:
        number = str(len(self.api) + 1)
        values = {name: [v.node, v.output] if isinstance(v, Link) else v for name, v in inputs.items()}
        self.api[number] = {"class_type": class_type, "inputs": values}
        return Node(number)

    def load_model(self, checkpoint: str = "tiny.safetensors", dtype: str = "float32") -> Node:
        return self.add("ReFLDM_LoadModel", checkpoint=checkpoint, first_stage="(inside the checkpoint)", dtype=dtype)

    def image(self, *names: str) -> Link:
        """Load pictures as one batch."""
        links = [self.add("LoadImage", image=name)[0] for name in names]
        batch = links[0]
        for link in links[1:]:
            batch = self.add("ImageBatch", image1=batch, image2=link)[0]
        return batch

    def encode(self, model: Link, vae: Link, *names: str, encoding: str = "joint") -> Link:
        return self.add("ReFLDM_EncodeReferences", model=model, vae=vae, images=self.image(*names), encoding=encoding)[
            0
        ]

    def sampler(self, model: Link, vae: Link, image: Link, references: Link | None = None, **settings: Any) -> Node:
        defaults = {
            "seed": 2024,
            "steps": 50,
            "cfg": 1.5,
            "sampler": "ddim",
            "scheduler": "trailing",
            "denoise": 1.0,
        }
        optional = {} if references is None else {"references": references}
        return self.add("ReFLDM_Sampler", model=model, vae=vae, image=image, **optional, **{**defaults, **settings})

    def ksampler(self, model: Link, conditioning: Node, **settings: Any) -> Link:
        defaults = {
            "seed": 2024,
            "steps": 50,
            "cfg": 1.5,
            "sampler_name": "ddim",
            "scheduler": "simple",
            "denoise": 1.0,
        }
        sockets = {"positive": conditioning[0], "negative": conditioning[1], "latent_image": conditioning[2]}
        return self.add("KSampler", model=model, **{**sockets, **defaults, **settings})[0]

    def decode(self, samples: Link, vae: Link) -> None:
        self.save(self.add("VAEDecode", samples=samples, vae=vae)[0])

    def save(self, images: Link) -> None:
        self.add("SaveImage", images=images, filename_prefix="test")


def fetch_pictures(server: Server, graph: Graph, *images: Link) -> list[list[NDArray[np.uint8]]]:
    """Run a graph, and return the pictures of each of these outputs."""
    ends = [graph.add("SaveImage", images=link, filename_prefix="faces") for link in images]
    outputs = server.run(graph.api)
    return [[server.picture(file) for file in outputs[end.number]["images"]] for end in ends]


def fetch_text(server: Server, graph: Graph, link: Link) -> str:
    """Run a graph, and return the text of this output."""
    end = graph.add("PreviewAny", source=link)
    return server.run(graph.api)[end.number]["text"][0]


def with_model_files(api: Api) -> Api:
    """Return a shipped workflow that uses the files in the model folder instead of the embedded models.

    The model computes in float32, as the core does in these tests.
    """
    replacements = {
        "ReFLDM_LoadModel": {"checkpoint": "refldm.ckpt", "dtype": "float32"},
        "ReFLDM_LoadFaceDetector": {"backend": "insightface"},
        "ReFLDM_LoadFaceRecognizer": {"model": "buffalo_l"},
    }
    return {
        number: {**node, "inputs": {**node["inputs"], **replacements.get(node["class_type"], {})}}
        for number, node in api.items()
    }


REFERENCES = ("reference_1.png", "reference_2.png", "reference_3.png")


def restoration_graph(checkpoint: str = "tiny.safetensors", dtype: str = "float32", **settings: Any) -> Graph:
    """Return a graph in which ReFLDM_Sampler restores face.png with three references."""
    graph = Graph()
    model = graph.load_model(checkpoint, dtype)
    references = graph.encode(model[0], model[1], *REFERENCES)
    graph.save(graph.sampler(model[0], model[1], graph.image("face.png"), references, **settings)[0])
    return graph


class ConditionedGraph(NamedTuple):
    """A graph that ends at the conditioning, for a sampler of the host."""

    graph: Graph
    model: Link
    vae: Link
    references: Link
    conditioning: Node


def conditioned_graph(faces: tuple[str, ...] = ("face.png",)) -> ConditionedGraph:
    """Return a graph that ends at the conditioning for these faces and three references."""
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], *REFERENCES)
    conditioning = graph.add("ReFLDM_Conditioning", vae=model[1], image=graph.image(*faces), references=references)
    return ConditionedGraph(graph, model[0], model[1], references, conditioning)
