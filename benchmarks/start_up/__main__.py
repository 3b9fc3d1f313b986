"""Run the benchmark: `python -m benchmarks.start_up`."""

from .benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
