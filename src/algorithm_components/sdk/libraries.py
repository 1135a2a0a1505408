"""Libraries that not every component needs: loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from algorithm_components.sdk.environment import ComponentError


def library(name: str) -> Any:
    """The module, or `ComponentError` that says what to install."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ComponentError(
            f"{package} is not installed where this component runs: add it to its requirements"
        ) from None
