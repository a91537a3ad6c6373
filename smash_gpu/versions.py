"""Which versions of the packages that decide a result are installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("smash-gpu", "anndata", "numpy", "scikit-learn", "imbalanced-learn", "xgboost-cpu", "xgboost", "torch")


def installed() -> dict[str, str]:
    """Version of every one of `PACKAGES` that is installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
