"""Check that a tag may be published, and print its section of the changelog.

Run it as `python .github/release.py v0.1.0`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def version() -> str:
    """Return the version of the package. The package is not imported."""
    return _only_match(r'^__version__ = "(.+)"$', "refldm_core/__init__.py")


def repository() -> str:
    """Return the address of the repository in pyproject.toml."""
    return _only_match(r'^Repository = "(.+)"$', "pyproject.toml")


def notes(number: str) -> str:
    """Return the text of a version's section in the changelog, or an empty text without such a section."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## \[{re.escape(number)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)", text, re.M | re.S)
    return section[1].strip() if section else ""


def problems(tag: str, address: str | None = None) -> list[str]:
    """Return the reasons against publishing a tag. The list is empty if the tag may be published.

    Args:
        tag: The tag, such as v0.1.0.
        address: Address of the repository that publishes. None leaves it unchecked.
    """
    reasons: list[str] = []
    if tag != f"v{version()}":
        reasons.append(f"The tag is {tag}, but refldm_core/__init__.py says {version()}.")
    if not notes(tag.removeprefix("v")):
        reasons.append(f"CHANGELOG.md has no section with a date and text for {tag}.")
    if address is not None and address != repository():
        reasons.append(f"This repository is {address}, but pyproject.toml says {repository()}.")
    return reasons


def _only_match(pattern: str, name: str) -> str:
    (match,) = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return match


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag")
    parser.add_argument("--repository", help="address of the repository that publishes")
    args = parser.parse_args()
    reasons = problems(args.tag, args.repository)
    print("\n".join(reasons) or notes(args.tag.removeprefix("v")), file=sys.stderr if reasons else sys.stdout)
    return 1 if reasons else 0


if __name__ == "__main__":
    raise SystemExit(main())
