"""Names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def names_from(
    package: str, places: Mapping[str, Collection[str]], modules: Collection[str] = ()
) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``package``.

    Parameters
    ----------
    places
        Names by the module of the package in which they are.
    modules
        Modules of the package that are names themselves.
    """
    module_of = {name: module for module, names in places.items() for name in names}

    def import_name(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return import_name
