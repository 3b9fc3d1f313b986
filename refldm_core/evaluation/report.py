"""A summary in words: the tables as rows of text, and the Markdown report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..files import atomic_write
from ..markdown import as_text
from .metrics import METRICS, SETS
from .scores import Row
from .statistics import LEVEL, RESAMPLES, SEED, Interval
from .summary import Comparison, MethodSummary, Summary, best, columns, value_of

Table = Sequence[Sequence[str]]
"""The heading and the rows; every row as long as the heading."""

_UP, _DOWN = "\u2191", "\u2193"
"""Arrows, which headings show as the paper's tables do."""

MOST_FINDINGS = 300
"""Rows of the table of findings: a wrong folder has tens of thousands, which no browser shows in time."""
_LONGEST_DETAIL = 500  # characters

UNAVAILABLE = "n/a"
"""In a column whose metric could not be had; the report says why."""


def results_table(summary: Summary) -> Table:
    """Methods side by side, as in the paper's tables; the best of several is between double asterisks."""
    metrics = columns(summary)
    timed = any(method.seconds is not None for method in summary.methods)
    rows = [["method", "pictures", "people", *(heading(metric) for metric in metrics), *["s / face"] * timed]]
    for method in summary.methods:
        cells = [_cell(summary, method, metric) for metric in metrics]
        seconds = [UNAVAILABLE if method.seconds is None else f"{method.seconds:.2f}"] * timed
        rows.append([method.name, str(method.pictures), str(method.people), *cells, *seconds])
    return rows


def comparisons_table(summary: Summary) -> Table:
    """Each method against the first."""
    rows = [["method", "metric", "difference", "pictures", "people", "people above", "p", "p (Holm)", "shows that"]]
    for comparison in summary.comparisons:
        interval = comparison.difference
        rows.append(
            [
                comparison.method,
                METRICS[comparison.metric].label,
                with_interval(interval, METRICS[comparison.metric].digits, sign="+"),
                str(interval.pictures),
                str(interval.people),
                f"{comparison.share:.0%}",
                _p(comparison.p),
                _p(comparison.p_holm),
                _verdict(comparison),
            ]
        )
    return rows


def findings_table(summary: Summary) -> Table:
    """What was found about the files, what must be mended first; the first `MOST_FINDINGS`, and how many there are."""
    rows = [["what", "method", "picture", "detail"]]
    ordered = [*summary.to_mend, *(finding for finding in summary.findings if not finding.mend)]
    rows += [[f.kind, f.method or "all", f.what, _cut(f.detail)] for f in ordered[:MOST_FINDINGS]]
    if len(ordered) > MOST_FINDINGS:
        rows.append([f"{len(ordered) - MOST_FINDINGS} more", "", "", "summary.json names them all"])
    return rows


def _cut(detail: str) -> str:
    return detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}..."


def notes(summary: Summary) -> list[str]:
    """What a reader must know: what each column is, what is absent and why, and what the statistics are."""
    said = [f"{METRICS[m].label}: {METRICS[m].about}." for m in columns(summary)]
    said += [f"{METRICS[m].label} is not available: {why}." for m, why in summary.absent.items()]
    said += judges_in_words(summary)
    said.append(
        f"Means are over pictures; in brackets the {LEVEL:.0%} interval of {RESAMPLES} bootstrap samples of people "
        f"(percentile, seed {SEED}). FID is one number of a whole set, has no interval, and falls with the number of "
        "pictures: compare only sets of one size."
    )
    if summary.comparisons:
        said.append(
            "Differences are picture by picture, method minus "
            f"{summary.comparisons[0].baseline}; p is of Wilcoxon's signed-rank test over the people's mean "
            "differences, two-sided, and (Holm) adjusted for all the tests of the table. With n people no p is below "
            "2 / 2^n."
        )
    return said


def judges_in_words(summary: Summary) -> list[str]:
    """Which recognizer judges the identity, and by which measure."""
    return [
        f"{METRICS[name].label}: judged by {judge}. Similarity is {summary.measures[name]}."
        for name, judge in summary.judges.items()
    ]


def ranked(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """The metric by which pictures are called best and worst, and the rows that have it, best first."""
    for metric in ("ids", "ids_second", "lpips", "ssim"):
        known = [row for row in rows if metric in row.values]
        if known:
            return metric, sorted(known, key=lambda row: -METRICS[metric].better * row.values[metric])
    return "", []


def write_markdown(path: Path, title: str, summary: Summary, rows: Mapping[str, Sequence[Row]]) -> None:
    """Write the report.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(_markdown(title, summary, rows)) + "\n", encoding="utf-8")


def markdown_table(table: Table) -> list[str]:
    """Lines of a Markdown table, for a file or a terminal; bars inside the cells are escaped.

    The cells of a file are to be escaped with `markdown.as_text` before.
    """
    heading_row, *rows = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in table)
    return [_line(heading_row), _line(["---"] * len(heading_row)), *(_line(row) for row in rows)]


def _markdown(title: str, summary: Summary, rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    yield from (f"# {as_text(title)}", "", *_table(results_table(summary)), "")
    yield from (f"- {as_text(note)}" for note in notes(summary))
    if summary.comparisons:
        yield from ("", "## Differences", "", *_table(comparisons_table(summary)))
    yield from ("", "## Best and worst", "")
    yield from _table(_extremes(rows))
    yield from ("", "## Findings", "")
    if summary.findings:
        yield f"{len(summary.to_mend)} to mend, {len(summary.findings) - len(summary.to_mend)} to know."
        yield from ("", *_table(findings_table(summary)))
    else:
        yield "Every picture was judged; nothing is missing, damaged or there twice."


def _table(table: Table) -> list[str]:
    return markdown_table([[as_text(cell) for cell in row] for row in table])


def _extremes(rows: Mapping[str, Sequence[Row]], count: int = 4) -> Table:
    table = [["method", "metric", "best", "worst"]]
    for method, of in rows.items():
        metric, order = ranked(of)
        if order:
            good, bad = (
                ", ".join(f"{row.image} ({row.values[metric]:.{METRICS[metric].digits}f})" for row in part)
                for part in (order[:count], order[::-1][:count])
            )
            table.append([method, METRICS[metric].label, good, bad])
    return table


def heading(metric: str) -> str:
    """A metric's name with the direction that is better."""
    return f"{METRICS[metric].label} {_UP if METRICS[metric].better > 0 else _DOWN}"


def with_interval(interval: Interval, digits: int, *, sign: str = "") -> str:
    """A mean and its interval, such as `0.812 [0.790, 0.834]`."""
    mean = number(interval.mean, digits, sign=sign)
    if math.isnan(interval.low):
        return mean
    return f"{mean} [{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]"


def number(value: float, digits: int, *, sign: str = "") -> str:
    """A value in a table; "inf" for equal pictures' PSNR."""
    return f"{value:{sign}.{digits}f}"


def _cell(summary: Summary, method: MethodSummary, metric: str) -> str:
    value, digits = value_of(method, metric), METRICS[metric].digits
    if value is None:
        return UNAVAILABLE
    text = number(value, digits) if metric in SETS else with_interval(method.means[metric], digits)
    return f"**{text}**" if value == best(summary, metric) else text


def _p(p: float) -> str:
    if math.isnan(p):
        return "none"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _verdict(one: Comparison) -> str:
    if one.better is None:
        return "nothing"
    return f"{one.method} is {'better' if one.better else 'worse'}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
