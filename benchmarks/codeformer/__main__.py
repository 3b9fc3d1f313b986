"""Run the benchmark: `python -m benchmarks.codeformer`."""

from .benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
