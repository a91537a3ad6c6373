"""Kernels are compiled once per machine: CuPy keeps them on disk, by source, architecture and versions.

And each for one type of values and indices: another one on the way would be compiled as well.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from cases.device import on

from smash_gpu.compute import cuda
from smash_gpu.selection import steps
from smash_gpu.selection.options import Filters, InversePCA


def test_a_selection_needs_one_instance_of_each_kernel(device, data, monkeypatch):
    launched, launch = [], cuda.launch
    monkeypatch.setattr(cuda, "launch", lambda *what: launched.append(what[:2]) or launch(*what))
    gpu = on(data, "cuda")
    filtered, _ = steps.filter_genes(gpu, Filters(families=()))
    candidates, _ = steps.inverse_pca(gpu, filtered, InversePCA(n_top=3, variance=0.3))
    gpu.expression(np.flatnonzero(candidates))
    assert set(launched) == {(path.stem, ("float", "int")) for path in cuda.SOURCES.glob("*.cu")}


@pytest.mark.contract
def test_cupy_keeps_compiled_kernels_for_the_next_process(tmp_path):
    """NVRTC needs no device, only loading does, which is left out here."""
    script = """if True:
        from types import SimpleNamespace
        from cupy.cuda import compiler
        from smash_gpu.compute import cuda
        class Module:
            load = lambda self, _: None
            _set_mapping = lambda self, names: setattr(self, "mapping", names)
        compiler.function = SimpleNamespace(Module=Module)
        compiler._get_arch_for_options_for_nvrtc = lambda arch=None: ("-arch=sm_90", "cubin")
        compiled, compile_one = [], compiler._compile_using_nvrtc_no_warning
        compiler._compile_using_nvrtc_no_warning = lambda *a: compiled.append(a) or compile_one(*a)
        for path in cuda.SOURCES.glob("*.cu"):
            name = (f"{path.stem}<float, int>",)
            options = {"arch": "90", "name_expressions": name}
            compiler._compile_module_with_cache(cuda.source(path.stem), cuda.OPTIONS, **options)
        print(len(compiled))
    """
    where = os.environ | {"CUPY_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    counts = [int(subprocess.run(command, env=where, capture_output=True, text=True, check=True).stdout) for _ in "ab"]
    assert counts == [len(list(cuda.SOURCES.glob("*.cu"))), 0]
