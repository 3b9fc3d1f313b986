"""Run the benchmark: `python -m benchmarks.scaling`."""

from .benchmark import main

raise SystemExit(main())
