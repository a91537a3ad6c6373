"""Which versions of the packages that decide a result are installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "smash-gpu", "anndata", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "harmonypy", "xgboost-cpu", "xgboost",
    "torch", "cupy-cuda13x", "cupy-cuda12x", "cuml-cu13", "cuml-cu12", "rapids-singlecell-cu13",
    "rapids-singlecell-cu12",
)  # fmt: skip


def installed() -> dict[str, str]:
    """Version of every one of `PACKAGES` that is installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
