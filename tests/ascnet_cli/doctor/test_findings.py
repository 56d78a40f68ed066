"""What findings say together."""

import pytest

from ascnet_cli.doctor.findings import Finding, exit_code_of


def problem(code):
    return Finding("x", "problem", "broken", "mend it", code)


FINE = Finding("x", "ok", "fine")
WARNING = Finding("x", "warning", "less good", "do this")


@pytest.mark.parametrize(
    ("codes", "wanted"), [([], 0), ([1], 1), ([6, 5], 5), ([1, 6], 6), ([5, 2], 2), ([1, 6, 5, 2], 2)]
)
def test_the_exit_code_is_that_of_the_problem_which_detect_meets_first(codes, wanted):
    assert exit_code_of([FINE, WARNING, *map(problem, codes)]) == wanted


@pytest.mark.parametrize(
    "arguments",
    [
        ("problem", "text", "", 1),
        ("problem", "text", "hint", 0),
        ("problem", "text", "hint", 3),
        ("warning", "text", "", 0),
        ("warning", "text", "hint", 5),
        ("ok", "text", "hint", 0),
    ],
)
def test_a_finding_that_contradicts_itself(arguments):
    with pytest.raises(ValueError, match="x: "):
        Finding("x", *arguments)
