"""Run the benchmark: `python -m benchmarks.memory`."""

from .benchmark import main

raise SystemExit(main())
