"""The report of a summary: tables as rows of text, notes, and the Markdown file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..files import atomic_write
from ..markdown import as_text
from .metric_list import METRICS, SETS
from .scores import Row
from .statistics import LEVEL, RESAMPLES, SEED, Interval
from .summary import Comparison, MethodSummary, Summary, best_value, columns, value_of

Table = Sequence[Sequence[str]]
"""The heading and the rows. Every row has as many cells as the heading."""

_UP, _DOWN = "\u2191", "\u2193"
"""Arrows in headings, as in the paper's tables."""

MOST_FINDINGS = 300
"""Most rows in the table of findings. A wrong folder causes tens of thousands, which a browser cannot show in time."""
_LONGEST_DETAIL = 500  # characters

UNAVAILABLE = "n/a"
"""Cell of a metric that has no value. The report gives the reason."""


def results_table(summary: Summary) -> Table:
    """Return a row for each method, as in the paper's tables. Double asterisks mark the best of several values."""
    metrics = columns(summary)
    timed = any(method.seconds is not None for method in summary.methods)
    rows = [["method", "pictures", "people", *(heading(metric) for metric in metrics), *["s / face"] * timed]]
    for method in summary.methods:
        cells = [_cell(summary, method, metric) for metric in metrics]
        seconds = [UNAVAILABLE if method.seconds is None else f"{method.seconds:.2f}"] * timed
        rows.append([method.name, str(method.pictures), str(method.people), *cells, *seconds])
    return rows


def comparisons_table(summary: Summary) -> Table:
    """Return a row for each comparison of a method with the baseline."""
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
    """Return a row for each of the first `MOST_FINDINGS` findings, and a row with the number of the rest.

    Findings that the user must correct come first.
    """
    rows = [["what", "method", "picture", "detail"]]
    ordered = [*summary.to_mend, *(finding for finding in summary.findings if not finding.mend)]
    rows += [
        [finding.kind, finding.method or "all", finding.what, _shortened(finding.detail)]
        for finding in ordered[:MOST_FINDINGS]
    ]
    if len(ordered) > MOST_FINDINGS:
        rows.append([f"{len(ordered) - MOST_FINDINGS} more", "", "", "summary.json names them all"])
    return rows


def _shortened(detail: str) -> str:
    return detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}..."


def notes(summary: Summary) -> list[str]:
    """Return sentences that explain the columns, the metrics that are not available, and the statistics."""
    sentences = [f"{METRICS[metric].label}: {METRICS[metric].description}." for metric in columns(summary)]
    sentences += [f"{METRICS[metric].label} is not available: {reason}." for metric, reason in summary.absent.items()]
    sentences += judges_in_words(summary)
    sentences.append(
        f"Means are over pictures. Brackets hold the {LEVEL:.0%} interval of {RESAMPLES} bootstrap samples of people "
        f"(percentile, seed {SEED}). FID is one number of a whole set and has no interval. It falls with the number of "
        "pictures: compare only sets of equal size."
    )
    if summary.comparisons:
        sentences.append(
            f"Differences are picture by picture, method minus {summary.comparisons[0].baseline}. p is the two-sided "
            "p-value of Wilcoxon's signed-rank test over the mean differences of the people. p (Holm) is adjusted for "
            "all tests of the table. With n people no p is below 2 / 2^n."
        )
    return sentences


def judges_in_words(summary: Summary) -> list[str]:
    """Return a sentence for each recognizer that judges the identity: its name and its measure."""
    return [
        f"{METRICS[name].label}: judged by {judge}. Similarity is {summary.measures[name]}."
        for name, judge in summary.judges.items()
    ]


def ranked(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """Return the metric that ranks pictures, and the rows that have it, the best first; "" and no rows without one."""
    for metric in ("ids", "ids_second", "lpips", "ssim"):
        scored = [row for row in rows if metric in row.values]
        if scored:
            return metric, sorted(scored, key=lambda row: -METRICS[metric].better * row.values[metric])
    return "", []


def write_markdown(path: Path, title: str, summary: Summary, rows: Mapping[str, Sequence[Row]]) -> None:
    """Write the report.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(_markdown(title, summary, rows)) + "\n", encoding="utf-8")


def markdown_table(table: Table) -> list[str]:
    """Return the lines of a Markdown table, for a file or a terminal. Bars inside the cells are escaped.

    For a file, escape the cells with `markdown.as_text` first.
    """
    heading_row, *rows = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in table)
    return [_line(heading_row), _line(["---"] * len(heading_row)), *(_line(row) for row in rows)]


def _markdown(title: str, summary: Summary, rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    yield from (f"# {as_text(title)}", "", *_table(results_table(summary)), "")
    yield from (f"- {as_text(note)}" for note in notes(summary))
    if summary.comparisons:
        yield from ("", "## Differences", "", *_table(comparisons_table(summary)))
    yield from ("", "## Best and worst", "", *_table(_extremes(rows)))
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
    for method, method_rows in rows.items():
        metric, order = ranked(method_rows)
        if order:
            best, worst = (
                ", ".join(f"{row.image} ({row.values[metric]:.{METRICS[metric].digits}f})" for row in extreme)
                for extreme in (order[:count], order[::-1][:count])
            )
            table.append([method, METRICS[metric].label, best, worst])
    return table


def heading(metric: str) -> str:
    """Return a metric's label with an arrow in the better direction."""
    return f"{METRICS[metric].label} {_UP if METRICS[metric].better > 0 else _DOWN}"


def with_interval(interval: Interval, digits: int, *, sign: str = "") -> str:
    """Return a mean and its interval as text, such as `0.812 [0.790, 0.834]`."""
    mean = number(interval.mean, digits, sign=sign)
    if math.isnan(interval.low):
        return mean
    return f"{mean} [{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]"


def number(value: float, digits: int, *, sign: str = "") -> str:
    """Return a value as text; "inf" for the PSNR of equal pictures."""
    return f"{value:{sign}.{digits}f}"


def _cell(summary: Summary, method: MethodSummary, metric: str) -> str:
    value, digits = value_of(method, metric), METRICS[metric].digits
    if value is None:
        return UNAVAILABLE
    text = number(value, digits) if metric in SETS else with_interval(method.means[metric], digits)
    return f"**{text}**" if value == best_value(summary, metric) else text


def _p(p: float) -> str:
    if math.isnan(p):
        return "none"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _verdict(comparison: Comparison) -> str:
    if comparison.better is None:
        return "nothing"
    return f"{comparison.method} is {'better' if comparison.better else 'worse'}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
