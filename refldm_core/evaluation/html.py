"""The report as one self-contained HTML file: tables, plots, and the best and worst pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ..errors import ImageFileError
from ..files import atomic_write
from ..images import load_image
from .dataset import Target
from .metric_list import METRICS
from .packages import require
from .plots import share_plot, spread_plot
from .report import comparisons_table, findings_table, notes, ranked, results_table
from .runner import Judged
from .summary import Summary

_EXTREMES = 4
"""Number of best pictures, and of worst pictures, that the report shows for each method."""
_THUMBNAIL_SIZE = 160  # pixels along the longer side

_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; vertical-align: top; }
.numbers td { text-align: right; white-space: nowrap; }
.numbers th { text-align: right; vertical-align: bottom; }
.numbers tr > :first-child, .words-last tr > :last-child { text-align: left; }
.words-last td:last-child { min-width: 11rem; white-space: normal; }
.numbers small { color: #666; display: block; }
.scroll { overflow-x: auto; }
.grid td { text-align: center; font-size: 12px; border: 0; }
img { max-width: 100%; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% macro show(rows, kind) %}
<div class="scroll"><table class="{{ kind }}">
<tr>{% for cell in rows[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in rows[1:] %}
<tr>{% for cell in row %}
{% set best = kind and cell.startswith("**") %}
{% set text = cell[2:-2] if best else cell %}
{% set value, bracket, interval = text.partition(" [") if kind else (text, "", "") %}
<td>{% if best %}<b>{{ value }}</b>{% else %}{{ value }}{% endif %}
{% if bracket %}<small>[{{ interval }}</small>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
{% endmacro %}
{{ show(results, "numbers") }}
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
{% if comparisons|length > 1 %}
<h2>Differences</h2>
{{ show(comparisons, "numbers words-last") }}
{% endif %}
{% for plot in plots %}<p><img src="{{ plot }}" alt="plot of the scores"></p>{% endfor %}
{% for grid in grids %}
<h2>{{ grid.title }}</h2>
<div class="scroll"><table class="grid">
<tr>{% for cell in grid.headings %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in grid.rows %}
<tr>{% for cell in row %}<td>{% if cell.picture %}<img src="{{ cell.picture }}" alt="{{ cell.caption }}">{% endif %}<br>
{{ cell.caption }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
<h2>Findings</h2>
{% if findings|length > 1 %}
{{ show(findings, "") }}
{% else %}
<p>Every picture was judged; nothing is missing, damaged or there twice.</p>
{% endif %}
</body>
</html>
"""


def write_html(path: Path, title: str, summary: Summary, judged: Judged, targets: Sequence[Target]) -> None:
    """Write the report.

    Raises:
        MissingPackageError: jinja2 or matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    environment = require("jinja2").Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    by_name = {target.name: target for target in targets}
    metric = next(filter(None, (ranked(rows)[0] for rows in judged.rows.values())), "")
    plots = [spread_plot(judged.rows), share_plot(judged.rows, metric)] if metric else []
    page = environment.from_string(_TEMPLATE).render(
        title=title,
        results=results_table(summary),
        notes=notes(summary),
        comparisons=comparisons_table(summary),
        plots=[_inline(plot) for plot in plots],
        grids=[grid for method in judged.rows if (grid := _grid(method, judged, by_name))],
        findings=findings_table(summary),
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _grid(method: str, judged: Judged, targets: Mapping[str, Target]) -> dict[str, object] | None:
    """Return the best and worst pictures of a method beside those of all methods and the truth; None without scores."""
    metric, order = ranked(judged.rows[method])
    if not order:
        return None
    images = dict.fromkeys(row.image for row in (*order[:_EXTREMES], *order[-_EXTREMES:]))
    values = {(name, row.image): row.values.get(metric) for name, rows in judged.rows.items() for row in rows}
    rows: list[list[dict[str, str]]] = []
    for image in images:
        target = targets[image]
        cells = [_cell(judged.files[name].get(image), values.get((name, image)), metric) for name in judged.rows]
        reference = target.references[0] if target.references else None
        rows.append([*cells, _cell(target.path, None, metric, image), _cell(reference, None, metric)])
    title = f"Best and worst of {method}, by {METRICS[metric].label}"
    return {"title": title, "headings": [*judged.rows, "truth", "first reference"], "rows": rows}


def _cell(path: Path | None, value: float | None, metric: str, caption: str = "") -> dict[str, str]:
    text = f"{value:.{METRICS[metric].digits}f}" if value is not None else caption
    return {"picture": _thumbnail(path) if path else "", "caption": text}


def _thumbnail(path: Path) -> str:
    try:
        image = load_image(path)
    except ImageFileError:  # The findings name it.
        return ""
    image.thumbnail((_THUMBNAIL_SIZE, _THUMBNAIL_SIZE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG")
    return _inline(file.getvalue())


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
