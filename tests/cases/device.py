"""Data for a device."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace


def on(data, device):
    return replace(data, device=device)


def library(**has):
    """A module that is installed."""
    return SimpleNamespace(__spec__=object(), __version__="9.0", **has)


def libraries_of_a_device():
    """The libraries that compute on a device, as far as one looks whether they can."""
    return {
        "torch": library(cuda=library(is_available=lambda: True, is_initialized=lambda: False)),
        "xgboost": library(build_info=lambda: {"USE_CUDA": True}),
        "cuml": library(),
        "rapids_singlecell": library(),
    }
