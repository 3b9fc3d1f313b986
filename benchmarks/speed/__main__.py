"""Run the benchmark: `python -m benchmarks.speed`."""

from .benchmark import main

raise SystemExit(main())
