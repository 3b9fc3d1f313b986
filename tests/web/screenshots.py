"""Photograph every shipped workflow in ComfyUI's page, before and after a run, to be looked at.

    python -m tests.web.screenshots FOLDER [NAME ...]

It needs a ComfyUI (see tests/host/comfy.py) and Chromium. NAME is the beginning of a workflow's file name, such as 04.
The pictures are of every ComfyUI that the tests find, in the classic canvas and with Nodes 2.0. The command prints
which nodes lie over each other, and what the page's console says about this pack.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.host.test_workflows import missing_nodes

from .browser import WORKFLOWS, Canvas, open_canvas
from .conftest import VIEWS, View
from .measuring import run
from .save_workflows import launched_browser, workflow_server

_SIZE = {"width": 2400, "height": 1350}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of file names; all without")
    options = parser.parse_args(arguments)
    paths = [path for path in WORKFLOWS if not options.names or path.name.startswith(tuple(options.names))]
    with launched_browser() as browser:
        for view in VIEWS:
            with (
                workflow_server(view.host) as server,
                open_canvas(browser, server, nodes_2=view.nodes_2) as canvas,
            ):
                canvas.page.set_viewport_size(_SIZE)
                for path in paths:
                    missing = missing_nodes(server, path)
                    if missing:
                        print(f"{view.name}: {path.stem}: this version has no {', '.join(sorted(missing))}", flush=True)
                    else:
                        _photograph(canvas, path, options.folder / view.name, view)


def _photograph(canvas: Canvas, path: Path, folder: Path, view: View) -> None:
    canvas.load(path)
    _save(canvas, folder / f"{path.stem[:2]}-before.png")
    try:
        run(canvas)
    except AssertionError as error:
        print(f"{view.name}: {path.stem} does not run: {str(error)[:500]}", flush=True)
    _save(canvas, folder / f"{path.stem[:2]}-after.png")
    for message in (*canvas.overlaps(), *canvas.own_messages):
        print(f"{view.name}: {path.stem}: {message}", flush=True)
    canvas.messages.clear()


def _save(canvas: Canvas, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.show_all()
    canvas.page.screenshot(path=path)


if __name__ == "__main__":
    main()
