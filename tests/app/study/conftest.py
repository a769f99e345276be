"""A small study, workers in this process, and what a study says it needs."""

import textwrap

import pytest

#: A grid of 2 images x 2 encoders x 2 priors x 2 seeds.
TEXT = """
[study]
name = "small"
title = "A small <study>"
description = "To be tested."
seeds = [0, 1]

[images]
files = ["skimage:camera", "skimage:astronaut"]
size = [40, 48]

[encoders]
hog = "hog.vlfeat(bilinear_orientations=True)"
sift = "dsift.natural"

[priors.default]

[priors.tv]
total_variation = { weight = 0.1 }

[solvers.short]
max_iter = 12
"""


@pytest.fixture(scope="session")
def extra():
    """Skips a test, by name, where the extra 'study' is not installed."""
    for module in ("distributed", "fsspec", "pyarrow"):
        pytest.importorskip(module, reason=f"needs the extra 'study': {module} is missing")


@pytest.fixture(scope="session")
def client(extra):
    """A dask client whose only worker is a thread of this process."""
    from repinv.app.study import dask_engine

    with dask_engine.connected(workers=1, in_process=True) as client:
        yield client


@pytest.fixture
def write(tmp_path):
    """Writes a study file."""

    def write(text=TEXT, name="study.toml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture(scope="session")
def finished(client, tmp_path_factory):
    """The path of a study that has been run."""
    from repinv.app.study import study

    path = tmp_path_factory.mktemp("finished") / "study.toml"
    path.write_text(TEXT)
    progress = study.run(path, client=client)
    assert (progress.done, progress.failed) == (16, 0)
    return path
