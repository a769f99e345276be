"""The command line: what it prints, and files that hold what was measured."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import skimage
from photographs import COLOUR, THUMBNAIL
from PIL import Image

import repinv
from repinv import metrics
from repinv.io import files

#: What `photograph` and `invert` take.
PHOTOGRAPH = THUMBNAIL
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
EXPRESSION = "hog.vlfeat(bilinear_orientations=True)"


def test_help_reaches_a_newcomer(run):
    for args in ((), ("--help",), ("-h",)):
        status, out, err = run(*args)
        assert (status, err) == (0, "")
        assert "invert" in out
        assert "encoders" in out
    status, out, err = run("invert", "--help")
    assert (status, err) == (0, "")
    assert "repinv invert cat.jpg" in out
    for option in ("--encoder", "--shape", "--out", "--figure", "--max-iter", "--seed", "--json",
                   "--n-preimages", "--quiet", "--time-limit"):  # fmt: skip
        assert option in out


def test_the_version_is_that_of_the_package(run):
    assert run("--version")[1].strip() == f"repinv, version {repinv.__version__}"


def test_encoders_are_listed_with_their_options(run):
    status, out, _ = run("encoders")
    assert status == 0
    for words in ("hog.skimage(orientations=9", "hog.vlfeat(cell_size=8", "hog.opencv(win_size=",
                  "hog.dpm(sbin=8", "bilinear_orientations=False", "dsift.vlfeat(step=1",
                  "dsift.phow(step=2", "dsift.natural(bin_size=5", "dsift.kornia(num_ang_bins=8",
                  "bovw(n_words=256", "ships with repinv"):  # fmt: skip
        assert words in out


def test_an_image_is_inverted_and_written(invert, tmp_path):
    out = tmp_path / "preimage.png"
    status, printed, err = invert("--out", out)
    assert (status, err) == (0, "")
    assert "relative feature error" in printed
    assert f"wrote {out}" in printed
    stored = files.read(out)
    assert stored.dtype == np.uint16
    features = HOG.encode((PHOTOGRAPH / np.float32(255))[None, None])
    held = HOG.encode((stored / np.float32(65535))[None, None].astype(np.float32))
    assert metrics.feature_error(held, features)[0] < 0.05


def test_seeds_and_a_learned_prior_are_those_of_python(invert, tmp_path):
    out = tmp_path / "x.npy"
    status, printed, err = invert("--out", out, "--seeds", 2, "--prior", "learned", "--json")
    assert (status, err) == (0, "")
    gray = (PHOTOGRAPH / np.float32(255))[None, None]
    expected = repinv.invert(
        HOG.encode(gray)[0],
        HOG,
        shape=PHOTOGRAPH.shape,
        max_iter=json.loads(printed)["iterations"],
        seeds=2,
        prior="learned",
    )
    np.testing.assert_allclose(np.load(out), expected.image, atol=1e-6)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.jpg", "x.npy"])
def test_json_says_what_the_file_holds(invert, tmp_path, name):
    out = tmp_path / name
    status, printed, err = invert("--out", out, "--json")
    assert (status, err) == (0, "")
    report = json.loads(printed)
    assert report["encoder"] == EXPRESSION
    assert report["shape"] == [64, 64]
    assert report["files"] == [str(out)]
    assert report["iterations"] <= report["evaluations"] <= 30 + 10
    assert isinstance(report["stop_reason"], str)
    assert report["seconds"] > 0
    if name == "x.npy":
        image = np.load(out)
    else:
        stored = files.read(out)
        image = stored / np.iinfo(stored.dtype).max
    features = HOG.encode((PHOTOGRAPH / np.float32(255))[None, None])
    held = HOG.encode(image[None, None].astype(np.float32))
    error = metrics.feature_error(held, features)[0]
    assert report["file_error"] == pytest.approx(error, rel=1e-2)
    if name == "x.npy":
        assert report["error"] == pytest.approx(error, rel=1e-2)
    if name == "x.jpg":
        assert report["file_error"] > report["error"]


def test_the_error_of_an_eight_bit_file_is_printed(invert, tmp_path):
    _, printed, _ = invert("--out", tmp_path / "x.jpg")
    assert "as stored" in printed


def test_a_whole_result_can_be_kept(invert, tmp_path):
    status, _, err = invert("--out", tmp_path / "x.npz")
    assert (status, err) == (0, "")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        assert archive.files


def test_nothing_is_written_unless_asked_for(invert, tmp_path):
    before = sorted(tmp_path.iterdir())
    _, printed, _ = invert()
    assert "--out FILE" in printed
    assert sorted(tmp_path.iterdir()) == before


def test_a_figure_is_drawn(invert, tmp_path):
    status, printed, _ = invert("--figure", tmp_path / "figure.png", "--n-preimages", 2)
    assert status == 0
    assert "figure.png" in printed
    assert files.read(tmp_path / "figure.png").shape[1] > 1000


def test_the_energy_is_left_out_of_a_figure(invert, tmp_path):
    invert("--figure", tmp_path / "with.png")
    invert("--figure", tmp_path / "without.png", "--no-energy")
    width, narrower = (files.read(tmp_path / f"{k}.png").shape[1] for k in ("with", "without"))
    assert narrower < 0.8 * width


@pytest.mark.parametrize(
    ("encoder", "bound"),
    [("bovw", 0.3), ("bovw(n_words=1024, grid=(16, 16), assignment='hard')", 0.4),
     ("dsift.vlfeat(step=5, size=4, fast=True)", 0.05), ("dsift.natural", 0.01)],
)  # fmt: skip
def test_dense_sift_and_bags_of_words_are_inverted_at_once(invert, tmp_path, encoder, bound):
    files_asked = ("--out", tmp_path / "x.png", "--figure", tmp_path / "figure.png", "--json")
    status, printed, err = invert(*files_asked, "--max-iter", 250, encoder=encoder)
    assert (status, err) == (0, "")
    report = json.loads(printed)
    assert report["encoder"] == encoder
    assert report["error"] < bound
    assert files.read(tmp_path / "x.png").shape == (64, 64)
    # Photograph, features where there is a picture of them, pre-image and energy.
    width = files.read(tmp_path / "figure.png").shape[1]
    assert 1200 < width < (2600 if encoder.startswith("dsift") else 2000)


def test_quiet_is_quiet(invert, tmp_path):
    assert invert("--out", tmp_path / "x.png", "--quiet") == (0, "", "")


def test_the_same_seed_gives_the_same_file(invert, tmp_path):
    for name, seed in [("a.npy", 3), ("b.npy", 3), ("c.npy", 4)]:
        invert("--out", tmp_path / name, "--seed", seed)
    a, b, c = (np.load(tmp_path / name) for name in ("a.npy", "b.npy", "c.npy"))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_several_preimages_have_several_errors(invert):
    report = json.loads(invert("--n-preimages", 3, "--json")[1])
    assert len(set(report["errors"])) == 3
    assert report["error"] == min(report["errors"])


def test_a_time_limit_ends_a_run(invert):
    _, printed, _ = invert("--time-limit", "1e-3", "--max-iter", 100_000, "--json")
    report = json.loads(printed)
    assert report["stop_reason"] == "time_limit"
    assert report["iterations"] < 100_000


@pytest.mark.parametrize("save", [np.save, lambda path, f: np.savez(path, features=f)])
def test_features_are_inverted(run, tmp_path, save):
    features = HOG(PHOTOGRAPH.astype(np.float32) / 255)
    path = tmp_path / ("f.npy" if save is np.save else "f.npz")
    save(path, features)
    out = tmp_path / "x.npy"
    args = ("--encoder", EXPRESSION, "--shape", "64x64", "--max-iter", 30, "--out", out, "--json")
    status, printed, err = run("invert", path, *args)
    assert (status, err) == (0, "")
    held = HOG(np.load(out))
    error = metrics.feature_error(held[None], features[None])[0]
    assert json.loads(printed)["error"] == pytest.approx(error, rel=1e-2)
    assert error < 0.05


def test_a_size_that_was_chosen_is_said(run, tmp_path):
    np.save(tmp_path / "f.npy", HOG(PHOTOGRAPH.astype(np.float32) / 255))
    args = ("invert", tmp_path / "f.npy", "--encoder", EXPRESSION, "--max-iter", 10)
    status, printed, _ = run(*args)
    assert status == 0
    assert "smallest" in printed
    report = json.loads(run(*args, "--json")[1])
    assert HOG.feature_shape((1, *report["shape"])) == HOG.feature_shape((1, 64, 64))
    assert len(report["notes"]) == 1


def test_the_features_of_another_library_are_inverted(run, tmp_path):
    features = skimage.feature.hog(PHOTOGRAPH / 255, orientations=8, feature_vector=True)
    np.save(tmp_path / "f.npy", features)
    args = ("--encoder", "hog.skimage(orientations=8)", "--shape", "64x64", "--max-iter", 150)
    _, printed, _ = run("invert", tmp_path / "f.npy", *args, "--out", tmp_path / "x.npy", "--json")
    held = skimage.feature.hog(np.load(tmp_path / "x.npy"), orientations=8)
    error = metrics.feature_error(held[None], features[None])[0]
    assert json.loads(printed)["error"] == pytest.approx(error, rel=0.05)
    assert error < 0.1


def test_colour_is_kept_on_request(invert, tmp_path):
    source = tmp_path / "colour.png"
    Image.fromarray(COLOUR).save(source)
    for args, shape in [((), (64, 64)), (("--color",), (64, 64, 3))]:
        status, _, err = invert("--out", tmp_path / "x.png", *args, source=source)
        assert (status, err) == (0, "")
        assert files.read(tmp_path / "x.png").shape == shape


def test_a_gray_image_may_be_inverted_in_colour(invert, tmp_path):
    assert invert("--out", tmp_path / "x.png", "--color")[0] == 0
    assert files.read(tmp_path / "x.png").shape == (64, 64, 3)


@pytest.mark.parametrize("kind", ["rgba.png", "photo.jpg", "deep.tif", "gray16.png", "palette.png"])
def test_the_usual_kinds_of_image_are_taken(invert, tmp_path, kind):
    colour = Image.fromarray(COLOUR)
    made = {
        "rgba.png": lambda: colour.convert("RGBA"),
        "photo.jpg": lambda: colour,
        "deep.tif": lambda: Image.fromarray(PHOTOGRAPH.astype(np.uint16) * 257),
        "gray16.png": lambda: Image.fromarray(PHOTOGRAPH.astype(np.uint16) * 257),
        "palette.png": lambda: colour.quantize(64),
    }[kind]()
    made.save(tmp_path / kind)
    status, printed, err = invert("--json", source=tmp_path / kind)
    assert (status, err) == (0, "")
    assert json.loads(printed)["shape"] == [64, 64]


def test_exif_orientation_turns_the_image(invert, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PHOTOGRAPH[:32]).save(tmp_path / "turned.jpg", exif=exif)
    report = json.loads(invert("--json", source=tmp_path / "turned.jpg")[1])
    assert report["shape"] == [64, 32]


# As a process: what a shell sees.


def _process(*args, **options):
    command = [sys.executable, "-m", "repinv.app", *map(str, args)]
    return subprocess.run(command, check=False, **options)


def test_a_pipe_gets_results_and_nothing_else(photograph):
    args = ("invert", photograph, "-e", EXPRESSION, "--max-iter", 20, "--json")
    done = _process(*args, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["shape"] == [64, 64]


def test_bad_input_is_one_line_in_a_shell_too(tmp_path):
    done = _process("invert", tmp_path / "no.png", "-e", "hog.dpm", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


def test_a_reader_who_leaves_is_no_error_to_show():
    code = "from repinv.app.commands.main import main; main(['encoders'])"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_gets_a_progress_bar(photograph):
    termios = pytest.importorskip("termios")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    args = ("invert", photograph, "-e", EXPRESSION, "--max-iter", 20, "--json")
    done = _process(*args, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    # Linux ends a terminal that nobody writes to by an error.
    with contextlib.suppress(OSError):
        while chunk := os.read(ours, 1000):
            shown += chunk
    os.close(ours)
    assert done.returncode == 0
    assert b"20/20" in shown
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    "args", [("--help",), ("invert", "--help"), ("study", "run", "--help"), ("--version",)]
)
def test_help_loads_nothing_heavy(args):
    code = (
        "import sys\nfrom repinv.app.commands.main import cli\n"
        f"cli.main({list(args)!r}, standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'scipy', 'skimage', 'torch', 'dask'}\n"
        "heavy |= {'pydantic', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_image_decides_what_is_light(run, tmp_path):
    photograph = skimage.data.camera()[::4, ::4]
    for name, pixels in (("photograph", photograph), ("negative", 255 - photograph)):
        Image.fromarray(pixels).resize((256, 256)).save(tmp_path / f"{name}.png")
    Image.fromarray(photograph).save(tmp_path / "given.png")
    found = {}
    for name in ("photograph", "negative"):
        status, _, _ = run(
            "invert", tmp_path / "given.png", "-e", "hog.skimage", "--max-iter", 150,
            "--polarity", tmp_path / f"{name}.png", "--out", tmp_path / f"{name}.npy",
        )  # fmt: skip
        assert status == 0
        found[name] = np.load(tmp_path / f"{name}.npy")
    assert repinv.metrics.ncc(found["photograph"], found["negative"]) < -0.3
    status, _, err = run(
        "invert", tmp_path / "given.png", "-e", "hog.skimage", "--polarity", "dark.png"
    )
    assert status != 0
    assert "there is no dark.png" in err
