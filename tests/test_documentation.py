"""The Markdown files of this project are complete, and their links to each other work. No test uses a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from refldm_core.checkpoints.faces import DOWNLOADABLE
from refldm_core.checkpoints.official import OFFICIAL

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
LONGEST_README = 130  # lines


def _pages() -> list[Path]:
    """Return the Markdown files that git tracks. In a copy without git, return those of the folders that have some."""
    if shutil.which("git") and (ROOT / ".git").exists():
        process = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, check=True)
        names = process.stdout.decode("utf-8").split("\0")
        return sorted(ROOT / name for name in names if name and (ROOT / name).exists())
    folders = (DOCS, ROOT / "js", ROOT / "benchmarks", ROOT / "refldm_core", ROOT / ".github")
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])


PAGES = _pages()


def _without_code(text: str) -> str:
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as the hosting service and mkdocs make them."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    unique: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        words = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        repeats = sum(1 for earlier in unique if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", earlier))
        unique.append(f"{anchor}-{repeats}" if repeats else anchor)
    return frozenset(unique)


def _links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and pictures, without addresses of the web."""
    for target in LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield target


def dead_links(page: Path) -> list[str]:
    """Return the links of a page whose file or heading does not exist."""
    dead: list[str] = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    assert dead_links(page) == []


def test_dead_links_are_detected(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Speed of `x`, and more\n\n## Speed\n\n## Speed\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#speed-of-x-and-more) [c](other.md#speed-1) [d](https://example.org/nothing)\n"
        "![e](none.png) [f](other.md#none) [g](#none) [h](gone.md)\n```\n[i](code.md)\n```\n`[j](code.md)`\n"
        "# Here\n[k](#here)",
        encoding="utf-8",
    )
    assert dead_links(page) == ["none.png", "other.md#none", "#none", "gone.md"]


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_every_page_is_linked_from_the_list_of_pages() -> None:
    """Readers do not find a page without a link to it."""
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in _links(DOCS / "README.md")}
    assert set(DOCS.glob("*.md")) - {DOCS / "README.md"} <= listed


def test_every_node_has_a_help_page_that_is_linked_and_named() -> None:
    help_pages = list((ROOT / "js" / "docs").glob("*.md"))
    linked = {Path(link).name for link in _links(DOCS / "nodes.md") if "js/docs" in link}
    assert {page.name for page in help_pages} == linked
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in help_pages]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [title for title in titles if title not in readme] == []


def test_pages_and_workflows_name_the_download_addresses_of_the_code() -> None:
    """A pack from the registry has no command `refldm download`, so its pages and notes say where the files are."""
    code_addresses = {file.url for file in (*OFFICIAL, *DOWNLOADABLE.values())}
    page_addresses: set[str] = set()
    for page in (*PAGES, *(ROOT / "workflows").glob("*.json")):
        text = page.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https://github\.com/[\w./-]+/releases/download/[\w./-]+\w", text))
        assert addresses <= code_addresses, page.name
        is_shipped = page.parent in (ROOT / "js" / "docs", ROOT / "workflows")
        assert addresses or "refldm download" not in text or not is_shipped, page.name
        page_addresses |= addresses
    assert {address for address in code_addresses if not address.endswith("/vqgan.ckpt")} == page_addresses


class _SiteLoader(yaml.SafeLoader):
    """Reads mkdocs.yml. Its extensions name Python functions in tags, which become text."""


_SiteLoader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)


def test_the_site_has_every_page() -> None:
    site: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_SiteLoader)
    page_names = {name for entry in site["nav"] for name in _names(entry)}
    assert page_names == {page.name for page in DOCS.glob("*.md")}
    assert site["strict"] is True
    for hook in site["hooks"]:
        assert (ROOT / hook).is_file()


def _names(entry: Any) -> Iterator[str]:
    """Yield the file names of an entry of the navigation. It is a name, a dictionary by title, or a list of entries."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for value in entry.values():
            yield from _names(value)
    else:
        for value in entry:
            yield from _names(value)


@pytest.mark.parametrize("page", sorted((ROOT / "js" / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_help_pages_have_a_picture_of_their_node(page: Path) -> None:
    assert f"]({page.stem}.jpg)" in page.read_text(encoding="utf-8")
    assert 2_000 < page.with_suffix(".jpg").stat().st_size < 60_000
