"""Documents that cannot lie: the commands, flags, exit codes and tests that they name are there."""

import re

import pytest

from ascnet_cli import errors
from ascnet_cli.cli import app as application
from tests.ascnet_cli import flags
from tests.ascnet_cli.documents import ROOT, documents, is_test, mentioned_commands, named_tests, pipeline
from weights.registry import entries

README = ROOT / "README.md"
DOCUMENTS = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents()]
# Each exit code, and a test that ends with it.
_DISK = (
    "tests/ascnet_cli/test_cli_extract_processes.py::test_a_disk_that_is_full_is_6_and_leaves_nothing_half"
)
EXIT_CODES = {
    0: "tests/ascnet_cli/test_cli_detect_good.py::test_csv_has_the_action_when_it_happens",
    1: "tests/ascnet_cli/test_cli_help.py::test_a_bug_is_shown_whole_and_named_as_one",
    2: "tests/ascnet_cli/test_cli_detect_bad.py::test_cuda_where_there_is_none",
    3: "tests/ascnet_cli/test_cli_detect_bad.py::test_one_bad_video_among_three",
    4: "tests/ascnet_cli/test_cli_detect_bad.py::test_a_bad_video_is_one_line_and_nothing_is_written",
    5: "tests/ascnet_cli/test_cli_detect_bad.py::test_damaged_weights_are_named_with_both_hashes",
    6: _DISK,
    130: "tests/ascnet_cli/test_cli_signals.py::test_what_is_finished_is_written",
    143: "tests/ascnet_cli/test_cli_signals.py::test_what_is_finished_is_written",
}


def test_the_list_of_flags_is_the_one_that_was_decided_on():
    """A script of somebody's relies on each: a new or changed one is a decision, not an accident."""
    assert flags.FROZEN.read_text("utf-8") == flags.frozen(), f"meant? then renew the list: {flags.RENEW}"


def test_every_command_and_flag_is_in_the_readmes_table():
    text = README.read_text("utf-8")
    assert text == flags.with_table(text), f"meant? then renew the table: {flags.RENEW}"
    table = text[text.index("<!-- flags: begin -->") :].splitlines()
    for name, parameters in flags.commands().items():
        called = f"ascnet {name}".strip()
        row = next(line for line in table if re.match(rf"\| `{called}[ `]", line))
        assert set(re.findall(r"`(--[\w-]+)`", row)) == set(flags.flags(parameters))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_command_in_a_document_is_one_that_there_is(path):
    known = flags.commands()
    for words in mentioned_commands(path):
        said = " ".join(words)
        name = next((name for name in (" ".join(words[1:3]), words[1]) if name in known), "")
        groups = {name.partition(" ")[0] for name in known if " " in name}
        alone = len(words) == 2 and words[1] in groups  # "`ascnet weights`"
        assert name or words[1].startswith("-") or words[1] == "COMMAND" or alone, said
        there = {"--help", "-h"} | {
            spelt for one in known[name] if one.param_type_name == "option" for spelt in one.opts
        }
        asked = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert asked <= there or words[1] == "COMMAND", said


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_test_that_a_document_names_is_there(path):
    assert [name for name in named_tests(path) if not is_test(name)] == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_measuring_program_that_a_document_names_is_there(path):
    for module in re.findall(r"python -m ((?:tests|examples)[\w.]*)", path.read_text("utf-8")):
        place = ROOT.joinpath(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_make_target_that_a_document_names_is_there(path):
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for code in re.findall(r"`make ([^`]+)`", path.read_text("utf-8")):
        assert {word for word in code.split() if "=" not in word} <= targets, code


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


def test_weights_that_the_readme_names_are_known():
    known = {entry.name for entry in entries()}
    named = set(re.findall(r"\bi3d-(?:rgb|flow)-[a-z0-9-]+", README.read_text("utf-8")))
    assert named
    assert named <= known


def test_exit_codes_are_the_same_everywhere_and_each_has_a_test():
    said = README.read_text("utf-8").partition("**Exit codes**:")[2].partition("\n\n")[0]
    for text in (said, str(errors.__doc__).partition("Exit codes:")[2]):
        flat = " ".join(text.split())
        assert {int(code) for code in re.findall(r"(?:^|; )(\d+) [a-zA-Z]", flat)} == set(EXIT_CODES)
    assert [name for name in EXIT_CODES.values() if not is_test(name)] == []


def test_no_error_has_an_exit_code_of_its_own():
    def below(kind):
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    assert {kind.exit_code for kind in below(errors.AscnetError)} <= set(EXIT_CODES)


def test_every_command_of_the_program_is_listed():
    names = {name.partition(" ")[0] for name in flags.commands()} - {""}
    assert names == {one.name for one in application.app.registered_commands} | {
        one.name for one in application.app.registered_groups
    }


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("ascnet a  # why | not", [["ascnet", "a"]]),
        ("ascnet a --x 'b | c' | sort -k1", [["ascnet", "a", "--x", "b | c"], ["sort", "-k1"]]),
        ('ascnet "d e (f),g" -', [["ascnet", "d e (f),g", "-"]]),
    ],
)
def test_lines_are_taken_apart_as_a_shell_does_it(line, parts):
    assert pipeline(line) == parts
