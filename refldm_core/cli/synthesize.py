"""The work of `refldm synthesize`. Its options are in `arguments/synthesize.py`."""

from __future__ import annotations

import argparse

from ..data.rendered import RenderedDataset, render_dataset, render_scenes
from ..hardware import usable_cores
from ..synthetic.dataset import DatasetSpec, SceneSetSpec
from .output import Output


def run(args: argparse.Namespace, output: Output) -> int:
    dataset = RenderedDataset(args.output)
    workers = args.workers or usable_cores()
    if args.scenes is None:
        spec = DatasetSpec(args.people, args.pictures, args.size, args.first_person)
        total, rendering = spec.people * spec.pictures, render_dataset(args.output, spec, workers)
    else:
        scenes = SceneSetSpec(args.scenes, args.people, args.size, args.most_faces, args.first_person)
        total, rendering = scenes.scenes, render_scenes(args.output, scenes, workers)
    rendered = 0
    with output.bar("pictures", total, unit="picture") as bar:
        for count in rendering:
            rendered += count
            bar.update(count)
    text = f"{rendered} pictures rendered, {total} in {dataset.images}; {dataset.attributes} describes them."
    described = {
        "rendered": rendered,
        "pictures": total,
        "people": args.people,
        "size": args.size,
        "images": str(dataset.images),
        "references": str(dataset.references) if (args.pictures or 0) > 1 else None,
        "attributes": str(dataset.attributes),
    }
    output.result(text, described)
    return 0
