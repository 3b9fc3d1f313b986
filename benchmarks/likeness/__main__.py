"""Run the benchmark: `python -m benchmarks.likeness`."""

from .benchmark import main

raise SystemExit(main())
