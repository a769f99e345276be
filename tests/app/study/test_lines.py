"""Where things stand in a TOML file."""

import tomllib

import pytest

from repinv.app.study.toml_lines import line_of, lines_of

TEXT = '''\
# [not.a.table]
top = 1
[study]
name = "x # [no]"  # [neither]
description = """
a = [1]
 "" q\\""""""
literal = \'\'\'
[no]
it\'s\'\'\'\'
seeds = [
  0, # zero ]
  [1,
   2],
]

[a."b.c".d]
"quoted key" = {x = 1, "y.z" = [3,
  4], t = {u = "}"}}
dotted.key . more = 1e-3
[[figures]]
kind = "grid"
[[figures]]
  [figures.sub]
  when = 1979-05-27T07:32:00Z
'''


def test_every_path_has_the_line_on_which_it_stands():
    tomllib.loads(TEXT)
    lines = lines_of(TEXT)
    rows = TEXT.split("\n")
    expected = {
        ("top",): "top",
        ("study",): "[study]",
        ("study", "name"): "name",
        ("study", "description"): "description",
        ("study", "literal"): "literal",
        ("study", "seeds"): "seeds",
        ("study", "seeds", 0): "  0",
        ("study", "seeds", 1): "  [1",
        ("study", "seeds", 1, 1): "   2",
        ("a", "b.c", "d"): "[a.",
        ("a", "b.c", "d", "quoted key", "y.z", 1): "  4",
        ("a", "b.c", "d", "quoted key", "t", "u"): "  4",
        ("a", "b.c", "d", "dotted", "key", "more"): "dotted",
        ("figures", 0, "kind"): "kind",
        ("figures", 1): "[[figures]]",
        ("figures", 1, "sub", "when"): "  when",
    }
    for path, start in expected.items():
        assert rows[lines[path] - 1].startswith(start), path
    assert lines["figures", 1] == lines["figures", 0] + 2


def test_what_has_no_line_has_that_of_what_is_around_it():
    lines = lines_of(TEXT)
    assert line_of(lines, ("study", "missing")) == lines["study",]
    assert line_of(lines, ("missing",)) == 1


def test_windows_line_ends_count_once():
    assert lines_of("a = 1\r\nb = 2\r\n")["b",] == 2


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", {}), ("\n\n", {}), ("# only\n", {}), ("a = 1", {("a",): 1}), ("[t]", {("t",): 1})],
)
def test_short_files(text, lines):
    assert lines_of(text) == lines
