"""ELAN files: the rules of EAF 3.0 written out, an independent reader, and what a label can do to it."""

import io
import re
import warnings
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs import eaf
from ascnet_cli.outputs.media import Media
from ascnet_cli.outputs.text import visible
from tests.ascnet_cli.hostile import detections, run, video

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pympi

# http://www.mpi.nl/tools/elan/EAFv3.0.xsd, as far as a file of one kind of tiers uses it: the children of an
# element in their order with how often they may occur, and its attributes (required ones with a "!").
MANY = 10**9
ORDER = {
    "ANNOTATION_DOCUMENT": [
        ("LICENSE", 0, MANY),
        ("HEADER", 1, 1),
        ("TIME_ORDER", 1, 1),
        ("TIER", 0, MANY),
        ("LINGUISTIC_TYPE", 0, MANY),
        ("LOCALE", 0, MANY),
        ("LANGUAGE", 0, MANY),
        ("CONSTRAINT", 0, MANY),
        ("CONTROLLED_VOCABULARY", 0, MANY),
        ("LEXICON_REF", 0, MANY),
        ("REF_LINK_SET", 0, MANY),
        ("EXTERNAL_REF", 0, MANY),
    ],
    "HEADER": [("MEDIA_DESCRIPTOR", 0, MANY), ("LINKED_FILE_DESCRIPTOR", 0, MANY), ("PROPERTY", 0, MANY)],
    "TIME_ORDER": [("TIME_SLOT", 0, MANY)],
    "TIER": [("ANNOTATION", 0, MANY)],
    "ANNOTATION": [("ALIGNABLE_ANNOTATION", 1, 1)],
    "ALIGNABLE_ANNOTATION": [("ANNOTATION_VALUE", 1, 1)],
}
XSI = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
ATTRIBUTES = {
    "ANNOTATION_DOCUMENT": f"DATE! AUTHOR! VERSION! FORMAT {XSI}",
    "HEADER": "MEDIA_FILE TIME_UNITS",
    "MEDIA_DESCRIPTOR": "MEDIA_URL! RELATIVE_MEDIA_URL MIME_TYPE! TIME_ORIGIN EXTRACTED_FROM",
    "PROPERTY": "NAME",
    "TIME_SLOT": "TIME_SLOT_ID! TIME_VALUE",
    "TIER": "TIER_ID! PARTICIPANT ANNOTATOR LINGUISTIC_TYPE_REF! DEFAULT_LOCALE PARENT_REF EXT_REF LANG_REF",
    "ALIGNABLE_ANNOTATION": "ANNOTATION_ID! TIME_SLOT_REF1! TIME_SLOT_REF2! SVG_REF EXT_REF LANG_REF CVE_REF",
    "LINGUISTIC_TYPE": "LINGUISTIC_TYPE_ID! TIME_ALIGNABLE CONSTRAINTS GRAPHIC_REFERENCES"
    " CONTROLLED_VOCABULARY_REF EXT_REF LEXICON_REF",
}
NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_schema(text):
    root = ElementTree.fromstring(text)
    assert root.tag == "ANNOTATION_DOCUMENT"
    for element in root.iter():
        allowed = ATTRIBUTES.get(element.tag, "").split()
        names = {name.rstrip("!") for name in allowed}
        assert set(element.attrib) <= names, element.tag
        assert {name[:-1] for name in allowed if name.endswith("!")} <= set(element.attrib), element.tag
        children = [child.tag for child in element]
        order = ORDER.get(element.tag, [])
        places = [[tag for tag, _, _ in order].index(child) for child in children]
        assert places == sorted(places), element.tag
        assert all(least <= children.count(tag) <= most for tag, least, most in order), element.tag
    assert datetime.fromisoformat(root.get("DATE")).tzinfo is not None
    assert root.get("FORMAT") == root.get("VERSION") == "3.0"
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert all(0 <= value < 2**32 for value in slots.values())  # xsd:unsignedInt
    assert list(slots.values()) == sorted(slots.values())
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    ids = [*slots, *(annotation.get("ANNOTATION_ID") for annotation in annotations)]  # xsd:ID: one space
    assert len(set(ids)) == len(list(root.iter("TIME_SLOT"))) + len(annotations)
    assert all(NCNAME.fullmatch(one) for one in ids)
    tiers = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    assert len(set(tiers)) == len(tiers)
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        spans = [
            (slots[a.get("TIME_SLOT_REF1")], slots[a.get("TIME_SLOT_REF2")])
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(start < end for start, end in spans)
        # ELAN's own rule: annotations of one tier do not overlap
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def written(*found, name="a.mp4", **options):
    file = io.StringIO(newline="")
    eaf.write([video(*found, name=name)], file, **options)
    return file.getvalue()


def read(text, name="x.eaf"):
    return eaf.read(io.StringIO(text, newline=""), name)


def label_in(label):
    return visible(label, "\t\n\r")


def test_tiers_are_classes_and_further_ones_where_segments_of_a_class_overlap():
    text = written(
        run(0.0, 2.0), run(1.0, 3.0), run(2.0, 4.0), run(0.0, 1.0, label="run (2)"), run(5, 6, label="a")
    )
    check_schema(text)
    tiers = [
        (t.get("TIER_ID"), t.get("PARTICIPANT"), len(t)) for t in ElementTree.fromstring(text).iter("TIER")
    ]
    assert tiers == [("a", "a", 1), ("run", "run", 2), ("run (3)", "run", 1), ("run (2)", "run (2)", 1)]


def test_without_segments():
    text = written()
    check_schema(text)
    assert read(text) == {"a.mp4": ()}


@settings(deadline=None, max_examples=60)
@given(st.lists(detections, max_size=6))
def test_what_was_written_follows_the_schema_and_is_read(found):
    text = written(*found)
    check_schema(text.encode("utf-8").decode("utf-8"))
    (back,) = read(text).values()
    as_rows = lambda some, carried: sorted((carried(d.label), d.segment, d.score) for d in some)  # noqa: E731
    assert as_rows(back, str) == as_rows(found, label_in)
    assert eaf.is_ours(text)


def test_an_independent_reader(tmp_path):
    hostile = "<script>]]>--> & \"x\" 'y'\n🤸"
    found = [run(0.5, 1.5), run(2.0, 3.25, 0.75), run(1.0, 2.0, 0.123456, hostile)]
    path = tmp_path / "a.eaf"
    path.write_text(written(*found, name="in/a b.mp4"), encoding="utf-8", newline="")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not know 3.0 by number
        document = pympi.Elan.Eaf(str(path))
    assert set(document.get_tier_names()) == {"run", hostile}
    assert document.get_annotation_data_for_tier("run") == [(500, 1500, "0.500000"), (2000, 3250, "0.750000")]
    assert document.get_annotation_data_for_tier(hostile) == [(1000, 2000, "0.123456")]
    (media,) = document.get_linked_files()
    assert media["RELATIVE_MEDIA_URL"] == "./in/a%20b.mp4"
    assert media["MIME_TYPE"] == "video/mp4"


@pytest.mark.parametrize(
    ("path", "folder", "url"),
    [
        ("/videos/a b.mp4", "/videos", "./a%20b.mp4"),
        ("/videos/deep/ä.mp4", "/out/subs", "../../videos/deep/%C3%A4.mp4"),
    ],
)
def test_the_video_is_linked_from_where_the_file_lies(path, folder, url):
    text = written(run(0, 1), media=Media(Path(path)), folder=Path(folder))
    assert f'RELATIVE_MEDIA_URL="{url}"' in text
    assert folder not in text
    assert eaf.is_ours(text)


def test_the_kind_of_the_video_is_that_of_its_file():
    text = written(run(0, 1), name="a", media=Media(Path("videos/a.mkv")))
    assert 'MEDIA_URL="./videos/a.mkv" MIME_TYPE="video/x-matroska"' in text
    assert list(read(text)) == ["a"]


def test_what_was_corrected_in_elan_is_read_and_is_not_ours():
    text = written(run(0.0, 1.0, 0.25))
    moved = text.replace('TIME_VALUE="1000"', 'TIME_VALUE="1500"')
    assert read(moved) == {"a.mp4": (run(0.0, 1.5, 0.25),)}
    named = text.replace("0.250000", "surely").replace(' PARTICIPANT="run"', "").replace('"run"', '"walk"')
    assert read(named) == {"a.mp4": (run(0.0, 1.0, 1.0, "walk"),)}
    assert not eaf.is_ours(named)
    assert not eaf.is_ours(text.replace(' AUTHOR="ascnet"', ' AUTHOR="me"'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not XML"),
        ("<a>", "not XML"),
        ("<a/>", "no EAF"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "no DOCTYPE"),
        (written(run(0, 1)).replace(' TIME_VALUE="1000"', ""), "a1 has no times"),
        (written(run(0, 1)).replace('TIME_VALUE="1000"', 'TIME_VALUE="0"'), "a1: a segment needs"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(PredictionsError, match=message) as caught:
        read(text)
    assert caught.value.hint
    assert not eaf.is_ours(text)


def test_the_name_of_the_video_where_another_program_wrote_the_file():
    text = re.sub(r"  <PROPERTY.*\n", "", written(run(0, 1), name="in/a b.mp4"))
    assert list(read(text)) == ["a b.mp4"]
    assert list(read(re.sub(r"  <MEDIA_D.*\n", "", text), "dir/c.eaf")) == ["c"]
