"""Run the benchmark: `python -m benchmarks.album`."""

from .benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
