"""What training needs in memory, and what it says if there is too little."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.parts import N_GENES, SHORT, Witness, options_of, scored

from smash_gpu import models
from smash_gpu.runtime import memory
from smash_gpu.selection import memory_checks


def test_a_forest_whose_cells_do_not_fit_says_what_it_needs_and_the_way_out(data, monkeypatch):
    monkeypatch.setattr(memory, "room", lambda: 100_000)
    message = r"2,000 cells × 60 genes.*GB.*may be used.*max_cells=.*xgboost.*larger memory="
    with memory.limit("900TB"), pytest.raises(MemoryError, match=message):
        scored(data, "rf")


def test_without_a_limit_a_forest_may_take_all_that_is_free(data, monkeypatch):
    needed = models.facts_of("rf").bytes_per_value * 2000 * N_GENES
    monkeypatch.setattr(memory, "room", lambda: needed // 2)
    monkeypatch.setattr(memory, "available", lambda: needed + 1)
    scored(data, "rf")
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(MemoryError, match="may be used"):
        scored(data, "rf")


def test_batches_that_do_not_fit_say_what_they_need_before_a_pass_is_made(data, monkeypatch):
    data = replace(data, batch=pd.Categorical(np.arange(2000) % 2))
    monkeypatch.setattr(type(data), "expression", None)
    needed = memory_checks.BYTES_PER_COMPONENT * 2000 * N_GENES
    monkeypatch.setattr(memory, "available", lambda: needed - 1)
    with pytest.raises(MemoryError, match=r"60 components.*2,000 cells need 0\.01 GB.*may be used.*max_cells="):
        scored(data, "xgboost")


def test_a_model_of_ones_own_that_does_not_read_in_parts_is_given_an_array(data, small_blocks, no_room):
    witness = Witness()
    witness.facts = models.Facts()
    scored(data, witness)
    assert witness.kind is np.ndarray


PEAK = """
import sys
import numpy as np
from scipy import sparse
from smash_gpu.data import shuffle
from smash_gpu.data.dataset import Dataset
from smash_gpu.models import boosted
from smash_gpu.runtime import memory, spill
from smash_gpu.selection import scoring
from smash_gpu.selection.options import Importance

shuffle.BYTES_PER_BLOCK, spill.BYTES_AT_ONCE = 4 * 2**20, 2**20
scoring.SHARE_FOR_EXPRESSION = boosted.SHARE_FOR_BINS = {share}

def data(n_cells, n_genes):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n_cells)
    indices = rng.integers(0, n_genes // 8, (n_cells, 8)) + np.arange(8) * (n_genes // 8)
    indices[:, 0] = group
    values, ends = np.ones(n_cells * 8, np.float32), np.arange(n_cells + 1) * 8
    matrix = sparse.csr_matrix((values, indices.ravel(), ends), (n_cells, n_genes))
    names = np.arange(n_genes).astype(str).astype(object)
    return Dataset(matrix, group, np.array(list("abc"), dtype=object), names, names)

def run(data):
    if sys.argv[1] == "dnn":
        from smash_gpu.models.network import Training
        options = dict(training=Training(max_epochs=2), by_expression=True)
    else:
        options = dict(n_estimators=2, max_depth=3)
    return scoring.importance(data, np.ones(len(data.names), bool), Importance(sys.argv[1], options))

run(data(3000, 800))
large = data(60_000, 800)
before = memory.peak()
found = run(large)
assert found.accuracy[0] > 0.9
print((memory.peak() - before) / (4 * 60_000 * 800))
"""


# else the peak is glibc's more than ours: what it keeps of freed memory depends on the order of the threads
FREED_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "100000", "MALLOC_TRIM_THRESHOLD_": "100000"}


def peak_of(model, share):
    """How much more memory many cells take than few, in units of their expression."""
    code = PEAK.format(share=share)
    done = subprocess.run(
        [sys.executable, "-c", code, model],
        env=os.environ | FREED_AT_ONCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("model", SHORT)
def test_learning_from_a_file_takes_a_fraction_of_the_memory_of_the_expression(model):
    options_of(model)
    assert peak_of(model, share=0) < 0.4


@pytest.mark.slow
def test_learning_in_memory_takes_at_least_the_memory_of_the_expression():
    """The control of the test above."""
    assert peak_of("xgboost", share=1) > 0.8
