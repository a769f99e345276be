"""A study file is checked as a whole, and its faults are named with their lines."""

import pytest

from repinv.app.study import parsing, task_options
from repinv.app.study.spec import StudyError

BASE = 'study.name = "x"\nimages.files = ["skimage:camera"]\nencoders.hog = "hog.vlfeat"\n'


def _problems(text):
    with pytest.raises(StudyError) as caught:
        parsing.parse(text)
    return caught.value.problems


def test_what_is_left_out_has_defaults():
    study = parsing.parse(BASE)
    assert (study.title, study.seeds, study.size, study.color) == ("x", (0,), None, False)
    assert [e.name for e in (*study.tasks, *study.priors, *study.solvers)] == [
        "invert", "default", "default"
    ]  # fmt: skip
    assert not study.skips_unreadable


def test_a_sweep_is_an_entry_for_each_combination():
    study = parsing.parse(
        BASE + "[priors.tv.sweep]\ntotal_variation.weight = [0.1, 1.0]\n"
        "total_variation.beta = [1.0, 2.0]\n"
    )
    assert [entry.name for entry in study.priors] == [
        "tv weight=0.1 beta=1", "tv weight=0.1 beta=2", "tv weight=1 beta=1", "tv weight=1 beta=2"
    ]  # fmt: skip
    assert study.priors[3].table == {"total_variation": {"weight": 1.0, "beta": 2.0}}
    assert study.priors[3].swept["total_variation.beta"] == 2.0


def test_a_sweep_may_be_of_tasks_and_of_solvers():
    study = parsing.parse(
        BASE + "[tasks.part.sweep]\nneighbourhood = [1, 3]\n"
        "[solvers.adam]\nrule.kind = 'adam'\n[solvers.adam.sweep]\nrule.step_size = [0.1, 0.2]\n"
    )
    assert [task.table["neighbourhood"] for task in study.tasks] == [1, 3]
    rules = [task_options.solver_arguments(s.table, (8, 8))["solver"] for s in study.solvers]
    assert [rule.step_size for rule in rules] == [0.1, 0.2]


def test_a_number_of_seeds_counts_from_zero():
    assert parsing.parse(BASE + "study.seeds = 3").seeds == (0, 1, 2)


def test_encoders_are_the_same_however_they_are_written():
    texts = ("hog.vlfeat( cell_size = 4 )", "hog.vlfeat(cell_size=4)")
    studies = [parsing.parse(BASE.replace("hog.vlfeat", text)) for text in texts]
    assert studies[0].encoders[0].table == studies[1].encoders[0].table


@pytest.mark.parametrize(
    ("added", "line", "words"),
    [
        ("stduy = 1", 4, "Did you mean study"),
        ("[solver.x]", 4, "Did you mean solvers"),
        ("study.nmae = 1", 4, "Did you mean name"),
        ("study.seeds = [-1]", 4, "seeds"),
        ("study.seeds = []", 4, "seeds"),
        ("study.seeds = [true]", 4, "seeds"),
        ("study.unreadable = 'maybe'", 4, "'fail' or 'skip'"),
        ("images.size = [64]", 4, "[height, width]"),
        ("images.size = [64, 0]", 4, "[height, width]"),
        ("images.color = 1", 4, "true or false"),
        ("encoders.x = 3", 4, "expected an encoder"),
        ("encoders.'../x' = 'hog.vlfeat'", 4, "plain name"),
        ("encoders.'a/b' = 'hog.vlfeat'", 4, "plain name"),
        ('encoders."a\\u0007" = "hog.vlfeat"', 4, "plain name"),
        ("tasks.x = 1", 4, "[tasks.x]"),
        ("[tasks.x]\nkind = 'invret'", 5, "Did you mean invert"),
        ("[tasks.x]\n\nn_preimagse = 3", 6, "Did you mean n_preimages"),
        ("[tasks.x]\nn_preimages = 'three'", 5, "int"),
        ("[tasks.x]\nseed = 3", 5, "no option 'seed'"),
        ("[tasks.x]\nkind = 'maximize'", 4, "needs a component"),
        ("[tasks.x]\nfilter_group = '3'", 5, "range such as '0:48'"),
        ("[priors.x]\ntv = {weight = 1}", 5, "no prior 'tv'"),
        ("[priors.x]\ntotal_variation = {beta = 1.0}", 5, "needs a weight"),
        ("[priors.x]\ntotal_variation = {weight = -1}", 5, "0 or more"),
        ("[priors.x]\ntotal_variation = {weight = 1, betta = 1.0}", 5, "Did you mean beta"),
        ("[priors.x]\n[priors.x.sweep]\ntotal_variation.weight = 3", 6, "list of values"),
        ("[priors.x.sweep]\ntotal_variation.weight = [1, -3]", 5, "0 or more"),
        ("[solvers.x]\nmax_itre = 3", 5, "Did you mean max_iter"),
        ("[solvers.x]\nmax_iter = 0", 5, ">= 1"),
        ("[solvers.x]\ntime_limit = 0", 5, "> 0"),
        ("[solvers.x]\nrule = 'adma'", 5, "Did you mean adam"),
        ("[solvers.x]\nrule = {kind = 'adam', step_size = 'x'}", 5, "step_size"),
        ("[solvers.x]\nmethod = 'authors'", 5, "There is mahendran"),
        ("[solvers.x]\nmethod = 'mahendran'\nrule = 'adam'", 5, "its own rule"),
        ("[[figures]]\nkind = 'gird'", 5, "Did you mean grid"),
        ("[[figures]]\nkind = 'grid'\nrow = 'image'", 6, "Did you mean rows"),
        ("[[figures]]\nkind = 'grid'\nrows = 'imgae'", 6, "Did you mean image"),
        ("[[figures]]\nkind = 'curve'", 4, "needs an x"),
        ("[[figures]]\nkind = 'errors'\ny = 'eror'", 6, "Did you mean error"),
        ("[[figures]]\nkind = 'errors'\nwhere = {imag = 'x'}", 6, "Did you mean image"),
    ],
)
def test_faults_are_named_with_their_lines(added, line, words):
    (problem,) = _problems(BASE + added)
    assert problem.startswith(f"study.toml:{line}: "), problem
    assert words in problem


def test_all_faults_are_told_at_once_in_the_order_of_lines():
    problems = _problems(BASE + "study.nmae = 1\n[solvers.x]\nmax_itre = 3\n[tasks.y]\nkidn = 1")
    assert [problem.split(":")[1] for problem in problems] == ["4", "6", "8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("a = ", "study.toml"), ("", "needs a name"), ('study.name = "x"', "needs images")],
)
def test_what_is_no_study_is_refused(text, words):
    assert any(words in problem for problem in _problems(text))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        parsing.read(tmp_path / "none.toml")
    with pytest.raises(StudyError, match="folder"):
        parsing.read(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="UTF-8"):
        parsing.read(tmp_path / "x.toml")


def test_priors_are_those_that_are_declared():
    table = {"total_variation": {"weight": 0.1, "beta": 1.0}, "range": {"weight": 1}}
    (variation, within) = task_options.priors_of(table)
    assert (variation.weight, variation.prior.beta) == (0.1, 1.0)
    assert within.prior == task_options.PRIORS["range"]()
    assert task_options.priors_of({}) is None


def test_the_authors_method_has_priors_unless_others_are_given():
    found = task_options.solver_arguments({"method": "mahendran", "max_iter": 40}, (32, 48))
    assert found["max_iter"] == 40
    assert [prior.name for prior in found["priors"]] == ["total_variation", "alpha_norm"]
    assert "shape" not in found
