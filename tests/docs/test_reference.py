"""The reference: every public name stands in it, with its parameters and an example."""

import inspect
from pathlib import Path

import pytest

import repinv
import repinv_cnn
from repinv import inverters

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "api" / "index.rst"
NAMES = [
    f"{module.__name__}.{name}"
    for module in (repinv, repinv_cnn, inverters)
    for name in module.__all__
    if not inspect.ismodule(getattr(module, name))
]
#: No docstring, no summary, sections out of order or unknown, parameters of other names or order,
#: and no example. Results list what they hold as attributes, not as parameters.
validate = pytest.importorskip("numpydoc.validate", reason="needs numpydoc").validate
CHECKS = {"GL03", "GL06", "GL07", "GL08", "SS01", "PR02", "PR03", "PR10", "EX01"}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented_with_an_example(name):
    faults = [fault for fault in validate(name)["errors"] if fault[0] in CHECKS]
    assert not faults


def test_every_public_name_stands_in_the_reference():
    if not REFERENCE.exists():
        pytest.skip("needs the checkout: docs/ is not beside tests/")
    listed = set(REFERENCE.read_text().split())
    missing = [name for name in NAMES if name.rpartition(".")[2] not in listed]
    assert not missing
