"""What is shown of a study: status, table, figures, report."""

import csv
import html.parser
import io
import json

import numpy as np
import pytest

from repinv.app.study import figures, job, study, summary_tables
from repinv.app.study import html as page
from repinv.io import tables


@pytest.fixture(scope="module")
def found(finished):
    return study.results_of(finished)


def test_the_table_is_of_means_over_images_and_seeds(found):
    columns, records = summary_tables.table(found)
    assert [column.key for column in columns[:3]] == ["encoder", "prior", "jobs"]
    assert [(r["encoder"], r["prior"], r["jobs"]) for r in records] == [
        ("hog", "default", 4), ("hog", "tv", 4), ("sift", "default", 4), ("sift", "tv", 4)
    ]  # fmt: skip
    errors = [record["error"] for cell, record in found.records()
              if (cell.encoder.name, cell.prior.name) == ("sift", "tv")]  # fmt: skip
    assert records[3]["error_mean"] == pytest.approx(np.mean(errors))
    assert records[3]["error_std"] == pytest.approx(np.std(errors))
    mean, deviation = np.mean(errors), np.std(errors)
    assert records[3]["error"] == f"{100 * mean:.3g} % ± {100 * deviation:.3g} %"


def test_the_table_for_programs_has_means_and_deviations_apart(found):
    columns, records = summary_tables.table(found)
    rows = list(
        csv.DictReader(io.StringIO(tables.as_csv(summary_tables.plain_columns(columns), records)))
    )
    assert float(rows[0]["ssim_mean"]) == records[0]["ssim_mean"]
    assert float(rows[0]["ssim_std"]) == records[0]["ssim_std"]


def test_a_study_that_is_done_says_so(found):
    said = summary_tables.status(found)
    assert (said["jobs"], said["done"], said["failed"], said["left"]) == (16, 16, 0, 0)
    assert said["seconds_left"] is None
    assert said["encoders"][0] == {"encoder": "hog", "done": 8, "failed": 0, "left": 0}
    json.dumps(said)


def test_a_study_that_runs_says_how_long_it_will_take(found):
    half = study.Study(found.plan, found.store, study.Summary(found.store, found.plan), ())
    keys = list(found.plan.jobs)[:5]
    half.summary.records = {key: {"at": 1000.0 + 10 * k} for k, key in enumerate(keys)}
    said = summary_tables.status(half, now=1040.0)
    assert said["left"] == 11
    assert said["per_minute"] == pytest.approx(6)
    assert said["seconds_left"] == pytest.approx(110)
    assert summary_tables.status(half, now=3000.0)["seconds_left"] is None


def test_the_usual_figures_are_drawn(found):
    drawn = list(figures.drawn(found))
    assert [name for name, _, _ in drawn] == [
        "01-grid-images-found", "02-errors-error-by-representation"
    ]  # fmt: skip
    titles = [axis.get_title(loc="left").split("\n")[0] for axis in drawn[0][2].axes if axis.images]
    assert titles == ["photograph", "hog", "sift"] * 2


_FIGURES = """
[[figures]]
kind = "grid"
title = "../../etc/a grid"
rows = "seed"
columns = "total_variation.weight"
where = {{ image = "camera", prior = "tv" }}

[[figures]]
kind = "curve"
x = "total_variation.weight"
lines = "encoder"

[[figures]]
kind = "errors"
y = "ssim"

[[figures]]
kind = "spread"
where = {{ encoder = "sift", prior = "default" }}

[[figures]]
kind = "errors"
where = {{ encoder = "nobody" }}
"""


@pytest.fixture(scope="module")
def swept(client, finished, tmp_path_factory):
    text = finished.read_text().replace(
        "[priors.tv]\ntotal_variation = { weight = 0.1 }",
        "[priors.tv.sweep]\ntotal_variation.weight = [1.0, 0.001, 0.1]",
    )
    path = tmp_path_factory.mktemp("swept") / "study.toml"
    path.write_text(text + _FIGURES.replace("{{", "{").replace("}}", "}"))
    study.run(path, client=client)
    return study.results_of(path)


def test_declared_figures_are_drawn_and_empty_ones_are_not(swept):
    names = [name for name, _, _ in figures.drawn(swept)]
    assert [name.split("-")[1] for name in names] == ["grid", "curve", "errors", "spread"]


def test_names_of_figures_never_lead_out_of_the_folder(swept):
    for name, _, _ in figures.drawn(swept):
        assert all(c.isascii() and (c.isalnum() or c == "-") for c in name)


def test_a_grid_has_the_values_of_a_sweep_in_their_order(swept):
    _, _, figure = next(figures.drawn(swept))
    titles = [axis.get_title(loc="left").split("\n")[0] for axis in figure.axes if axis.images]
    assert titles == ["photograph", "weight 0.001", "weight 0.1", "weight 1.0"] * 2


def test_a_curve_goes_through_the_means(swept):
    _, _, figure = list(figures.drawn(swept))[1]
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    assert set(lines) == {"encoder hog", "encoder sift"}
    xs, ys = lines["encoder hog"].get_data()
    assert list(xs) == [0.001, 0.1, 1.0]
    errors = [
        record["error"]
        for cell, record in swept.records()
        if (cell.encoder.name, cell.swept().get("total_variation.weight")) == ("hog", 1.0)
    ]
    assert ys[2] == pytest.approx(np.mean(errors))


def test_a_spread_shows_where_images_differ(swept):
    _, _, figure = list(figures.drawn(swept))[3]
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.images]
    assert titles[:3] == ["photograph", "start 1", "start 2"]
    assert titles[3].startswith("deviation")


class _Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_a_report_stands_alone_and_escapes_what_it_is_told(swept):
    text = page.study_page(swept)
    found = _Page(text)
    assert "A small <study>" in found.text
    assert "study" not in {tag for tag, _ in found.tags}
    images = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 4
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in found.tags}
    assert "seeds = [0, 1]" in found.text
    assert "32 of 32 jobs are done" in found.text


def test_a_report_lists_what_failed_and_what_was_left_out(write, client, monkeypatch, tmp_path):
    def failing(settings, store):
        raise ValueError("<b>no luck</b>")

    (tmp_path / "bad.png").write_bytes(b"x")
    text = write().read_text().replace("[study]", "[study]\nunreadable = 'skip'")
    path = write(text.replace('"skimage:camera"', '"skimage:camera", "bad.png"'))
    monkeypatch.setattr(job, "computed", failing)
    study.run(path, client=client)
    found = _Page(page.study_page(study.results_of(path)))
    assert "Failed: 16" in found.text
    assert "<b>no luck</b>" in found.text
    assert "bad.png" in found.text
