"""Run the benchmark: `python -m benchmarks.settings`."""

from .benchmark import main

raise SystemExit(main())
