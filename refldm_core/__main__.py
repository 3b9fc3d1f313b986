"""`python -m refldm_core` is the same as `refldm`."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
