"""Which videos are meant, and what they are called."""

import io
import os
import sys
from types import SimpleNamespace

import pytest

from extractors.batch.inputs import gather, is_list, read_list
from extractors.errors import OptionError, VideoError


@pytest.fixture
def tree(tmp_path):
    for name in ("a.mp4", "sub/b.MKV", "sub/notes.txt", "sub/._b.mkv", "other/a.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(inputs):
    return [video.name for video in inputs.videos]


def test_folders_are_mirrored_and_files_are_called_by_their_names(tree):
    assert names(gather([str(tree)])) == ["a.mp4", "other/a.mp4", "sub/b.MKV"]
    assert names(gather([str(tree / "sub" / "notes.txt")])) == ["notes.txt"]
    assert names(gather([str(tree / "gone.mp4")])) == ["gone.mp4"]


def test_other_files_are_counted(tree):
    assert gather([str(tree)]).n_other == 2


def test_paths_in_a_list_are_called_as_they_are_written(tree):
    listed = ["./a.mp4", "other/a.mp4", "sub", str(tree / "sub" / "b.MKV")]
    assert names(gather([], listed)) == ["a.mp4", "other/a.mp4", "sub/b.MKV", "b.MKV"]
    assert names(gather([], ["."])) == ["a.mp4", "other/a.mp4", "sub/b.MKV"]


def test_the_same_file_twice_is_taken_once(tree):
    path = str(tree / "a.mp4")
    assert names(gather([path, path, str(tree / "sub" / ".." / "a.mp4")])) == ["a.mp4"]


def test_two_files_of_one_name_are_both_named(tree):
    with pytest.raises(OptionError) as caught:
        gather([str(tree / "a.mp4"), str(tree / "other" / "a.mp4")])
    assert str(tree / "a.mp4") in str(caught.value)
    assert str(tree / "other" / "a.mp4") in str(caught.value)


def test_nothing_found_says_what_was_looked_for(tree):
    (tree / "empty").mkdir()
    with pytest.raises(VideoError, match=r"\.mkv"):
        gather([str(tree / "empty")])


@pytest.mark.parametrize(
    "data", [b"a.mp4\nsub/b c.mp4\n\n", b"a.mp4\r\nsub/b c.mp4", b"a.mp4\0sub/b c.mp4\0"]
)
def test_a_list_has_a_path_a_line_or_zero_bytes(tree, data):
    (tree / "list").write_bytes(data)
    assert list(read_list(str(tree / "list"))) == ["a.mp4", "sub/b c.mp4"]


def test_a_line_of_a_list_may_be_a_comment_but_no_file_is_passed_over(tree, monkeypatch):
    monkeypatch.chdir(tree)
    (tree / "#1.mp4").touch()
    (tree / "list").write_text("# the first ones\na.mp4\n#1.mp4\n#2.mp4\n./#3.mp4\n")
    assert list(read_list("list")) == ["a.mp4", "#1.mp4", "./#3.mp4"]
    (tree / "list").write_bytes(b"a.mp4\0#2.mp4\0")
    assert list(read_list("list")) == ["a.mp4", "#2.mp4"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"nowhere/a.mp4\nb.mp4\n", True),
        (b"# mine\n\nsub\n", True),
        (b"a.mp4\0b.mp4\0", True),
        (b"text", False),
        (b"", False),
        (b"\x00\x00\x00\x20ftypisom", False),
        (b"\xff\xfe.mp4\n", False),
        (b"a\tb.mp4", False),
    ],
)
def test_a_list_is_told_from_a_video(tree, monkeypatch, content, found):
    monkeypatch.chdir(tree)
    (tree / "list").write_bytes(content)
    assert is_list(tree / "list") == found


def test_a_pipe_is_no_list_and_is_not_opened(tree):
    os.mkfifo(tree / "pipe")
    assert not is_list(tree / "pipe")
    assert not is_list(tree / "nowhere")


def test_a_list_with_zero_bytes_keeps_line_ends_in_names(tree):
    (tree / "list").write_bytes(b"a\nb.mp4\0c.mp4\0")
    assert list(read_list(str(tree / "list"))) == ["a\nb.mp4", "c.mp4"]


def test_names_need_not_be_utf_8(tree):
    (tree / "list").write_bytes(b"\xff.mp4\n")
    assert [os.fsencode(path) for path in read_list(str(tree / "list"))] == [b"\xff.mp4"]


def test_a_list_comes_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.mp4\n")))
    assert list(read_list("-")) == ["a.mp4"]


def test_a_list_that_is_not_there_is_an_error(tree):
    with pytest.raises(OptionError, match="nowhere"):
        list(read_list(str(tree / "nowhere")))


def test_a_folder_that_cannot_be_read_is_not_passed_over(tree, monkeypatch):
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", f"{folder}/private"))
        return iter(())

    monkeypatch.setattr("extractors.batch.inputs.os.walk", walk)
    with pytest.raises(OptionError, match=r"private cannot be read: Permission denied"):
        gather([str(tree)], [])


def test_links_to_folders_are_counted(tree, tmp_path_factory):
    before = gather([str(tree)], []).n_other
    (tree / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert gather([str(tree)], []).n_other == before + 1
