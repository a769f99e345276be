"""Modules of the extra 'study', imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

#: Installs everything that is imported here.
INSTALL = "pip install 'repinv[study]'"


def needed(module: str) -> Any:
    """Import a module of the extra 'study'.

    Raises
    ------
    ValueError
        If it is not installed: what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"studies need {module.partition('.')[0]}, which is missing ({error}). {INSTALL}"
        ) from error
