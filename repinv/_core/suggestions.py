"""'Did you mean': the names most similar to one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: Names that are offered at most, and the similarity of `difflib` from which one is.
_MOST, _CUTOFF = 3, 0.6


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the names most similar to a wrong one, or all names.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        The names that exist. Of dotted names, 'family.flavour', the family counts as well.

    Examples
    --------
    >>> did_you_mean("wieght", ["weight", "beta"])
    'Did you mean weight?'
    >>> did_you_mean("hgo", ["hog.vlfeat", "hog.dpm", "bovw"])
    'Did you mean hog.vlfeat or hog.dpm?'
    >>> did_you_mean("x", ["weight", "beta"])
    'There are weight, beta.'
    """
    names, wanted = list(known), name.lower()
    near = _similar(wanted, names) if "." in wanted else []
    if not near:
        family = wanted.split(".")[0]
        families = _similar(family, dict.fromkeys(known.split(".")[0] for known in names))
        families = [family] if family in families else families
        near = [known for one in families for known in names if known.split(".")[0] == one]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if not names:
        return "There are none."
    return f"There {'is' if len(names) == 1 else 'are'} {', '.join(names)}."


def _similar(wanted: str, names: Iterable[str]) -> list[str]:
    """The most similar names, the best first."""
    return difflib.get_close_matches(wanted, list(names), n=_MOST, cutoff=_CUTOFF)
