"""The page in headless Chromium."""

import http.client
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from photographs import COLOUR
from PIL import Image

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("panel", reason="needs panel")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
LIMIT = 60_000


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the command serves the page of a small photograph."""
    path = tmp_path_factory.mktemp("explore") / "small.png"
    Image.fromarray(COLOUR).save(path)
    arguments = ["explore", str(path), "--no-browser", "--size", "64"]
    program = f"from repinv.app.commands.main import main; main({arguments!r})"
    served = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    line = served.stdout.readline()
    yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
    served.terminate()
    served.wait(20)
    served.stdout.close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, address):
    """Opens pages, whose errors are collected and must be none; nothing else is fetched."""
    contexts, faults = [], []

    def new():
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        context.set_default_timeout(LIMIT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text)
                if message.type == "error" else None)  # fmt: skip
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url)
                if not request.url.startswith((address, "data:", "blob:")) else None)  # fmt: skip
        page.goto(address)
        return page

    yield new
    for context in contexts:
        context.close()
    assert not faults


def done(page):
    """Wait for the end of the run; the error in per cent."""
    page.wait_for_selector("text=/done: \\d+ evaluations/")
    return shown(page)


def shown(page):
    text = page.locator("strong.error").first.inner_text()
    return float(re.search(r"error ([\d.]+) %", text)[1])


def preimage(page):
    return page.locator("img[alt^='pre-image']").first.get_attribute("src")


def changed(page, choose, shows):
    """Make a change; wait until the run has ended whose code holds a text, which is shown last."""
    choose()
    page.locator("pre").filter(has_text=shows).first.wait_for()
    return done(page)


def test_options_are_changed_and_each_change_is_inverted(opened):
    page = opened()
    done(page)
    assert page.get_by_label("Photograph", exact=True).input_value().endswith("small.png")
    cells = changed(page, lambda: page.get_by_label("Cell size (pixels)").select_option("4"),
                    "cell_size=4")  # fmt: skip
    assert 0 < cells < 100
    orientations = page.get_by_label("Orientations", exact=True)
    changed(page, lambda: orientations.select_option("18"), "num_orientations=18")
    before = preimage(page)
    expected = "HOG.vlfeat(cell_size=4, num_orientations=18, bilinear_orientations=True)"
    bilinear = page.get_by_label("Bilinear orientations")
    changed(page, lambda: bilinear.select_option("yes"), expected)
    assert preimage(page) != before


def test_the_error_falls_while_it_runs(opened):
    page = opened()
    done(page)
    page.get_by_label("Bilinear orientations").select_option("yes")
    changed(page, lambda: _evaluations(page, 400), re.compile("bilinear.*max_iter=400", re.S))
    curve = page.get_by_role("img", name=re.compile("error by evaluations")).locator("polyline")
    heights = [float(point.split(",")[1]) for point in curve.get_attribute("points").split()]
    # Down is a larger y.
    assert heights[-1] > heights[0] + 10


def test_a_run_is_stopped_by_the_keyboard(opened):
    page = opened()
    done(page)
    _evaluations(page, 2000)
    stop = page.get_by_role("button", name="Stop")
    page.wait_for_selector("text=/so far: \\d+ evaluations/")
    stop.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=/stopped: \\d+ evaluations/")
    assert preimage(page)


def test_a_broken_upload_is_refused_and_a_whole_one_is_taken(opened, tmp_path):
    page = opened()
    done(page)
    broken, whole = tmp_path / "broken.png", tmp_path / "whole.png"
    Image.fromarray(COLOUR[::-1].copy()).save(whole)
    broken.write_bytes(whole.read_bytes()[:900])
    page.locator("input[type=file]").set_input_files(str(broken))
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "broken.png cannot be read" in alert.inner_text()
    changed(page, lambda: page.locator("input[type=file]").set_input_files(str(whole)),
            "whole.png")  # fmt: skip
    assert not page.get_by_role("alert").count()
    assert page.get_by_label("Photograph", exact=True).input_value() == "whole.png"


def test_a_path_that_is_wrong_is_refused(opened):
    page = opened()
    done(page)
    path = page.get_by_label("Or the path of an image file")
    path.fill("no-such-file.png")
    path.press("Enter")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "there is no no-such-file.png" in alert.inner_text()


def test_two_representations_stand_side_by_side_at_one_height(opened):
    page = opened()
    done(page)
    page.get_by_label("Encoder").nth(1).select_option(label="HOG, as scikit-image computes it")
    pictures = page.locator("img[alt^='pre-image']")
    page.get_by_text(re.compile(r"done: \d+ evaluations")).nth(1).wait_for()
    boxes = [pictures.nth(k).bounding_box() for k in range(2)]
    original = page.locator("img[alt^='photograph']").bounding_box()
    for box in boxes:
        assert abs(box["y"] - original["y"]) <= 1
        assert box["width"] == original["width"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


def test_two_sessions_at_once_do_not_disturb_each_other(opened):
    one, other = opened(), opened()
    done(one)
    done(other)
    before = preimage(other)
    changed(one, lambda: one.get_by_label("Cell size (pixels)").select_option("16"), "cell_size=16")
    assert preimage(other) == before
    assert other.get_by_label("Cell size (pixels)").input_value() == "8"


def test_code_is_copied_and_results_are_saved(opened, tmp_path):
    page = opened()
    done(page)
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert "repinv.HOG.vlfeat()" in page.evaluate("navigator.clipboard.readText()")
    for label, name in (("Save figure", "figure-1.png"), ("Save result", "result-1.npz")):
        with page.expect_download() as found:
            page.get_by_text(label).first.click()
        found.value.save_as(tmp_path / name)
    assert np.asarray(Image.open(tmp_path / "figure-1.png")).std() > 10
    import repinv

    assert repinv.resume(tmp_path / "result-1.npz").image.shape == (64, 64)


def test_every_choice_has_a_label(opened):
    page = opened()
    done(page)
    for label in ("Photograph", "Or the path of an image file", "Encoder", "Variant", "Prior",
                  "Evaluations", "Seed"):  # fmt: skip
        assert page.get_by_label(label, exact=True).count(), label


def test_other_machines_and_pages_of_other_addresses_are_refused(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    for origin, status in (("http://example.org", 403), (address.rstrip("/"), 101)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            "Origin": origin,
        }
        connection.request("GET", "/ws", headers=headers)
        assert connection.getresponse().status == status
        connection.close()


def _evaluations(page, count):
    box = page.get_by_label("Evaluations", exact=True)
    box.fill(str(count))
    box.press("Enter")
