"""`scripts/oldest.py`: the lower bounds of setup.cfg, as pins."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "oldest.py"


@pytest.fixture(scope="module")
def oldest():
    if not SCRIPT.exists():
        pytest.skip("needs the checkout: scripts/ is not beside tests/")
    return runpy.run_path(str(SCRIPT))["oldest"]


def _setup(core, **extras):
    listed = "\n".join(f"{name} =\n    " + "\n    ".join(lines) for name, lines in extras.items())
    core = "\n    ".join(core)
    return f"[options]\ninstall_requires =\n    {core}\n\n[options.extras_require]\n{listed}\n"


def test_lower_bounds_become_pins(oldest):
    setup = _setup(
        ["numpy>=2.0", "array-api-compat>=1.11"],
        study=["dask[distributed]>=2025.1"],
        test=["opencv-python-headless>=4.10,<5"],
    )
    assert oldest(setup) == [
        "array-api-compat==1.11",
        "dask==2025.1",
        "numpy==2.0",
        "opencv-python-headless==4.10",
    ]


def test_the_greater_of_two_bounds_is_pinned_by_number_not_by_letter(oldest):
    setup = _setup(["numpy>=2.0"], cnn=["torch>=2.6"], zoo=["torch>=2.10"], test=["torch>=2.9"])
    assert oldest(setup) == ["numpy==2.0", "torch==2.10"]


@pytest.mark.parametrize("requirement", ["scipy-stubs", "opencv<5", "numpy==2.0", "numpy>2"])
def test_a_requirement_without_a_lower_bound_is_refused_by_name(oldest, requirement):
    with pytest.raises(ValueError, match=f"got '{requirement}'.*Give it a lower bound"):
        oldest(_setup(["numpy>=2.0"], test=[requirement]))


def test_every_requirement_of_this_package_has_a_lower_bound(oldest):
    pins = oldest((ROOT / "setup.cfg").read_text(encoding="utf-8"))
    assert len(pins) > 30
    assert len({pin.split("==")[0] for pin in pins}) == len(pins)
