"""Run the benchmark: `python -m benchmarks.dataset`."""

from .benchmark import main

main()
