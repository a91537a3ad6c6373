"""Selections, and their way through a file."""

from __future__ import annotations

import numpy as np
import pandas as pd

import smash_gpu as smg

FEW_TREES = {"n_estimators": 10}
GROUPS = ("NK/T", "CD4+ T", "B (naïve) / plasma", "γδ T")


def smash(adata, groupby="cell_type", **options):
    smg.tl.smash(adata, groupby, **{"model_options": FEW_TREES} | options)


def assert_same(found, expected):
    """Equal values, whatever the library that holds them became in the file."""
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, check_categorical=False)
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
