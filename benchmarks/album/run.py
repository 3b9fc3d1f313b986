"""Restore an album with the code of one checkout, and print the seconds of each stage as JSON.

`benchmark.py` runs this file in a process of its own, with the folder of the checkout in PYTHONPATH. It must not import
other benchmarks, which an earlier checkout has in another version.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `album` is a package of this folder's parent


def main() -> int:
    job: dict[str, Any] = json.loads(sys.argv[1])
    import refldm_core  # noqa: PLC0415 (the imports are measured)
    from refldm_core.cli.main import main as refldm  # noqa: PLC0415

    importlib.import_module("refldm_core.cli.restore")
    imports = {"wall": time.time() - job["started"], "processor": time.process_time()}
    clock: Any = importlib.import_module("album.clock").StageClock()
    importlib.import_module("album.stages").watch_stages(clock)
    clock.charge()
    clock.wall.clear()
    clock.processor.clear()
    code = refldm(job["arguments"])
    clock.charge()
    wall, processor = dict(clock.wall), dict(clock.processor)
    wall["start-up and imports"], processor["start-up and imports"] = imports["wall"], imports["processor"]
    print(json.dumps({"code": refldm_core.__file__, "exit": code, "wall": wall, "processor": processor}))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
