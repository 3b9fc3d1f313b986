"""The HTTP routes that the gallery in Load References uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from PIL import Image

from refldm_core.checkpoints.references import StoredReferences, save_references
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV

from .comfy import Server


def save_person(path: Path, photos: int = 3) -> None:
    """Write a file as Save References does, for a model that does not exist."""
    key = torch.zeros(2, 4 * photos, 8)
    kv = ReferenceKV({"layer": KeyValue(key, key)}, photos, (2, 2), "0123456789abcdef")
    shades = torch.linspace(60, 220, photos).to(torch.uint8)
    thumbnails = shades[:, None, None, None].expand(photos, 3, 32, 32).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_references(StoredReferences(kv, thumbnails=thumbnails), path)


@pytest.fixture
def folder(base: Path) -> Iterator[Path]:
    """The folder of saved people with Anna, Ben and a broken file."""
    folder = base / "models" / "refldm_references"
    before = set(folder.glob("*")) if folder.is_dir() else set()
    save_person(folder / "Anna.safetensors")
    save_person(folder / "Ben.safetensors", photos=1)
    (folder / "broken.safetensors").write_bytes(b"{}")
    yield folder
    for path in set(folder.glob("*")) - before:
        path.unlink()


def post(server: Server, path: str, content: Any, **headers: str) -> requests.Response:
    """Post to a route as the host's own page does, apart from these headers."""
    defaults = {"Origin": server.url, "Content-Type": "application/json"}
    return requests.post(
        f"{server.url}/refldm/people/{path}", json.dumps(content), headers={**defaults, **headers}, timeout=30
    )


def test_people_are_listed_with_their_pictures(server: Server, folder: Path) -> None:
    people = {person["name"]: person for person in server.get("/refldm/people")}
    assert people["Anna.safetensors"] == {
        "name": "Anna.safetensors",
        "photos": 3,
        "model": "0123456789abcdef",
        "thumbnails": 3,
    }
    assert "broken.safetensors" in people["broken.safetensors"]["problem"]
    answer = requests.get(f"{server.url}/refldm/people/thumbnails", {"name": "Anna.safetensors"}, timeout=30)
    assert answer.headers["Content-Type"] == "image/webp"
    strip = Image.open(BytesIO(answer.content)).convert("L")
    assert strip.size == (96, 32)
    assert [abs(strip.getpixel((x, 16)) - shade) < 8 for x, shade in ((16, 60), (48, 140), (80, 220))] == [True] * 3


def test_rename_moves_the_file(server: Server, folder: Path) -> None:
    answer = post(server, "rename", {"name": "Anna.safetensors", "new_name": " Anna Lee "})
    assert answer.json() == "Anna Lee.safetensors"
    assert not (folder / "Anna.safetensors").exists()
    names = [person["name"] for person in server.get("/refldm/people")]
    assert "Anna Lee.safetensors" in names and "Anna.safetensors" not in names


def test_rename_changes_capitals_but_replaces_no_file(server: Server, folder: Path) -> None:
    assert post(server, "rename", {"name": "Anna.safetensors", "new_name": "anna"}).json() == "anna.safetensors"
    answer = post(server, "rename", {"name": "anna.safetensors", "new_name": "BEN"})
    assert answer.status_code == 400 and "exists already" in answer.json()["error"]
    assert (folder / "anna.safetensors").is_file() and (folder / "Ben.safetensors").is_file()


def test_delete_removes_only_that_file(server: Server, folder: Path) -> None:
    assert post(server, "delete", {"name": "Anna.safetensors"}).json() is None
    assert not (folder / "Anna.safetensors").exists() and (folder / "Ben.safetensors").is_file()


BAD_NAMES = [
    "../secret.safetensors",
    "..\\secret.safetensors",
    "/etc/passwd",
    "x/../../secret.safetensors",
    "",
    "nobody",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_leads_out_of_the_folder(server: Server, folder: Path, name: str) -> None:
    secret = folder.parent / "secret.safetensors"
    save_person(secret)
    try:
        assert post(server, "delete", {"name": name}).status_code == 400
        assert post(server, "rename", {"name": name, "new_name": "mine"}).status_code == 400
        answer = requests.get(f"{server.url}/refldm/people/thumbnails", {"name": name}, timeout=30)
        assert answer.status_code == 400 and answer.json()["error"]
        assert secret.is_file()
    finally:
        secret.unlink()


@pytest.mark.parametrize("name", ["../out", "a/b", "a\\b", "", ".hidden", "con", "x" * 200])
def test_no_new_name_leads_out_of_the_folder(server: Server, folder: Path, name: str) -> None:
    before = {path.name for path in folder.iterdir()}
    assert post(server, "rename", {"name": "Anna.safetensors", "new_name": name}).status_code == 400
    assert {path.name for path in folder.iterdir()} == before
    assert not (folder.parent / "out.safetensors").exists()


def test_a_link_to_another_folder_is_not_followed(server: Server, folder: Path, tmp_path: Path) -> None:
    save_person(tmp_path / "elsewhere" / "Cem.safetensors")
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    answer = post(server, "delete", {"name": "linked/Cem.safetensors"})
    assert answer.status_code == 400
    assert (tmp_path / "elsewhere" / "Cem.safetensors").is_file()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
    ],
    ids=lambda headers: " ".join(*headers.items()),
)
def test_foreign_pages_are_refused(server: Server, folder: Path, headers: dict[str, str]) -> None:
    assert post(server, "delete", {"name": "Anna.safetensors"}, **headers).status_code == 403
    assert post(server, "rename", {"name": "Anna.safetensors", "new_name": "x"}, **headers).status_code == 403
    assert (folder / "Anna.safetensors").is_file()


def test_foreign_pages_see_no_people(server: Server, folder: Path) -> None:
    for path in ("people", "people/thumbnails?name=Anna.safetensors"):
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert requests.get(f"{server.url}/refldm/{path}", headers=headers, timeout=30).status_code == 403


@pytest.mark.parametrize(
    "content", [[], "x", {"name": 5}, {}, {"name": "Anna.safetensors", "more": "x"}, {"name": "x" * 9000}]
)
def test_malformed_requests_are_refused(server: Server, folder: Path, content: Any) -> None:
    assert post(server, "delete", content).status_code == 400
    assert (folder / "Anna.safetensors").is_file()
