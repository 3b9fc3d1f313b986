"""Downloads from a local server that breaks connections, ignores ranges or sends another content."""

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
    """Whether the server supports Range requests."""
    cut_after: int | None = None
    """Number of bytes after which the server breaks the next connection."""
    requests: list[str | None]
    """Range header of each request."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        range_header = self.headers["Range"]
        self.server.requests.append(range_header)
        if "missing" in self.path:
            self.send_error(404)
            return
        use_range = range_header and self.server.ranges
        start = int(range_header.removeprefix("bytes=").removesuffix("-")) if use_range else 0
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


def test_a_complete_download_is_checked_and_gets_its_name(server: Server, tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    path = fetch(_remote(server), tmp_path / "new" / "folder", lambda done, total: progress.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]
    assert progress[0] == (0, len(CONTENT)) and progress[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(_remote(server), path.parent) == path
    assert len(server.requests) == 1, "an existing file is not fetched again"


def test_a_broken_download_continues_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(DownloadError, match="broke off") as caught:
        fetch(_remote(server), tmp_path)
    assert "same command again" in caught.value.remedy
    assert not (tmp_path / "model.ckpt").exists()
    part_size = (tmp_path / "model.ckpt.part").stat().st_size
    assert 0 < part_size <= 1_000_000
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={part_size}-"]


def test_a_server_without_ranges_sends_the_whole_file(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "model.ckpt.part").write_bytes(CONTENT[:5000])
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT


def test_a_complete_part_is_checked_and_renamed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.part").write_bytes(CONTENT)
    assert fetch(_remote(server), tmp_path).read_bytes() == CONTENT


def test_a_download_with_another_content_is_deleted_and_an_existing_file_is_not(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA256}"):
        fetch(_remote(server, "0" * 64), tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "model.ckpt").write_bytes(b"something of the user's")
    with pytest.raises(DownloadError, match="not the published") as caught:
        fetch(_remote(server), tmp_path)
    assert "Delete it" in caught.value.remedy
    assert (tmp_path / "model.ckpt").read_bytes() == b"something of the user's"


def test_a_missing_file_or_server_leaves_no_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="404 Not Found"):
        fetch(_remote(server, name="missing.ckpt"), tmp_path)
    with pytest.raises(DownloadError, match="broke off"):
        fetch(RemoteFile("model.ckpt", "http://127.0.0.1:9/model.ckpt", SHA256), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_created_is_an_output_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        fetch(_remote(server), tmp_path / "file" / "folder")


@pytest.mark.parametrize("accepted", [True, False])
def test_the_command_downloads_only_if_the_license_is_accepted(
    accepted: bool,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = (_remote(server, name="refldm.ckpt"), _remote(server, name="vqgan.ckpt"))
    monkeypatch.setattr("refldm_core.cli.download.OFFICIAL", files)
    arguments = ["download", "--folder", str(tmp_path), *(["--accept-license"] if accepted else [])]
    assert main(arguments) == (0 if accepted else 2)
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

    members = {"det.onnx": hashlib.sha256(b"det").hexdigest()}
    paths = unpack(archive(det=b"det", other=b"x"), tmp_path / "pack", members)
    assert paths == [tmp_path / "pack" / "det.onnx"] and paths[0].read_bytes() == b"det"
    assert [p.name for p in (tmp_path / "pack").iterdir()] == ["det.onnx"]
    with pytest.raises(DownloadError, match=r"not the published det\.onnx"):
        unpack(archive(det=b"evil"), tmp_path / "pack", members)
    assert paths[0].read_bytes() == b"det", "the existing file stays"
    with pytest.raises(DownloadError, match="not the published archive"):
        unpack(archive(other=b"x"), tmp_path / "pack", members)
    (tmp_path / "pack.zip").write_bytes(b"no archive")
    with pytest.raises(DownloadError, match="not the published archive"):
        unpack(tmp_path / "pack.zip", tmp_path / "pack", members)


def test_an_unpacked_pack_is_checked_and_not_fetched_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = ("det.onnx", hashlib.sha256(b"det").hexdigest())
    pack = FaceWeights("pack.zip", "http://127.0.0.1:9/pack.zip", SHA256, 1, "research only", (member,))
    monkeypatch.setitem(DOWNLOADABLE, "insightface", pack)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "det.onnx").write_bytes(b"det")
    assert main(["download", "insightface", "--folder", str(tmp_path), "--accept-license"]) == 0
    (tmp_path / "pack" / "det.onnx").write_bytes(b"another")
    assert main(["download", "insightface", "--folder", str(tmp_path), "--accept-license"]) == 2


def test_the_command_downloads_face_models(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = FaceWeights("parser.pth", f"http://127.0.0.1:{server.server_address[1]}/parser.pth", SHA256, 1, "free")
    monkeypatch.setitem(DOWNLOADABLE, "parsenet", parser)
    assert main(["download", "parsenet", "--folder", str(tmp_path), "--accept-license"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["parser.pth"]
    with pytest.raises(SystemExit):
        main(["download", "nothing"])


def test_official_files_are_the_published_ones() -> None:
    assert [(file.name, len(file.sha256)) for file in OFFICIAL] == [("refldm.ckpt", 64), ("vqgan.ckpt", 64)]
    assert all("/releases/download/1.0.0/" in file.url and file.url.endswith(file.name) for file in OFFICIAL)
