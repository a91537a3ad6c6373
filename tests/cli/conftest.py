"""The command in this process, and a file of cells for it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from smash_gpu import cli
from smash_gpu.models import MODELS


@pytest.fixture
def run(capsys):
    """Runs the command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def few_trees(monkeypatch):
    """Random forests of ten trees, where the command must train many."""
    rf = MODELS["rf"]
    monkeypatch.setitem(MODELS, "rf", replace(rf, create=partial(rf.create, n_estimators=10)))


@pytest.fixture
def data(adata, tmp_path):
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path
