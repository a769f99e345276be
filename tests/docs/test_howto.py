"""The code of the how-to guides runs as it stands."""

import re
import textwrap
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

import repinv

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
PAGES = sorted(path.stem for path in HOWTO.glob("*.rst") if path.stem != "index")
#: Evaluations at most in the code of a page.
EVALUATIONS = 40
#: What a page needs that is not always there.
NEEDS = {
    "opencv": "cv2",
    "keypoints": "cv2",
    "torch": "torch",
    "prior": "torch",
    "explore": "panel",
}


def blocks(page, language):
    text = (HOWTO / f"{page}.rst").read_text()
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


@pytest.fixture
def short_runs(monkeypatch):
    """Runs of few evaluations: pages assert what they say in the tutorials, which are run whole."""

    def few(task):
        def run(*args, **options):
            evaluations = min(options.pop("max_iter", EVALUATIONS), EVALUATIONS)
            return task(*args, max_iter=evaluations, **options)

        return run

    for name in ("invert", "maximize", "caricature", "compare"):
        monkeypatch.setattr(repinv, name, few(getattr(repinv, name)))


@pytest.mark.usefixtures("short_runs")
@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
@pytest.mark.parametrize(
    "page", ["../start/index", *(page for page in PAGES if blocks(page, "python"))]
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip(NEEDS.get(page, "numpy"))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    with mpl.rc_context({"backend": "agg"}):
        for block in blocks(page, "python"):
            exec(compile(block, f"{page}.rst", "exec"), names)
        plt.close("all")


def test_the_study_of_a_folder_is_valid(tmp_path, monkeypatch):
    import numpy as np

    from repinv.app.commands import main
    from repinv.io import files

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    files.write(tmp_path / "photographs" / "one.png", np.full((8, 8), 0.5, np.float32))
    (study,) = blocks("folder", "toml")
    Path("cells.toml").write_text(study.replace("*.jpg", "*.png"))
    with pytest.raises(SystemExit) as ended:
        main.main(["study", "run", "cells.toml", "--check"])
    assert not ended.value.code


def test_every_page_is_reached_from_the_index():
    index = (HOWTO / "index.rst").read_text()
    for page in PAGES:
        assert f":link: {page}\n" in index
        assert f"\n   {page}\n" in index
