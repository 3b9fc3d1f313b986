"""Downloads from a server on this machine that breaks off, refuses ranges or sends something else."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from refldm_core.checkpoints.download import fetch, unpack
from refldm_core.checkpoints.faces import DOWNLOADABLE
from refldm_core.checkpoints.official import OFFICIAL, RemoteFile
from refldm_core.cli.main import main
from refldm_core.errors import DownloadError, OutputError
from refldm_core.face.weights import FaceWeights

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    ranges = True
    """Whether it answers Range requests."""
    cut_after: int | None = None
    """Bytes after which it breaks the next connection."""
    requests: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.requests.append(asked)
        if "missing" in self.path:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, None
        self.wfile.write(body[:cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _remote(server: Server, sha256: str = SHA256, name: str = "model.ckpt") -> RemoteFile:
    return RemoteFile(name, f"http://127.0.0.1:{server.server_address[1]}/{name}", sha256)


def test_it_is_checked_and_takes_its_name_when_whole(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(_remote(server), tmp_path / "new" / "folder", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(_remote(server), path.parent) == path
    assert len(server.requests) == 1, "a file that is there is not fetched again"


def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(DownloadError, match="broke off") as caught:
        fetch(_remote(server), tmp_path)
    assert "same command again" in caught.value.remedy
    assert not (tmp_path / "model.ckpt").exists()
    part = (tmp_path / "model.ckpt.part").stat().st_size
    assert 0 < part <= 1_000_000
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={part}-"]


def test_a_server_without_ranges_sends_it_whole(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "model.ckpt.part").write_bytes(CONTENT[:5000])
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT


def test_everything_came_but_was_not_renamed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.part").write_bytes(CONTENT)
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT


def test_another_content_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA256}"):
        fetch(_remote(server, "0" * 64), tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "model.ckpt").write_bytes(b"something of the user's")
    with pytest.raises(DownloadError, match="not the published") as caught:
        fetch(_remote(server), tmp_path)
    assert "Delete it" in caught.value.remedy
    assert (tmp_path / "model.ckpt").read_bytes() == b"something of the user's"


def test_no_file_and_no_server(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="404 Not Found"):
        fetch(_remote(server, name="missing.ckpt"), tmp_path)
    with pytest.raises(DownloadError, match="broke off"):
        fetch(RemoteFile("model.ckpt", "http://127.0.0.1:9/model.ckpt", SHA256), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        fetch(_remote(server), tmp_path / "file" / "folder")


@pytest.mark.parametrize("accepted", [True, False])
def test_command(
    accepted: bool,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = (_remote(server, name="refldm.ckpt"), _remote(server, name="vqgan.ckpt"))
    monkeypatch.setattr("refldm_core.cli.download.OFFICIAL", files)
    words = ["download", "--folder", str(tmp_path), *(["--accept-license"] if accepted else [])]
    assert main(words) == (0 if accepted else 2)
    captured = capsys.readouterr()
    assert "NON-COMMERCIAL" in captured.err
    names = ["refldm.ckpt", "vqgan.ckpt"] if accepted else []
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert captured.out.split() == [str(tmp_path / name) for name in names]


def test_an_archive_is_unpacked_and_checked(tmp_path: Path) -> None:
    def archive(**members: bytes) -> Path:
        with zipfile.ZipFile(tmp_path / "pack.zip", "w") as packed:
            for name, content in members.items():
                packed.writestr(f"../pack/{name}.onnx", content)
        return tmp_path / "pack.zip"

    wanted = {"det.onnx": hashlib.sha256(b"det").hexdigest()}
    paths = unpack(archive(det=b"det", other=b"x"), tmp_path / "pack", wanted)
    assert paths == [tmp_path / "pack" / "det.onnx"] and paths[0].read_bytes() == b"det"
    assert [p.name for p in (tmp_path / "pack").iterdir()] == ["det.onnx"]
    with pytest.raises(DownloadError, match=r"not the published det\.onnx"):
        unpack(archive(det=b"evil"), tmp_path / "pack", wanted)
    assert paths[0].read_bytes() == b"det", "the older file stays"
    with pytest.raises(DownloadError, match="not the published archive"):
        unpack(archive(other=b"x"), tmp_path / "pack", wanted)
    (tmp_path / "pack.zip").write_bytes(b"no archive")
    with pytest.raises(DownloadError, match="not the published archive"):
        unpack(tmp_path / "pack.zip", tmp_path / "pack", wanted)


def test_a_pack_is_not_fetched_twice(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    det = ("det.onnx", hashlib.sha256(b"det").hexdigest())
    face = FaceWeights("pack.zip", "http://127.0.0.1:9/pack.zip", SHA256, 1, "research only", (det,))
    monkeypatch.setitem(DOWNLOADABLE, "insightface", face)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "det.onnx").write_bytes(b"det")
    assert main(["download", "insightface", "--folder", str(tmp_path), "--accept-license"]) == 0
    (tmp_path / "pack" / "det.onnx").write_bytes(b"another")
    assert main(["download", "insightface", "--folder", str(tmp_path), "--accept-license"]) == 2


def test_face_models_by_command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    face = FaceWeights("parser.pth", f"http://127.0.0.1:{server.server_address[1]}/parser.pth", SHA256, 1, "free")
    monkeypatch.setitem(DOWNLOADABLE, "parsenet", face)
    assert main(["download", "parsenet", "--folder", str(tmp_path), "--accept-license"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["parser.pth"]
    with pytest.raises(SystemExit):
        main(["download", "nothing"])


def test_official_files_are_the_published_ones() -> None:
    assert [(f.name, len(f.sha256)) for f in OFFICIAL] == [("refldm.ckpt", 64), ("vqgan.ckpt", 64)]
    assert all("/releases/download/1.0.0/" in f.url and f.url.endswith(f.name) for f in OFFICIAL)
