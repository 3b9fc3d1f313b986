"""Run the benchmark: `python -m benchmarks.dataset`."""

from .benchmark import main

if __name__ == "__main__":
    main()
