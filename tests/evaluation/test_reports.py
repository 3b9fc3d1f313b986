"""Reports with hostile file names: no name is executed by a spreadsheet or a browser, and pages stay small."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refldm_core.cli import benchmark_plan
from refldm_core.data.build_report import BuildReport
from refldm_core.errors import OutputError, SettingsError
from refldm_core.evaluation import session
from refldm_core.evaluation.benchmark import write_seconds
from refldm_core.evaluation.cells import as_cell, from_cell
from refldm_core.evaluation.dataset import Finding
from refldm_core.evaluation.report import MOST_FINDINGS, findings_table, write_markdown
from refldm_core.evaluation.scores import COLUMNS, Row, Scores
from refldm_core.evaluation.summary import MethodSummary, Summary, mean_seconds
from refldm_core.markdown import as_code, as_text

FORMULAS = [
    '=HYPERLINK("http://x","y").png',
    "+1+cmd|' /C calc'!A0.png",
    "-2+3.png",
    "@SUM(1).png",
    "\tx.png",
    "'=1.png",
    "''@x.png",
]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(name: str, tmp_path: Path) -> None:
    path = tmp_path / "per_image.csv"
    table = Scores(path, resume=False)
    row = Row(name, name, name, "1" * 64, "2" * 64, {"psnr": -1.5})
    table.add(row)
    table.write()
    with path.open(encoding="utf-8", newline="") as file:
        cells = next(csv.DictReader(file))
    assert all(cells[column][0] not in "=+-@\t\r" for column in COLUMNS)
    assert cells["psnr"] == "-1.5", "a number stays a number"
    assert list(Scores(path, resume=True).rows.values()) == [row], "the row is read back unchanged"
    write_seconds(tmp_path / "seconds.csv", {(name, name, name): 2.0})
    with (tmp_path / "seconds.csv").open(encoding="utf-8", newline="") as file:
        assert all(cell[0] not in "=+-@\t\r" for cell in list(csv.reader(file))[1])


@given(st.text(st.sampled_from("'=+-@\t\ra "), max_size=8))
def test_cells_are_read_back_unchanged(text: str) -> None:
    assert from_cell(as_cell(text)) == text
    assert as_cell(text)[:1] not in {*"=+-@\t\r"}


def _summary(findings: list[Finding], method: str = "ours") -> Summary:
    return Summary((MethodSummary(method, 0, 0, {}, {}),), (), {}, tuple(findings), {}, {})


TAGS = [
    "<script>alert(1)</script>.png",
    "![x](http://tracker/x.png)",
    "[a](javascript:b)",
    "a`<img src=x>`.png",
    "a\n# b",
]


@pytest.mark.parametrize("name", TAGS)
def test_markdown_shows_names_as_they_are(name: str, tmp_path: Path) -> None:
    findings = [Finding("extra prediction", name, f"no true picture has the name {name}", name)]
    rows = {name: [Row(name, name, name, "", "", {"ids": 0.5})]}
    write_markdown(tmp_path / "report.md", f"Evaluation of {name}", _summary(findings, name), rows)
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script" not in report and "<img" not in report and "](" not in report
    assert not [line for line in report.splitlines() if line.startswith("# b")]
    assert "0.500" in report


def test_markdown_text_and_code_are_escaped() -> None:
    assert as_text("a < b & c\nd") == "a &lt; b &amp; c d"
    assert as_code("a.png") == "`a.png`"
    assert as_code("a`b``c.png") == "``` a`b``c.png ```"
    assert as_code("a\nb") == "`a\\nb`"


@pytest.mark.parametrize("name", TAGS)
def test_report_of_a_dataset_shows_names_as_they_are(name: str) -> None:
    report = BuildReport(
        settings={"detector": name},
        photos=1,
        faces=1,
        people=1,
        splits={},
        examples={"train": [(name, [name])]},
        outcomes={"unreadable": {name: f"{name} is damaged"}, "same pixels": {name: name}},
        several_faces={name: 2},
        gone=[name],
        alone=[name],
        near_duplicates=[],
        histogram=[0] * 20,
    )
    text = report.as_markdown()
    outside = re.sub(r"(?<![`\\])(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # code spans show every text as it is
    assert "<script" not in outside and "<img src=x" not in outside and "](" not in outside
    assert "\n# b" not in outside and text.count(as_code(name)) >= 5


@pytest.mark.parametrize("count", [0, 3, MOST_FINDINGS, MOST_FINDINGS + 1, 20_000])
def test_report_limits_the_number_of_findings(count: int, tmp_path: Path) -> None:
    harmless = [Finding("one photo", f"{i}.png", "is the only one", mend=False) for i in range(5)]
    lost = [Finding("prediction missing", f"{i}.png", "x" * 10_000) for i in range(count)]
    summary = _summary([*harmless, *lost])
    table = findings_table(summary)
    assert len(table) <= MOST_FINDINGS + 2
    if count:
        assert table[1][0] == "prediction missing", "findings that need correction come first"
    if count + 5 > MOST_FINDINGS:
        assert table[-1][0] == f"{count + 5 - MOST_FINDINGS} more" and "summary.json" in table[-1][3]
    write_markdown(tmp_path / "report.md", "Evaluation", summary, {})
    assert (tmp_path / "report.md").stat().st_size < 300_000
    assert len(summary.as_json()["findings"]) == count + 5


@pytest.mark.parametrize("invalid", [-1.0, math.nan, math.inf, -math.inf])
def test_invalid_time_is_an_error(invalid: float) -> None:
    assert mean_seconds([]) is None and mean_seconds([1.0, 2.0]) == 1.5
    with pytest.raises(SettingsError, match=r"is no time in seconds \(1 of 3 times are none\)"):
        mean_seconds([1.0, invalid, 2.0])


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "null", '{"about": null, "sets": {}}', '{"about": {}, "sets": null}', '{"about": [], "sets": {}}'),
        *('{"about": {"recognizers": null}, "sets": {}}', '{"about": {"versions": 5}, "sets": {}}', "[" * 200_000),
        *(
            '{"about": {}, "sets": {"fid": "1"}}',
            '{"about": {}, "sets": {"fid": [1]}}',
            '{"about": {}, "sets": {"a": true}}',
        ),
    ],
)
def test_damaged_settings_of_an_earlier_evaluation_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="the settings of the scores"):
        session._read_settings(path)


def test_settings_of_a_deeply_nested_benchmark_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.json"
    path.write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be read"):
        benchmark_plan._read_conditions(path)
