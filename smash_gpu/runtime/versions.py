"""Which versions of packages are installed."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (  # those that decide a result
    "smash-gpu", "anndata", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "harmonypy", "xgboost-cpu", "xgboost",
    "torch", "cupy-cuda13x", "cupy-cuda12x", "cuml-cu13", "cuml-cu12", "rapids-singlecell-cu13",
    "rapids-singlecell-cu12",
)  # fmt: skip
__version__ = version("smash-gpu")
OTHERS = ("dask", "h5py", "numcodecs", "optuna", "pandas", "scanpy", "shap", "zarr")


def installed() -> dict[str, str]:
    """Version of every one of `PACKAGES` that is installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def in_words() -> str:
    """What a bug report should hold: packages, Python, platform; one per line."""
    others = {name: found for name in OTHERS if (found := _version(name))}
    python = {"Python": platform.python_version(), "platform": platform.platform()}
    return "\n".join(f"{name} {found}" for name, found in (installed() | others | python).items())


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
