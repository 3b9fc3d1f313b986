"""The report of a fuzz run."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from .cases import (
    ACCEPTED,
    BYTES_LIMIT,
    CRASH,
    FINDINGS,
    HANG,
    MEMORY,
    REFUSED,
    SECONDS_LIMIT,
    TRACEBACK,
    WRONG,
    Verdict,
)

_ROOT = Path(__file__).parents[2]
_COLUMNS = (ACCEPTED, REFUSED, CRASH, HANG, MEMORY, TRACEBACK, WRONG)
_PACKAGES = ("torch", "safetensors", "pillow", "numpy", "pyyaml", "onnxruntime", "hypothesis")


@dataclass(frozen=True)
class Outcome:
    """The verdicts of a run, by reader in the order of the cases."""

    verdicts: Mapping[str, list[Verdict]]

    @property
    def findings(self) -> list[tuple[str, int, Verdict]]:
        """Reader, number and verdict of each case with a finding."""
        return [
            (name, number, verdict)
            for name, verdicts in self.verdicts.items()
            for number, verdict in enumerate(verdicts)
            if verdict.kind in FINDINGS
        ]


def as_markdown(outcome: Outcome, command: str) -> str:
    """Return the report as Markdown."""
    all_verdicts = [verdict for verdicts in outcome.verdicts.values() for verdict in verdicts]
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    lines = [
        "# Damaged and hostile files",
        "",
        f"Made by `{command}`. Python {platform.python_version()} on {platform.system()}; {versions}.",
        "",
        f"{len(all_verdicts):,} cases, {len(outcome.findings)} findings. A hang is a case of more than "
        f'{SECONDS_LIMIT:g} s. "Memory" is a case that takes more than the size of its input and '
        f"{BYTES_LIMIT / 1e6:.0f} MB.",
        "",
        f"| reader | cases | {' | '.join(_COLUMNS)} | longest, s | most memory, MB |",
        "|---" * (len(_COLUMNS) + 4) + "|",
        *(_row(name, verdicts) for name, verdicts in outcome.verdicts.items()),
        _row("all", all_verdicts),
        "",
    ]
    for name, number, verdict in outcome.findings[:50]:
        lines += [
            f"## {name}, case {number}: {verdict.kind}",
            "",
            "```",
            _without_paths(verdict.detail.strip())[-1500:],
            "```",
            "",
        ]
    return "\n".join(lines)


def _without_paths(text: str) -> str:
    """Return a traceback with paths below the root of the repository."""
    return text.replace(f"{_ROOT}{os.sep}", "")


def _row(name: str, verdicts: list[Verdict]) -> str:
    counts = Counter(verdict.kind for verdict in verdicts)
    longest = max((verdict.seconds for verdict in verdicts), default=0.0)
    most = max((verdict.growth for verdict in verdicts), default=0)
    numbers = " | ".join(f"{counts[kind]:,}" for kind in _COLUMNS)
    return f"| {name} | {len(verdicts):,} | {numbers} | {longest:.1f} | {most / 1e6:.0f} |"
