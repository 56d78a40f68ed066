import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from weights.errors import WeightsError
from weights.fetch import by_hand, fetch, fetch_entry
from weights.files import git_object_id
from weights.integrity import read_entry
from weights.registry import SourceFile, WeightsSource, entry


class Server(ThreadingHTTPServer):
    """Serves the bytes in `files`, counts requests; a name in `cut` ends half way."""

    daemon_threads = True

    def __init__(self):
        self.files, self.requests, self.cut = {}, [], set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/")
        self.server.requests.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if name in self.server.cut else data)

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def known(server, tmp_path, monkeypatch, random_units, publish):
    """A registry entry whose source the loopback server publishes."""
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    arrays = publish(random_units("flow"), "hassony2", "flow")
    path = tmp_path / "model_flow.pth"
    torch.save({name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, path)
    data = path.read_bytes()
    server.files["model_flow.pth"] = data
    file = SourceFile(
        "model_flow.pth", git_object_id=git_object_id(data), urls=(f"{server.url}/model_flow.pth",)
    )
    return replace(entry("i3d-flow-imagenet"), source=WeightsSource("someone/there", "1", (file,)))


def with_urls(known, *urls):
    (file,) = known.source.files
    return replace(known, source=replace(known.source, files=(replace(file, urls=urls),)))


def test_a_published_file_is_fetched_converted_and_stored(known, server):
    seen = []
    fetched = fetch_entry(known, lambda *progress: seen.append(progress))
    assert (fetched.name, fetched.path, fetched.state) == (known.name, known.path, "fetched")
    checked = read_entry(known)
    assert checked.metadata["layout"] == "hassony2"
    assert checked.metadata["source_git_object_id"] == known.source.files[0].git_object_id
    size = len(server.files["model_flow.pth"])
    assert seen[-1] == ("model_flow.pth", size, size)
    assert [path.name for path in known.path.parent.iterdir()] == [known.file]


def test_what_is_there_is_not_fetched_again(known, server):
    fetch_entry(known)
    assert fetch_entry(known).state == "present"
    assert server.requests == ["model_flow.pth"]


def test_what_is_damaged_is_fetched_again(known, server):
    fetch_entry(known)
    whole = known.path.read_bytes()
    known.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert fetch_entry(known).state == "fetched"
    assert known.path.read_bytes() == whole


def test_another_content_is_refused_before_anything_touches_it(known, server, monkeypatch):
    monkeypatch.setattr("weights.fetch.convert", lambda *_: pytest.fail("converted"))
    server.files["model_flow.pth"] = b"something else"
    with pytest.raises(WeightsError, match=git_object_id(b"something else")) as caught:
        fetch_entry(known)
    assert known.source.files[0].git_object_id in str(caught.value)
    assert caught.value.exit_code == 5
    assert not known.path.exists()


def test_a_mirror_is_tried_next(known, server):
    mirrored = with_urls(known, f"{server.url}/gone", *known.source.files[0].urls)
    assert fetch_entry(mirrored).state == "fetched"
    assert server.requests == ["gone", "model_flow.pth"]


def test_a_connection_that_ends_early_is_an_error(known, server):
    server.cut.add("model_flow.pth")
    with pytest.raises(WeightsError, match="could not be fetched"):
        fetch_entry(known)
    assert not known.path.exists()


def test_without_a_network_the_steps_by_hand_are_given(known, server):
    closed = with_urls(known, "http://127.0.0.1:9/model_flow.pth")
    with pytest.raises(WeightsError, match=r"http://127\.0\.0\.1:9/model_flow\.pth: ") as caught:
        fetch_entry(closed)
    hint = caught.value.hint
    assert "download http://127.0.0.1:9/model_flow.pth" in hint
    assert known.source.files[0].git_object_id in hint
    assert f"ascnet weights convert model_flow.pth --out {known.path}" in hint


def test_only_http_is_asked(known):
    with pytest.raises(WeightsError, match="neither http nor https"):
        fetch_entry(with_urls(known, "file:///etc/passwd"))


def test_a_download_has_a_limit(known, monkeypatch):
    monkeypatch.setattr("weights.fetch.MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="more than 0 MiB"):
        fetch_entry(known)


def test_steps_by_hand_name_every_file():
    steps = by_hand(entry("i3d-flow-imagenet-deepmind"))
    assert "model.ckpt.data-00000-of-00001" in steps
    assert "model.ckpt.index" in steps
    assert "8217f9450d851d24782aaf1af01c5c3b35b81a35" in steps


def test_shipped_weights_are_here_already():
    assert fetch("raft-small").state == "present"
    with pytest.raises(WeightsError, match="no weights are called"):
        fetch("nothing")
