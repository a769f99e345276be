"""`repinv distort`: what is written, printed and refused."""

import json

import numpy as np
import pytest
from PIL import Image

import repinv

HOG = "hog.vlfeat(bilinear_orientations=True)"


@pytest.fixture
def distort(run, photograph):
    def distort(*args, encoder=HOG):
        return run("distort", photograph, "--encoder", encoder, "--max-iter", 60, *args)

    return distort


def test_changes_are_written_drawn_and_filmed(distort, tmp_path):
    out, figure, movie = (tmp_path / name for name in ("x.npz", "x.svg", "x.gif"))
    code, said, _ = distort(
        "--largest", 2, "-o", out, "-f", figure, "-m", movie, "--amount", 0.01, "--json"
    )
    report = json.loads(said)
    assert code == 0
    assert report["files"] == [str(out), str(figure), str(movie)]
    found = repinv.Distortions.load(out)
    assert found.images.shape == (3, 64, 64)
    assert report["eigenvalues"] == pytest.approx(list(found.eigenvalues))
    assert "noticed least" in figure.read_text()
    assert max(report["walk"]["errors"]) <= 1e-3
    with Image.open(movie) as film:
        assert film.n_frames > 3


def test_it_says_what_it_found(distort):
    code, said, _ = distort("--smallest", 0)
    assert code == 0
    assert "noticed most: eigenvalues" in said
    assert "noticed least" not in said
    assert "nothing is written" in said


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--movie", "x.gif", "--smallest", "0"], 2, "set --smallest 1"),
        (["--out", "x.png"], 2, "is a .npz"),
        (["--largest", "0", "--smallest", "0"], 1, "at least one"),
        (["--largest", "5000"], 1, "4096 eigenvectors"),
    ],
)
def test_what_is_impossible_is_refused(distort, tmp_path, monkeypatch, options, status, says):
    monkeypatch.chdir(tmp_path)
    code, _, error = distort(*options)
    assert code == status
    assert says in error
    assert not list(tmp_path.glob("x.*"))


def test_an_image_that_is_too_small_is_refused(run, tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    code, _, error = run("distort", path, "-e", "hog.skimage")
    assert code == 1
    assert "needs at least" in error
