"""Run the command `refldm` as `python -m refldm_core`."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
