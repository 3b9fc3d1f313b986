"""Run the benchmark: `python -m benchmarks.gpu`."""

from .benchmark import main

raise SystemExit(main())
