"""Names that were read from files become paths inside their folder, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from refldm_core.errors import UnsafePathError, shorten
from refldm_core.paths import path_inside, require_plain

UNSAFE = {
    "empty": "",
    "the folder itself": ".",
    "absolute": "/etc/passwd",
    "up": "../a.png",
    "up in the middle": "a/../../b.png",
    "up on Windows": "..\\a.png",
    "up with a space, which Windows drops": ".. /a.png",
    "only dots": "a/.../b.png",
    "drive": "C:/a.png",
    "drive without a root": "C:a.png",
    "network share": "\\\\server\\share\\a.png",
    "network share with slashes": "//server/share/a.png",
    "NUL": "a\0.png",
    "line feed": "a\n.png",
    "a long part": "a" * 300,
    "a long path": "/".join(["a" * 200] * 30),
    "no text": None,
    "bytes": b"a.png",
    "a list": ["a.png"],
}


@pytest.mark.parametrize("case", UNSAFE)
def test_unsafe_names_are_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafePathError, match=r"table\.csv names .* cannot be used: ") as caught:
        path_inside(tmp_path, UNSAFE[case], "table.csv")
    assert caught.value.expected and caught.value.remedy
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "name", ["a.png", "people/anna 1.png", "..a.png", ".a", "a..", "10:30.png", "\u00e4\u6f22.png"]
)
def test_plain_names_are_accepted(name: str, tmp_path: Path) -> None:
    assert require_plain(name, "table.csv") == name
    assert path_inside(tmp_path, name, "table.csv") == tmp_path / name


def test_links_to_a_place_outside_are_not_followed(tmp_path: Path) -> None:
    """A subfolder that links to a place outside is refused. A file may be a link, since only the link is changed."""
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "in").mkdir()
    (folder / "alias").symlink_to(folder / "in", target_is_directory=True)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "file.png").symlink_to(outside / "file.png")
    for name in ("out/a.png", "out/more/a.png"):
        with pytest.raises(UnsafePathError, match="symbolic link"):
            path_inside(folder, name, "table.csv")
    assert path_inside(folder, "alias/a.png", "table.csv").parent.resolve() == folder / "in"
    assert path_inside(folder, "file.png", "table.csv").is_symlink()
    # The folder itself may be a link, since the user chose it.
    (tmp_path / "linked").symlink_to(folder, target_is_directory=True)
    assert path_inside(tmp_path / "linked", "in/a.png", "table.csv") == tmp_path / "linked/in/a.png"


def test_values_in_messages_are_short() -> None:
    nested: list[object] = []
    for _ in range(60):
        nested = [nested, nested]  # its text would have 2**60 parts
    assert shorten(nested) == "a list"
    assert shorten("x" * 10**7) == "'" + "x" * 76 + "..."
    assert shorten(10**100_000) == "a number of more than 70 digits"
    assert (shorten(7), shorten(None), shorten(0.5), shorten("a")) == ("7", "None", "0.5", "'a'")
