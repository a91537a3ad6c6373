"""The number of cores, also on systems that do not say which of them a process may use."""

import os

import anndata as ad
import numpy as np
import pandas as pd
import psutil
import pytest
from cells import REPOSITORY
from scipy import sparse

import smash_gpu as smg
from smash_gpu.compute.cores import cores, idle_cores


def test_without_a_word_of_the_system_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cores() == os.cpu_count()


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_panel_of_many_genes_needs_no_word_of_the_system(rng, monkeypatch):
    n_cells, n_genes = 90, 600  # in parts of 256 genes, by threads
    group = np.arange(n_cells) % 3
    counts = rng.poisson(1.0, (n_cells, n_genes))
    counts[:, :3] += 20 * np.eye(3, dtype=int)[group]
    obs = pd.DataFrame({"cell_type": np.array(list("abc"))[group]}, index=[f"c{i}" for i in range(n_cells)])
    var = pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])
    adata = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)
    panels = []
    for _ in range(2):
        smg.tl.panel(adata, "cell_type", n_genes=10)
        panels.append(smg.get.panel(adata))
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert list(panels[0]) == list(panels[1])
    assert {"g0", "g1", "g2"} <= set(panels[0])


def test_cores_that_others_use_are_not_idle(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 3}, raising=False)
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: [100.0, 3.0, 0.0, 20.0])
    assert idle_cores() == 2
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: [100.0] * 4)
    assert idle_cores() == 1


def test_no_other_file_asks_the_system():
    for folder in ("smash_gpu", "benchmarks"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert path.name == "cores.py" or "sched_getaffinity" not in path.read_text(), path
