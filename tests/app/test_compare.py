"""repinv compare: tables, reports that stand alone, and figures."""

import html.parser
import json

import numpy as np
import pytest
import skimage
from photographs import COLOUR, THUMBNAIL
from PIL import Image

import repinv
from repinv.app import html as report
from repinv.io import files
from repinv.plot import comparisons, figures

ENCODERS = ("-e", "hog.vlfeat", "-e", "dsift.natural")
HOG = repinv.HOG.vlfeat()


class Page(html.parser.HTMLParser):
    """What a page holds: its tags with attributes, its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def compare(run, photograph):
    def compare(*args, source=photograph, encoders=ENCODERS):
        return run("compare", source, *encoders, "--max-iter", 20, *args)

    return compare


def test_a_table_is_printed(compare):
    status, out, err = compare()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["method", "feature", "error"]
    assert [line.split()[0] for line in lines[1:]] == ["hog.vlfeat", "dsift.natural"]


def test_all_kinds_of_files_are_written(compare, tmp_path):
    names = ["t.csv", "t.json", "t.md", "t.html", "f.png", "f.pdf", "f.svg"]
    outputs = [arg for name in names for arg in ("--out", tmp_path / name)]
    status, out, err = compare(*outputs)
    assert (status, err) == (0, "")
    assert all(f"wrote {tmp_path / name}" in out for name in names)
    assert (tmp_path / "t.csv").read_text().startswith("name,error,pairwise_error,ncc,ssim,psnr")
    assert len(json.loads((tmp_path / "t.json").read_text())) == 2
    assert files.read(tmp_path / "f.png").shape[1] > 800


def test_a_report_stands_alone(compare, tmp_path):
    compare("--out", tmp_path / "t.html")
    text = (tmp_path / "t.html").read_text()
    page = Page(text)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert all(image["alt"] for image in images)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")]
    assert "http" not in text.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert "default-src 'none'" in text


def test_text_of_a_report_is_escaped():
    image = np.eye(16)
    nasty = "<script>alert('x')</script>\"&"
    row = repinv.Reconstruction(nasty, error=0.1, image=image, notes=(nasty,))
    failed = repinv.Reconstruction(nasty, failure=nasty)
    page = Page(report.comparison_page(repinv.Comparison((row, failed), image), nasty))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert('x')</script>\"&") >= 5


@pytest.mark.parametrize(
    "text", ["a < b", "'\"><img src=x onerror=y>", "{{ title }}", "&lt;wbr>(_,="]
)
def test_text_of_a_report_is_what_it_was(text):
    row = repinv.Reconstruction(text, error=0.1, image=np.eye(16))
    page = Page(report.comparison_page(repinv.Comparison((row,), None), text))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [f"{text}: error 10 %"]
    assert page.text.count(text) == 4  # twice the title, the caption, the row of the table


def test_json_is_printed_for_programs(compare):
    records = json.loads(compare("--json")[1])
    assert [record["name"] for record in records] == ["hog.vlfeat", "dsift.natural"]
    assert records[0]["error"] < 0.5


def test_a_method_that_fails_is_in_the_table_with_its_reason(compare, tmp_path):
    encoders = (*ENCODERS, "-e", "hog.opencv")
    status, out, err = compare("--out", tmp_path / "t.html", encoders=encoders)
    assert (status, err) == (0, "")
    assert "at least 128x64" in out
    page = Page((tmp_path / "t.html").read_text())
    assert "at least 128x64" in page.text


def test_inverters_that_ship_and_that_were_fitted_stand_beside_encoders(compare, tmp_path):
    images = [skimage.data.camera()[k : k + 64, k : k + 64] for k in (0, 100, 200)]
    fitted = repinv.inverters.Ridge.fit(images, HOG, progress=False)
    fitted.save(tmp_path / "mine.npz")
    args = ("-i", "hoggle", "-i", "ridge", "-i", tmp_path / "mine.npz", "--json")
    records = json.loads(compare(*args, encoders=("-e", "hog.vlfeat"))[1])
    assert [record["name"] for record in records] == ["hog.vlfeat", "hoggle", "ridge", "mine"]
    assert all(0 < record["error"] < 2 for record in records)
    alone = json.loads(compare("-i", "ridge", "--json", encoders=())[1])
    assert alone[0]["error"] == records[2]["error"]


def test_several_starts_and_the_learned_prior_have_rows_of_their_own(compare):
    args = ("--seeds", 2, "--prior", "learned", "--json")
    plain, several, learned = json.loads(compare(*args, encoders=("-e", "hog.vlfeat"))[1])
    assert [row["name"] for row in (plain, several, learned)] == [
        "hog.vlfeat", "hog.vlfeat, 2 starts", "hog.vlfeat, learned prior"
    ]  # fmt: skip
    assert len({row["error"] for row in (plain, several, learned)}) == 3


def test_nothing_to_compare_is_an_error(compare):
    status, out, err = compare(encoders=())
    assert (status, out) == (1, "")
    assert "name an --encoder or an --inverter" in err


def test_all_failing_is_an_error(compare, tmp_path):
    status, out, err = compare("--out", tmp_path / "t.csv", encoders=("-e", "hog.opencv"))
    assert (status, out) == (1, "")
    assert "none of the methods" in err
    assert not (tmp_path / "t.csv").exists()


def test_features_are_compared_too(compare, tmp_path):
    np.save(tmp_path / "f.npy", HOG(THUMBNAIL / 255))
    args = ("--shape", "64x64", "--json")
    status, out, err = compare(*args, source=tmp_path / "f.npy", encoders=("-e", "hog.vlfeat"))
    assert (status, err) == (0, "")
    (record,) = json.loads(out)
    assert record["ncc"] is None
    assert record["error"] < 0.5


def test_a_yardstick_is_an_encoder(compare):
    own, other = (json.loads(compare(*args, "--json")[1])
                  for args in ((), ("--yardstick", "dsift.natural")))  # fmt: skip
    assert own[0]["error"] != other[0]["error"]
    assert own[1]["error"] == other[1]["error"]


def test_colour_is_kept_on_request(compare, tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "c.png")
    gray, colour = (json.loads(compare(*args, "--json", source=tmp_path / "c.png")[1])
                    for args in ((), ("--color",)))  # fmt: skip
    assert gray[0]["error"] != colour[0]["error"]
    assert gray[1]["error"] == pytest.approx(colour[1]["error"], rel=0.2)


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("--out", "t.doc"), 1, "ends in one of"),
        (("--out", "no/t.csv"), 1, "no folder"),
        (("--out", "t.csv", "--out", "./t.csv"), 1, "two are the same"),
        (("--shape", "64x64"), 2, "--shape goes with features"),
        (("--yardstick", "hog.vlfaet"), 2, "Did you mean hog.vlfeat"),
        (("-e", "nothing"), 2, "expected an encoder flavour"),
        (("-i", "nothing.npz"), 2, "expected hoggle or ridge, or a file of 'repinv fit'"),
        (("--seeds", "1"), 2, "--seeds"),
        (("--prior", "what"), 2, "learned"),
    ],
)
def test_bad_usage_is_refused_before_anything_runs(
    compare, tmp_path, monkeypatch, args, status, words
):
    monkeypatch.chdir(tmp_path)
    code, out, err = compare(*args)
    assert (code, out) == (status, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_figure_has_a_panel_for_each_image():
    image = np.eye(32)
    rows = [repinv.Reconstruction(f"method {k}", error=0.1, image=image) for k in range(6)]
    rows.append(repinv.Reconstruction("broken", failure="x"))
    figure = comparisons.comparison_figure(repinv.Comparison(tuple(rows), image))
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.images]
    assert [title.split("\n")[0] for title in titles] == [
        "photograph", *(f"method {k}" for k in range(6))
    ]  # fmt: skip


def test_figures_and_reports_match_contrast_unless_told_otherwise(compare, tmp_path):
    kept, own = tmp_path / "kept.html", tmp_path / "own.html"
    compare("--out", kept)
    compare("--out", own, "--own-contrast")
    assert kept.read_text().count("contrast matched") == 4  # captions and text alternatives
    assert "contrast matched" not in own.read_text()


@pytest.mark.parametrize("own", [True, False])
def test_a_figure_is_written_with_the_contrast_that_is_wanted(monkeypatch, tmp_path, own):
    from repinv.app.commands.compare import write

    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    image = np.eye(32)
    row = repinv.Reconstruction("HOG", error=0.1, image=0.5 + 0.1 * image)
    write(tmp_path / "f.png", repinv.Comparison((row,), image), "title", own_contrast=own)
    held = drawn[0].axes[1].images[0].get_array()
    np.testing.assert_allclose(held, row.image if own else image, atol=1e-6)
    assert ("contrast matched" in drawn[0].axes[1].get_title(loc="left")) is not own


def test_the_printed_table_has_no_unit_that_it_does_not_explain(compare, tmp_path):
    _, out, _ = compare("--out", tmp_path / "t.html")
    assert "unit" not in out
    assert "In the paper's unit, 100 is" in (tmp_path / "t.html").read_text()


def test_long_names_are_broken_where_expressions_can_be():
    assert figures.wrapped("hog.vlfeat(bilinear_orientations=True)", 34).split("\n") == [
        "hog.vlfeat(bilinear_orientations=", "True)",
    ]  # fmt: skip
    assert figures.wrapped("short", 34) == "short"
