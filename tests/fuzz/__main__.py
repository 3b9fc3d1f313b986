"""Run the command: `python -m tests.fuzz`."""

from .command import main

if __name__ == "__main__":
    raise SystemExit(main())
