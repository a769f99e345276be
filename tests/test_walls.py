"""What must not change by accident: what an import loads and costs, public names, metadata."""

import configparser
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

import repinv

ROOT = pathlib.Path(__file__).parents[1]


def _run(code):
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("statement", ["import repinv", "import repinv_cnn"])
def test_an_import_loads_none_of_the_heavy_libraries(statement):
    heavy = ["torch", "matplotlib", "sklearn", "numba", "skimage", "scipy", "cv2"]
    heavy += ["dask", "distributed", "fsspec", "pyarrow", "pydantic", "jinja2", "panel", "bokeh"]
    done = _run(f"{statement}\nimport sys\nprint(*(set({heavy!r}) & set(sys.modules)))")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_solver_and_the_encoders_load_no_torch():
    done = _run(
        "import repinv\nfor name in set(repinv.__all__) - {'sklearn'}: getattr(repinv, name)\n"
        "import sys\nprint(*({'torch', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_scikit_learn_is_loaded_by_its_own_module():
    done = _run("import repinv, sys\nrepinv.sklearn.Transformer\nprint('sklearn' in sys.modules)")
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_the_public_names_are_the_checked_in_ones():
    expected = (ROOT / "tests" / "golden" / "public_names.txt").read_text().split()
    assert sorted(repinv.__all__) == expected


def test_every_public_name_exists_and_is_documented():
    for name in repinv.__all__:
        assert getattr(repinv, name).__doc__, name
    assert set(repinv.__all__) <= set(dir(repinv))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="inverse"):
        _ = repinv.inverse


@pytest.mark.parametrize("package", ["repinv", "repinv_cnn"])
def test_an_import_is_cheap(package):
    """Beside lazy_loader only the package itself is loaded; the rest is when it is first used."""
    done = _run(
        "import sys, importlib.metadata, inspect, ast, types, typing, warnings\n"
        f"before = set(sys.modules)\nimport {package}\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) <= {"lazy_loader", package}


@pytest.fixture(scope="module")
def setup():
    if not (ROOT / "setup.cfg").exists():
        pytest.skip("needs the checkout: setup.cfg is not beside tests/")
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def _names(requirements):
    return {re.split(r"[\[<>=!~;\s]", line.strip())[0] for line in requirements.split("\n")} - {""}


def test_continuous_integration_pins_every_direct_dependency(setup):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if line and not line.startswith("#")}
    needed = _names(setup["options"]["install_requires"])
    for extra in setup["options.extras_require"].values():
        needed |= _names(extra)
    assert needed <= pinned


def test_torch_is_no_dependency_of_the_core(setup):
    assert not {"torch", "torchvision"} & _names(setup["options"]["install_requires"])


def test_the_extras_are_those_that_are_documented(setup):
    extras = {"cnn", "zoo", "bench", "study", "explore", "docs", "test"}
    assert set(setup["options.extras_require"]) == extras


def test_the_citation_names_this_version(setup):
    assert f"version: {repinv.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_installed_metadata_describe_the_package():
    try:
        metadata = importlib.metadata.distribution("repinv")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("repinv is not installed, only importable")
    assert metadata.version == repinv.__version__
    assert metadata.metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.metadata["Requires-Python"] == ">=3.11"
    (command,) = metadata.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("repinv", "repinv.app.commands.main:main")


def test_both_packages_say_that_they_are_typed():
    folder = pathlib.Path(repinv.__file__).parent
    for package in (folder, folder.parent / "repinv_cnn"):
        assert (package / "py.typed").exists()
