"""A small photograph in a file, and the command line run on it."""

import pytest
from photographs import THUMBNAIL
from PIL import Image

from repinv.app.commands import main


@pytest.fixture
def run(capsys):
    """Runs the command line; gives status, standard output, standard error."""

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main.main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photograph.png"
    Image.fromarray(THUMBNAIL).save(path)
    return path


@pytest.fixture
def invert(run, photograph):
    """Runs a short inversion of the photograph."""

    def invert(*args, source=photograph, encoder="hog.vlfeat(bilinear_orientations=True)"):
        return run("invert", source, "--encoder", encoder, "--max-iter", 30, *args)

    return invert
