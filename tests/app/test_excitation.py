"""`repinv maximize`, `repinv caricature` and movies: what is written, and what is refused."""

import gc
import json

import numpy as np
import pytest
from PIL import Image

import repinv
from repinv.app.commands import main

HOG = "hog.vlfeat(cell_size=8, bilinear_orientations=True)"


@pytest.fixture
def photograph(tmp_path):
    rows, columns = np.mgrid[0:48, 0:40]
    pixels = 128 + 90 * np.sin(rows / 4) * np.cos(columns / 7 + rows / 11)
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def maximize(capsys, *arguments):
    return run(capsys, "maximize", "-e", HOG, "--shape", "40x48", "--max-iter", 30, *arguments)


def test_a_channel_is_excited_and_drawn_and_filmed(capsys, tmp_path):
    image, figure, movie = (tmp_path / name for name in ("x.npy", "x.svg", "x.gif"))
    code, out, _ = maximize(
        capsys, "-c", 4, "-o", image, "-f", figure, "-m", movie, "--n-images", 2, "--json"
    )
    report = json.loads(out)
    assert code == 0
    assert report["files"] == [str(image), str(figure), str(movie)]
    found = np.load(image)
    assert found.shape == (40, 48)
    assert len(report["responses"]) == 2
    assert report["response"] == max(report["responses"])
    assert "response" in figure.read_text()
    with Image.open(movie) as film:
        assert film.n_frames > 3
        assert min(film.size) >= 256


def test_a_direction_is_read_from_a_file_and_taken_in_parts(capsys, tmp_path):
    encoder = repinv.HOG.vlfeat(8, bilinear_orientations=True)
    weights = np.random.default_rng(0).standard_normal(encoder.feature_shape((1, 40, 48)))
    np.save(tmp_path / "svm.npy", weights.reshape(1, -1))
    found = {}
    for part in ("positive", "negative"):
        image = tmp_path / f"{part}.npy"
        arguments = ("-c", tmp_path / "svm.npy", "--part", part, "-o", image)
        assert maximize(capsys, *arguments)[0] == 0
        found[part] = float(np.vdot(encoder(np.load(image)), weights))
    assert found["positive"] > found["negative"]


def test_one_feature_is_named_by_its_numbers(capsys):
    code, out, _ = maximize(capsys, "-c", "(3, 2, 1)")
    assert code == 0
    assert out.startswith("response ")


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ("__import__('os')", "expected a number such as 5"),
        ("1.5", "expected a number such as 5"),
        ("()", "expected a number such as 5"),
        ("99", "component 99 is outside of the features"),
        ("none.npy", "none.npy"),
    ],
)
def test_components_that_there_are_not_are_refused_in_one_line(capsys, component, message):
    code, out, err = maximize(capsys, "-c", component)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_caricature_is_written_with_its_difference(capsys, tmp_path, photograph):
    image, figure = tmp_path / "c.png", tmp_path / "c.png.svg"
    code, out, _ = run(
        capsys, "caricature", photograph, "-e", HOG, "--strength", 0.2, "-o", image, "-f", figure
    )
    assert code == 0
    assert "response 1." in out
    with Image.open(image) as written:
        assert written.size == (40, 48)
    assert "difference" in figure.read_text()


def test_an_inversion_is_filmed_too(capsys, tmp_path, photograph):
    movie = tmp_path / "x.gif"
    code, _, _ = run(capsys, "invert", photograph, "-e", HOG, "--max-iter", 40, "--movie", movie)
    assert code == 0
    with Image.open(movie) as film:
        assert film.n_frames > 3


@pytest.mark.parametrize("name", ["movie.txt", "none/movie.gif"])
def test_a_movie_that_cannot_be_written_is_refused_before_the_work(
    capsys, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(repinv, "maximize", lambda *_, **__: pytest.fail("worked"))
    code, _, err = maximize(capsys, "-c", 1, "-m", tmp_path / name)
    assert code == 1
    assert "movie" in err


def test_a_negative_strength_is_bad_usage(capsys, photograph):
    code, _, err = run(capsys, "caricature", photograph, "-e", HOG, "--strength", -1)
    assert code == 2
    assert "See 'repinv caricature --help'" in err


def test_responses_are_measured_on_the_images_of_a_folder(capsys, tmp_path):
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    flat = np.full((60, 90), 128, np.uint8)
    Image.fromarray(flat).save(folder / "flat.png")
    Image.fromarray(rng.integers(0, 256, (90, 60), dtype=np.uint8)).save(folder / "below" / "x.png")
    (folder / "broken.png").write_bytes(b"no image")
    code, out, err = maximize(capsys, "-c", 4, "--images", folder, "--json")
    report = json.loads(out)
    assert code == 0
    assert any("broken.png" in note for note in report["notes"])
    # By the responses of photographs the same run would count differently.
    code, out, _ = maximize(capsys, "-c", 4, "--json")
    assert json.loads(out)["response"] != report["response"]
    (tmp_path / "empty").mkdir()
    code, _, err = maximize(capsys, "-c", 4, "--images", tmp_path / "empty")
    assert code == 1
    assert "there are none" in err


# imageio-ffmpeg leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_movie_may_be_an_mp4(capsys, tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="needs imageio-ffmpeg")
    imageio = pytest.importorskip("imageio.v3")
    movie = tmp_path / "x.mp4"
    code, _, err = maximize(capsys, "-c", 4, "-m", movie)
    assert (code, err) == (0, "")
    frames = imageio.imread(movie, plugin="FFMPEG")
    gc.collect()
    assert len(frames) > 3
    assert min(frames.shape[1:3]) >= 256
