"""Print the oldest versions that setup.cfg claims to work with, as constraints for pip.

    python scripts/oldest.py >oldest.txt
    python -m pip install --constraint oldest.txt --editable '.[test]'

Every lower bound `name>=version` becomes `name==version`. `make test-oldest` runs the suite with
them. The script needs nothing but Python, since it runs before anything is installed.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.cfg"
#: Dependencies of dependencies whose newest release makes the oldest versions warn; in the tests
#: warnings are errors. Matplotlib 3.9 calls what pyparsing 3.3 deprecates.
COMPANIONS = ("pyparsing<3.3",)


def oldest(setup: str) -> list[str]:
    """Pin the lower bounds of install_requires and of every extra, sorted by name.

    Where two groups give one name different bounds, the greater one is pinned: both have to hold.
    """
    parser = configparser.ConfigParser()
    parser.read_string(setup)
    groups = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    pins: dict[str, str] = {}
    for line in "\n".join(groups).splitlines():
        requirement = line.strip()
        if not requirement:
            continue
        found = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?\s*>=\s*(\d[\d.]*)(?:,.*)?", requirement)
        if found is None:
            raise ValueError(
                f"expected name>=version, which tells the oldest version; got {requirement!r}. "
                "Give it a lower bound in setup.cfg."
            )
        name, version = found.groups()
        pins[name] = max(version, pins.get(name, version), key=_release)
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare by."""
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    try:
        print(*oldest(SETUP.read_text(encoding="utf-8")), *COMPANIONS, sep="\n")
    except ValueError as error:
        sys.exit(f"{SETUP.name}: {error}")
