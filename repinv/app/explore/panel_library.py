"""Panel, imported when the page is made."""

from __future__ import annotations

import importlib
from typing import Any

#: Installs it.
INSTALL = "pip install 'repinv[explore]'"


def needed() -> Any:
    """Import Panel.

    Raises
    ------
    ValueError
        If it is not installed: what to install.
    """
    try:
        return importlib.import_module("panel")
    except ImportError as error:
        raise ValueError(f"the page needs panel, which is missing ({error}). {INSTALL}") from error
