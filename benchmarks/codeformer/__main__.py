"""Run the benchmark: `python -m benchmarks.codeformer`."""

from .benchmark import main

raise SystemExit(main())
