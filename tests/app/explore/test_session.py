"""What the page computes, without the page: sessions, photographs and the code that is copied."""

import shlex
import socket
import subprocess
import sys
import threading
import time

import matplotlib as mpl
import numpy as np
import pytest
from photographs import COLOUR, THUMBNAIL
from PIL import Image

import repinv
from repinv.app.explore import code, photographs, serve
from repinv.app.explore.photographs import from_array, from_file, from_upload, sample
from repinv.app.explore.representations import REPRESENTATIONS, offered
from repinv.app.explore.session import Session, Settings
from repinv.app.images import encoded
from repinv.encoders import expressions
from repinv.encoders.hog.hog import HOG


@pytest.fixture
def photograph():
    return from_array(THUMBNAIL)


def finished(settings, slot=0):
    one = Session()
    one.start(slot, settings)
    one.wait(120)
    return one.views[slot]


def test_the_result_is_that_of_invert(photograph):
    view = finished(Settings(photograph, options=(("cell_size", 6),), max_iter=30, seed=3))
    assert view.status == "done", view.message
    hog = repinv.HOG.vlfeat(cell_size=6)
    image = photograph.image(1)
    expected = repinv.invert(hog(image), hog, shape=image.shape, max_iter=30, seed=3)
    np.testing.assert_array_equal(view.preimage, expected.image)
    assert view.error == expected.error[0]
    np.testing.assert_array_equal(view.image, image)
    assert view.glyph is not None


def test_the_error_falls_and_the_last_is_that_of_the_image_that_is_shown(photograph):
    settings = Settings(photograph, options=(("bilinear_orientations", True),), max_iter=60)
    view = finished(settings)
    errors = [error for _, error in view.errors]
    assert len(errors) >= 6
    assert errors[-1] < errors[0] / 2
    found = encoded(view.encoder, view.preimage)
    wanted = encoded(view.encoder, view.image)
    relative = np.square(found - wanted).sum() / np.square(wanted).sum()
    assert view.error == pytest.approx(relative, rel=1e-3)


def test_the_first_picture_comes_within_thirty_evaluations(photograph, monkeypatch):
    counts, first = [0], []
    encode, vjp, show = HOG.encode, HOG.vjp, Session.show

    def counted(method):
        def call(self, x):
            counts[0] += 1
            return method(self, x)

        return call

    def shown(self, slot, settings, **changes):
        if changes.get("preimage") is not None and not first:
            first.append(counts[0])
        show(self, slot, settings, **changes)

    monkeypatch.setattr(HOG, "encode", counted(encode))
    monkeypatch.setattr(HOG, "vjp", counted(vjp))
    monkeypatch.setattr(Session, "show", shown)
    finished(Settings(photograph, max_iter=30))
    assert first[0] <= 30


def test_the_next_change_cancels_what_runs(photograph):
    one = Session()
    long = Settings(photograph, max_iter=100_000)
    one.start(0, long)
    until(lambda: one.views[0].errors)
    assert one.views[0].status == "running"
    one.start(0, Settings(photograph, "hog.dpm", max_iter=20))
    one.wait(60)
    view = one.views[0]
    assert (view.status, view.settings.flavour, view.result.iterations) == ("done", "hog.dpm", 20)


def test_what_is_stopped_keeps_its_image(photograph):
    one = Session()
    one.start(0, Settings(photograph, max_iter=100_000))
    until(lambda: one.views[0].errors)
    one.stop()
    one.wait(60)
    view = one.views[0]
    assert view.status == "stopped"
    assert view.result.stop_reason == "callback"
    np.testing.assert_array_equal(view.preimage, view.result.image)


def test_slots_run_one_after_the_other(photograph, monkeypatch):
    running, most = [0], [0]
    invert = repinv.invert

    def watched(*args, **options):
        running[0] += 1
        most[0] = max(most[0], running[0])
        result = invert(*args, **options)
        running[0] -= 1
        return result

    monkeypatch.setattr(repinv, "invert", watched, raising=False)
    one = Session()
    one.start(0, Settings(photograph, max_iter=20))
    one.start(1, Settings(photograph, "hog.dpm", max_iter=20))
    one.wait(60)
    assert [view.status for view in one.views] == ["done", "done"]
    assert most[0] == 1


def test_a_change_comes_before_what_runs_in_the_other_slot(photograph):
    one = Session()
    one.start(0, Settings(photograph, max_iter=2_000))
    until(lambda: one.views[0].errors)
    one.start(1, Settings(photograph, "hog.dpm", max_iter=20))
    until(lambda: one.views[1].status == "done")
    assert one.views[0].is_busy
    one.stop()
    one.wait(60)
    assert [view.status for view in one.views] == ["stopped", "done"]


def test_two_sessions_run_at_once_and_find_what_each_finds_alone(photograph):
    settings = [Settings(photograph, flavour, max_iter=30) for flavour in ("hog.vlfeat", "hog.dpm")]
    alone = [finished(one).preimage for one in settings]
    sessions = [Session(), Session()]
    for one, what in zip(sessions, settings, strict=True):
        one.start(0, what)
    for one, expected in zip(sessions, alone, strict=True):
        one.wait(60)
        np.testing.assert_allclose(one.views[0].preimage, expected, atol=1e-5)


def test_a_slot_that_is_cleared_shows_nothing(photograph):
    one = Session()
    one.start(0, Settings(photograph, max_iter=100_000))
    until(lambda: one.views[0].errors)
    one.clear(0)
    one.wait(60)
    assert one.views[0].status == "idle"
    assert one.views[0].preimage is None


def test_what_cannot_be_inverted_says_why_and_the_next_runs(photograph):
    pytest.importorskip("torch")
    one = Session()
    one.start(0, Settings(photograph, "cnn.digits", prior="learned"))
    one.wait(60)
    assert one.views[0].status == "failed"
    assert "no restorer ships" in one.views[0].message
    one.start(0, Settings(photograph, "cnn.digits", (("layer", "conv1"),), max_iter=20))
    one.wait(60)
    assert one.views[0].status == "done"
    assert one.views[0].preimage.shape == (32, 32)


def test_an_inversion_that_does_not_fit_into_memory_is_refused(photograph, monkeypatch):
    monkeypatch.setattr("repinv.solvers.memory.available", lambda: 1)
    view = finished(Settings(photograph))
    assert view.status == "failed"
    assert "memory" in view.message


@pytest.mark.parametrize("flavour", REPRESENTATIONS)
def test_every_choice_is_an_encoder(flavour):
    if REPRESENTATIONS[flavour] not in offered():
        pytest.skip("needs torch")
    known = REPRESENTATIONS[flavour]
    chosen = [{}] + [{option.name: value} for option in known.options for value in option.values]
    for one in chosen:
        encoder = expressions.parse(known.expression(one, (64, 48)))
        side = 32 if flavour == "cnn.digits" else 96
        assert min(encoder.feature_shape((encoder.channels or 1, side, side))) > 0, one
    with pytest.raises(ValueError, match="expected one of"):
        known.expression({"colour": "red"}, (64, 48))


@pytest.mark.parametrize("flavour", ["hog.vlfeat", "hog.opencv", "dsift.vlfeat", "bovw"])
def test_every_kind_of_features_is_inverted_and_drawn(flavour, photograph):
    view = finished(Settings(photograph, flavour, max_iter=10))
    assert view.status == "done", view.message
    assert (view.glyph is None) is (view.drawing is not None)


def test_colour_is_kept_where_the_encoder_takes_it():
    view = finished(Settings(from_array(COLOUR), "hog.maskfeat", max_iter=10))
    assert view.preimage.shape == COLOUR.shape


# Photographs.


def test_photographs_are_made_smaller_and_samples_exist():
    for name in photographs.SAMPLES:
        assert max(sample(name, 64).pixels.shape[:2]) in (32, 64)
    with pytest.raises(ValueError, match="expected one of"):
        sample("lena")


def test_uploads_are_checked_as_files_are(tmp_path):
    path = tmp_path / "p.png"
    Image.fromarray(COLOUR).save(path)
    data = path.read_bytes()
    np.testing.assert_array_equal(from_upload(data, "p.png").pixels, from_file(path).pixels)
    with pytest.raises(ValueError, match=r"p\.png cannot be read"):
        from_upload(data[: len(data) // 2], "../../p.png")
    with pytest.raises(ValueError, match="at most 32 MiB"):
        from_upload(b"0" * (photographs.MAX_UPLOAD + 1), "large.png")
    with pytest.raises(FileNotFoundError, match="there is no"):
        from_file(tmp_path / "none.png")
    with pytest.raises(ValueError, match="pixels a side"):
        from_array(np.zeros((3, 50)))


# Code.


@pytest.mark.parametrize(
    ("flavour", "name"),
    [("hog.vlfeat", "astronaut"), ("hog.opencv", "rocket"), ("hog.maskfeat", "digit"),
     ("bovw", "digit"), ("cnn.digits", "chelsea")],
)  # fmt: skip
def test_the_python_finds_what_the_page_shows(flavour, name, tmp_path, monkeypatch):
    if REPRESENTATIONS[flavour] not in offered():
        pytest.skip("needs torch")
    settings = Settings(sample(name, 64), flavour, max_iter=20)
    view = finished(settings)
    monkeypatch.chdir(tmp_path)
    names = {}
    with mpl.rc_context({"backend": "agg"}):
        exec(code.as_python(settings), names)
    np.testing.assert_allclose(names["image"], view.image, atol=0.05)
    assert names["encoder"] == view.encoder or flavour == "cnn.digits"
    assert names["result"].error[0] == pytest.approx(view.error, rel=0.5)
    assert (tmp_path / "figure.png").exists()


def test_the_command_finds_what_the_page_shows(tmp_path):
    chosen = (("block_norm", "L2"), ("cell", 6))
    settings = Settings(sample("chelsea", 64), "hog.skimage", chosen, max_iter=20, seed=1)
    view = finished(settings)
    first, second = code.as_command(settings).splitlines()
    program, _, statement = shlex.split(first)
    assert program == "python"
    subprocess.run([sys.executable, "-c", statement], check=True, cwd=tmp_path)
    words = shlex.split(second)
    assert words[0] == "repinv"
    run = f"from repinv.app.commands.main import main; main({[*words[1:], '--json']!r})"
    done = subprocess.run(
        [sys.executable, "-c", run], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = np.asarray(Image.open(tmp_path / "preimage.png")) / 65535
    assert found.shape == view.preimage.shape
    assert np.corrcoef(found.ravel(), view.preimage.ravel())[0, 1] > 0.9


# Page and command.


def test_without_panel_a_sentence_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    status, _, err = run("explore", "--no-browser")
    assert status == 1
    assert "pip install 'repinv[explore]'" in err
    with pytest.raises(ValueError, match="pip install"):
        repinv.explore()


def test_a_notebook_shows_the_page_and_refines_it():
    pytest.importorskip("panel")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cells = [
        "import asyncio, panel, repinv, skimage\n"
        "page = repinv.explore(skimage.data.coffee(), size=32)\npage",
        "for _ in range(300):\n"
        "    await asyncio.sleep(0.2)\n"
        "    texts = [one.object for one in page.select(panel.pane.HTML)]\n"
        "    if any('done: ' in text for text in texts):\n"
        "        break\n"
        "else:\n"
        "    raise AssertionError(texts)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    kinds = [output.get("data", {}).keys() for output in book.cells[0].outputs]
    assert any("text/html" in kind and "text/plain" in kind for kind in kinds)


def test_a_size_out_of_bounds_is_refused():
    with pytest.raises(ValueError, match="32 to 512"):
        repinv.explore(size=4096)


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} .* Give another --port"):
            serve._free(port)


def until(condition, seconds=60):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_thread_is_left():
    assert not [one for one in threading.enumerate() if "_work" in one.name]
