"""A study file is checked as a whole, and its faults are named with their keys."""

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
    ("added", "key", "words"),
    [
        ("stduy = 1", "stduy", "Did you mean study"),
        ("[solver.x]", "solver", "Did you mean solvers"),
        ("study.nmae = 1", "study.nmae", "Did you mean name"),
        ("study.seeds = [-1]", "study.seeds", "whole numbers"),
        ("study.seeds = []", "study.seeds", "such as [0, 1]"),
        ("study.seeds = [true]", "study.seeds", "got [True]"),
        ("study.seeds = 0", "study.seeds", "or how many"),
        ("study.title = 3", "study.title", "expected text; got 3"),
        ("study.unreadable = 'maybe'", "study.unreadable", "'fail' or 'skip'"),
        ("images.size = [64]", "images.size", "[height, width]"),
        ("images.size = [64, 0]", "images.size", "[height, width]"),
        ("images.size = [64, 64.0]", "images.size", "got [64, 64.0]"),
        ("images.color = 1", "images.color", "true or false"),
        ("encoders.x = 3", "encoders.x", "expected an encoder"),
        ("encoders.'../x' = 'hog.vlfeat'", 'encoders."../x"', "plain name"),
        ("encoders.'a/b' = 'hog.vlfeat'", 'encoders."a/b"', "plain name"),
        ('encoders."a\\u0007" = "hog.vlfeat"', r'encoders."a\u0007"', "plain name"),
        ("tasks.x = 1", "tasks.x", "expected a table; got 1"),
        ("tasks = 1", "tasks", "expected a table; got 1"),
        ("[tasks.x]\nkind = 'invret'", "tasks.x.kind", "Did you mean invert"),
        ("[tasks.x]\n\nn_preimagse = 3", "tasks.x.n_preimagse", "Did you mean n_preimages"),
        ("[tasks.x]\nn_preimages = 'three'", "tasks.x.n_preimages", "int"),
        ("[tasks.x]\nseed = 3", "tasks.x.seed", "no option 'seed'"),
        ("[tasks.x]\nkind = 'maximize'\nshape = [8, 8]", "tasks.x", "needs a component"),
        ("[tasks.x]\nkind = 'maximize'\ncomponent = 1", "tasks.x", "needs a shape"),
        ("[tasks.x]\nfilter_group = '3'", "tasks.x.filter_group", "range such as '0:48'"),
        ("[priors.x]\ntv = {weight = 1}", "priors.x.tv", "no prior 'tv'"),
        ("[priors.x]\ntotal_variation = {beta = 1.0}", "priors.x.total_variation",
         "needs a weight"),
        ("[priors.x]\ntotal_variation = 1.0", "priors.x.total_variation", "expected a table"),
        ("[priors.x]\ntotal_variation = {weight = -1}", "priors.x.total_variation.weight",
         "0 or more"),
        ("[priors.x]\ntotal_variation = {weight = inf}", "priors.x.total_variation.weight",
         "0 or more"),
        ("[priors.x]\ntotal_variation = {weight = 1, betta = 1.0}",
         "priors.x.total_variation.betta", "Did you mean beta"),
        ("[priors.x]\ntotal_variation = {weight = 1, beta = 0.0}", "priors.x.total_variation",
         "needs beta >= 1"),
        ("[priors.x]\nsweep = 3", "priors.x.sweep", "lists of values"),
        ("[priors.x]\n[priors.x.sweep]\ntotal_variation.weight = 3",
         "priors.x.sweep.total_variation.weight", "list of values"),
        ("[priors.x.sweep]\ntotal_variation.weight = [1, -3, -3]",
         "priors.x.sweep.total_variation.weight", "0 or more"),
        ("[solvers.x]\nmax_itre = 3", "solvers.x.max_itre", "Did you mean max_iter"),
        ("[solvers.x]\nmax_iter = 0", "solvers.x.max_iter", ">= 1"),
        ("[solvers.x]\nmax_iter = true", "solvers.x.max_iter", ">= 1"),
        ("[solvers.x]\ntime_limit = 0", "solvers.x.time_limit", "> 0"),
        ("[solvers.x]\nrule = 'adma'", "solvers.x.rule", "Did you mean adam"),
        ("[solvers.x]\nrule = {kind = 'adma'}", "solvers.x.rule.kind", "Did you mean adam"),
        ("[solvers.x]\nrule = {step_size = 1}", "solvers.x.rule", "needs a kind"),
        ("[solvers.x]\nrule = {kind = 'adam', step_size = 'x'}", "solvers.x.rule.step_size",
         "expected float; got 'x'"),
        ("[solvers.x]\nmethod = 'authors'", "solvers.x.method", "There is mahendran"),
        ("[solvers.x]\nmethod = 'mahendran'\nrule = 'adam'", "solvers.x", "its own rule"),
        ("[[figures]]\nkind = 'gird'", "figures[0].kind", "Did you mean grid"),
        ("[[figures]]\ntitle = 'x'", "figures[0]", "needs a kind"),
        ("[[figures]]\nkind = 'grid'\nrow = 'image'", "figures[0].row", "Did you mean rows"),
        ("[[figures]]\nkind = 'grid'\nrows = 'imgae'", "figures[0].rows", "Did you mean image"),
        ("[[figures]]\nkind = 'grid'\n[[figures]]\nkind = 'curve'", "figures[1]", "needs an x"),
        ("[[figures]]\nkind = 'errors'\ny = 'eror'", "figures[0].y", "Did you mean error"),
        ("[[figures]]\nkind = 'errors'\nwhere = {imag = 'x'}", "figures[0].where.imag",
         "Did you mean image"),
        ("figures = 3", "figures", "each under [[figures]]"),
    ],
)  # fmt: skip
def test_faults_are_named_with_their_keys(added, key, words):
    (problem,) = _problems(BASE + added)
    assert problem.startswith(f"study.toml: {key}: "), problem
    assert words in problem
    assert "\n" not in problem


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    problems = _problems(
        BASE + "study.nmae = 1\n[solvers.x]\nmax_itre = 3\ntol = -1\n[tasks.y]\nkidn = 1\n"
        "[tasks.y.sweep]\nn_preimages = ['a', 'b']\n[[figures]]\nkind = 'grid'\nrows = 'x'"
    )
    assert [problem.split(": ")[1] for problem in problems] == [
        "study.nmae", "solvers.x.max_itre", "solvers.x.tol", "tasks.y.kidn",
        "tasks.y.sweep.n_preimages", "tasks.y.sweep.n_preimages", "figures[0].rows",
    ]  # fmt: skip


def test_figures_are_of_axes_and_of_what_a_sweep_has_even_if_that_is_at_fault():
    problems = _problems(
        BASE + "[priors.x.sweep]\ntotal_variation.weight = [-1]\n"
        "[[figures]]\nkind = 'curve'\nx = 'total_variation.weight'"
    )
    assert [problem.split(": ")[1] for problem in problems] == [
        "priors.x.sweep.total_variation.weight"
    ]


def test_images_are_needed_unless_every_task_maximizes():
    text = BASE.replace('images.files = ["skimage:camera"]\n', "")
    excites = "[tasks.m]\nkind = 'maximize'\ncomponent = 1\nshape = [32, 32]\n"
    assert parsing.parse(text + excites).files == ()
    (problem,) = _problems(text + excites + "[tasks.i]")
    assert problem.startswith("study.toml: images: a study needs images")


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
