"""Run the benchmark: `python -m benchmarks.face_networks`."""

from .benchmark import main

if __name__ == "__main__":
    raise SystemExit(main())
