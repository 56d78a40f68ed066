"""Where features lie, in whose layout."""

from pathlib import Path

import pytest

from extractors.errors import OptionError
from extractors.layouts import check_layout, place_of

OUT = Path("out")


def test_ascnets_own_layout_mirrors_names_with_their_endings():
    place = place_of(OUT, "train/a.mp4")
    assert place.data == (OUT / "train/a.mp4.npy",)
    assert place.sidecar == OUT / "train/a.mp4.json"
    assert place.claim == OUT / "train/a.mp4.claim"


def test_acm_net_and_cola_have_subsets_and_no_endings():
    acm_net = place_of(OUT, "train/sub/a.b.mp4", "acm-net")
    assert acm_net.data == (OUT / "train/sub/a.b.npy",)
    cola = place_of(OUT, "train/sub/a.b.mp4", "cola")
    assert cola.data == (OUT / "train/rgb/sub/a.b.npy", OUT / "train/flow/sub/a.b.npy")
    assert acm_net.sidecar == cola.sidecar == OUT / "train/sub/a.b.json"


def test_other_layouts_want_both_streams():
    with pytest.raises(OptionError, match="both streams"):
        check_layout("cola", ["rgb"], ["train/a.mp4"])
    assert check_layout("cola", ["rgb", "flow"], ["train/a.mp4", "test/b.mp4"]) == "cola"


@pytest.mark.parametrize("video", ["a.mp4", "validation/a.mp4", "train"])
def test_other_layouts_want_subsets(video):
    with pytest.raises(OptionError, match="train and test") as caught:
        check_layout("acm-net", ["rgb", "flow"], ["train/b.mp4", video])
    assert video in str(caught.value)
    assert check_layout("ascnet", ["rgb"], [video]) == "ascnet"


def test_an_unknown_layout_is_refused():
    with pytest.raises(OptionError, match="acmnet"):
        check_layout("acmnet", ["rgb"], [])
