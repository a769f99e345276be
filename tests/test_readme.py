"""README.md: its tables are those of the benchmarks' files, and its badges are true."""

import configparser
import contextlib
import io
import re
import runpy
import tomllib
from pathlib import Path

import matplotlib as mpl

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
METADATA = configparser.ConfigParser()
METADATA.read_string((ROOT / "setup.cfg").read_text())


def test_tables_are_what_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    filled = runpy.run_path(str(ROOT / "benchmarks" / "readme.py"))["filled"]
    assert filled(README) == README, "run python benchmarks/readme.py"
    stale = README.replace("| HOG, bilinear:", "| HOG, trilinear:")
    assert stale != README
    assert filled(stale) == README


def test_badges_are_true():
    (version,) = re.findall(r"Python (\d+\.\d+) or newer", README.splitlines()[2])
    assert METADATA["options"]["python_requires"] == f">={version}"
    assert f"python-%E2%89%A5%20{version}-blue" in README
    assert METADATA["metadata"]["license_expression"] == "BSD-3-Clause"
    assert "Licence: BSD-3-Clause" in README
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["strict"]


def test_what_is_linked_or_shown_is_there():
    links = re.findall(r"\]\(([^)#]+)", README)
    assert len(links) > 5
    for link in links:
        if not link.startswith("https://"):
            assert (ROOT / link).exists(), link
    assert all(alt.strip() for alt in re.findall(r"!\[([^]]*)\]\(", README))


def test_it_is_read_in_a_few_minutes():
    assert len(README.splitlines()) <= 120


def test_its_code_prints_what_stands_below_it():
    """On another machine the last digits differ, and the time; the words do not."""
    code, printed = re.search(
        r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", README, re.DOTALL
    ).groups()
    small = code.replace("skimage.data.camera()", "skimage.data.camera()[::4, ::4]")
    with io.StringIO() as out, contextlib.redirect_stdout(out), mpl.rc_context({"backend": "agg"}):
        exec(small.replace('savefig("camera.png")', "set_size_inches(1, 1)"), {})
        lines = out.getvalue().splitlines()

    def words(line):
        return re.sub(r"[\d.]+", "#", line.strip())

    expected = [words(line) for line in printed.splitlines()]
    assert [words(line) for line in lines][: len(expected)] == expected
