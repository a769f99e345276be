"""repinv study on the command line."""

import json

import pytest

from repinv.app.commands import main
from repinv.app.study import study


@pytest.fixture
def run(capsys):
    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main.main(["study", *map(str, args)])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def in_process(client, monkeypatch):
    """Runs of the command line have the tests' client."""
    whole = study.run
    monkeypatch.setattr(study, "run", lambda path, **options: whole(path, **options, client=client))


def test_help_reaches_a_newcomer(run):
    status, out, _ = run("--help")
    assert status == 0
    for command in ("run", "status", "table", "figures", "report"):
        assert command in out
        assert run(command, "--help")[0] == 0
    assert "Run it again, and it continues with the jobs that have no result" in " ".join(
        out.split()
    )


def test_a_study_is_run_and_looked_at(run, write, in_process, tmp_path):
    path = write()
    status, out, err = run("run", path)
    assert status == 0
    assert "16 of 16 have a result" in out
    assert "16 jobs: 0 done, 0 failed before, 16 to do" in err
    assert "dashboard" in err
    assert "16 of 16 jobs done (100 %)" in run("status", path)[1]
    table = run("table", path)[1].splitlines()
    assert len(table) == 6
    assert "±" in table[1]
    assert table[-1].startswith("In the paper's unit, 100 is")
    for name in ("t.csv", "t.json", "t.md"):
        assert run("table", path, "--out", tmp_path / name) == (
            0, f"wrote {tmp_path / name}\n", ""
        )  # fmt: skip
    assert json.loads((tmp_path / "t.json").read_text())[0]["encoder"] == "hog"
    assert run("report", path, "--out", tmp_path / "r.html")[0] == 0
    assert "</html>" in (tmp_path / "r.html").read_text()
    assert run("figures", path, "--out", tmp_path / "figures", "--format", "svg")[0] == 0
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 2


def test_json_is_for_programs(run, write, in_process):
    path = write()
    status, out, _ = run("run", path, "--json")
    report = json.loads(out)
    assert (status, report["done"], report["computed"]) == (0, 16, 16)
    assert json.loads(run("status", path, "--json")[1])["done"] == 16


def test_quiet_is_quiet(run, write, in_process):
    assert run("run", write(), "--quiet") == (0, "", "")


def test_jobs_that_failed_are_told_and_give_the_status(run, write, in_process, monkeypatch):
    def failing(settings, store):
        raise ValueError("no luck")

    path = write()
    monkeypatch.setattr("repinv.app.study.job.computed", failing)
    status, out, _ = run("run", path)
    assert status == 1
    assert "16 failed" in out
    assert "--retry-failed" in out
    said = run("status", path)[1]
    assert said.count("failed: ") == 5
    assert "no luck" in said
    assert "and 11 more" in said
    monkeypatch.undo()
    assert run("table", path)[0] == 1


def test_a_check_runs_nothing(run, write, tmp_path):
    assert run("run", write(), "--check") == (
        0,
        f"{tmp_path / 'study.toml'}: 16 jobs, no fault\n",
        "",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_faults_are_told_a_line_each(run, write):
    text = write().read_text()
    path = write(text.replace("max_iter", "max_itre").replace("hog.vlfeat", "hog.vlfaet"))
    status, out, err = run("run", path, "--check")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        f"repinv: {path}: solvers.short.max_itre: a solver has no option 'max_itre'. "
        "Did you mean max_iter?"
    ]
    path = write(text.replace("hog.vlfeat", "hog.vlfaet").replace("dsift.natural", "dsift.no"))
    lines = run("run", path, "--check")[2].splitlines()
    assert [line.split(": ")[2] for line in lines] == ["encoders.hog", "encoders.sift"]


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("run",), 2, "Missing argument"),
        (("run", "none.toml"), 1, "none.toml"),
        (("run", "study.toml", "-w", "2", "--scheduler", "tcp://x:1"), 2, "processes of our own"),
        (("status", "study.toml"), 1, "holds no study yet"),
        (("report", "study.toml", "--out", "x.pdf"), 1, "ends in one of .html"),
        (("table", "study.toml", "--out", "x.doc"), 1, "ends in one of"),
        (("figures", "study.toml"), 2, "--out"),
    ],
)
def test_bad_usage_is_one_line(run, write, monkeypatch, tmp_path, extra, args, status, words):
    write()
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*args)
    assert (code, out) == (status, "")
    assert err.count("\n") == 1
    assert words in err


def test_the_papers_experiments_are_studies_without_fault(run, extra):
    from pathlib import Path

    folder = Path(__file__).parents[3] / "docs" / "studies"
    if not folder.is_dir():
        pytest.skip("needs the checkout: docs/studies is not beside tests/")
    paths = sorted(folder.glob("*.toml"))
    assert len(paths) == 8
    torch = pytest.importorskip("torch", reason="most of these studies have layers of a network")
    assert torch
    for path in paths:
        assert path.read_text().startswith("# ")
        status, out, err = run("run", path, "--check")
        assert (status, err) == (0, ""), path
        assert "no fault" in out


def test_a_store_says_of_itself_what_study_it_is(run, write, in_process, tmp_path):
    path, store = write(), tmp_path / "elsewhere"
    status, out, _ = run("run", path, "--store", store)
    assert status == 0
    assert f"next: repinv study report {path} --store {store} --out report.html" in out
    by_file = run("table", path, "--store", store)
    path.unlink()
    assert run("table", store) == by_file
    assert "16 of 16 jobs done (100 %)" in run("status", store)[1]
    assert run("report", store, "--out", tmp_path / "r.html")[0] == 0
    assert "holds no study" in run("status", tmp_path)[2]
    assert "holds no study" in run("status", "memory://nowhere")[2]
