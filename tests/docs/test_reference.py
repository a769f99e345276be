"""The reference: every public name stands in it, with its parameters and an example."""

import inspect
from pathlib import Path

import pytest

import repinv
import repinv_cnn
from repinv import inverters

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "api"
NAMES = [
    f"{module.__name__}.{name}"
    for module in (repinv, repinv_cnn, inverters)
    for name in module.__all__
    if not inspect.ismodule(getattr(module, name))
]
validate = pytest.importorskip("numpydoc.validate", reason="needs numpydoc").validate
#: Sections out of order or unknown; parameters of other names or order, without type or
#: description.
CHECKS = {"GL03", "GL06", "GL07", "SS01", "PR02", "PR03", "PR04", "PR07", "PR09", "PR10"}
#: No docstring, undocumented parameters, no returns or no word on them, no example, nothing to see
#: also. Not asked of methods, which mostly are those of a protocol that is documented once.
MORE = {"GL08", "PR01", "RT01", "RT03", "EX01", "SA01", "SA02", "SA03", "SA04"}


def methods(name):
    """Public methods of a class, by their whole names; of an encoder, but those of `Encoder`."""
    package, _, short = name.rpartition(".")
    one = getattr({m.__name__: m for m in (repinv, repinv_cnn, inverters)}[package], short)
    if not inspect.isclass(one):
        return []
    kinds = (classmethod, staticmethod, type(methods))
    family = [base for base in one.__mro__ if base.__module__.startswith("repinv")]
    family = [base for base in family if base is one or base is not repinv.Encoder]
    return [
        f"{name}.{key}"
        for key in dict.fromkeys(key for base in family for key in vars(base))
        if isinstance(inspect.getattr_static(one, key), kinds) and not key.startswith("_")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented_with_an_example(name):
    found = validate(name)
    # Results list what they hold as attributes, not as parameters.
    spared = {"PR01"} if "Attributes\n" in found["docstring"] else set()
    assert not [fault for fault in found["errors"] if fault[0] in (CHECKS | MORE) - spared]


@pytest.mark.parametrize("name", [one for name in NAMES for one in methods(name)])
def test_every_public_method_is_documented_as_numpydoc_asks(name):
    assert not [fault for fault in validate(name)["errors"] if fault[0] in CHECKS]


def test_every_public_name_stands_in_the_reference():
    if not REFERENCE.exists():
        pytest.skip("needs the checkout: docs/ is not beside tests/")
    listed = {word for page in REFERENCE.glob("*.rst") for word in page.read_text().split()}
    missing = [name for name in NAMES if name.rpartition(".")[2] not in listed]
    assert not missing
