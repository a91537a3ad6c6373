"""The first two minutes on a GPU: what is new is checked and timed, each part in a process of its own.

On a node with a GPU, from the root of a checkout: ``python -m benchmarks gpu_first_look --seconds 120 --logs logs``.
It prints some lines per part and keeps the rest in files; a part that fails or lasts too long does not stop the others.
Lines of benchmarks are appended to ``--json``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import record

SHOWN = 12  # lines of each part
START = """if True:
    import os, sys, tempfile, time
    if sys.argv[1:]:
        os.environ["CUPY_CACHE_DIR"] = tempfile.mkdtemp()
    start = time.perf_counter()
    import cupy, numpy, smash_gpu as smg
    cupy.zeros(1)
    print(f"imports and context {time.perf_counter() - start:.2f} s")
    from cupy.cuda import compiler
    from smash_gpu.annotated.read import read
    from smash_gpu.compute import pca
    from smash_gpu.data.splits import stratified
    from smash_gpu.selection import steps
    from smash_gpu.selection.options import Filters, InversePCA
    spent, compile_one = [], compiler._compile_using_nvrtc_no_warning
    def compiling(*a):
        start = time.perf_counter()
        try:
            return compile_one(*a)
        finally:
            spent.append(time.perf_counter() - start)
    compiler._compile_using_nvrtc_no_warning = compiling
    def timed(name, run):
        spent.clear()
        start = time.perf_counter()
        found = run()
        cupy.cuda.runtime.deviceSynchronize()
        seconds = time.perf_counter() - start
        print(f"{name} {seconds:.2f} s, {len(spent)} kernels compiled in {sum(spent):.2f} s")
        return found
    data = read(smg.datasets.planted(n_cells=2000), {"groupby": "cell_type", "device": "cuda"})
    timed("sums and value checks", lambda: data.stats)
    candidates, _ = timed("filters", lambda: steps.filter_genes(data, Filters(families=())))
    timed("expression", lambda: data.expression(numpy.arange(40)))
    timed("split of a million cells", lambda: stratified(numpy.random.default_rng(0).integers(0, 30, 10**6)))
    fits, pca.fits_cuml = pca.fits_cuml, lambda *_: False
    timed("inverse PCA by moments", lambda: steps.inverse_pca(data, candidates, InversePCA()))
    pca.fits_cuml = fits
    timed("inverse PCA by cuML, with its import", lambda: steps.inverse_pca(data, candidates, InversePCA()))
"""
PCA = """if True:
    import time, cupy
    from smash_gpu.compute import pca
    for n, m in ((100_000, 1300), (100_000, 4000)):
        e = cupy.random.default_rng(0).gamma(1.0, 1.0, (n, m)).astype(cupy.float32)
        e[:, :50] += e[:, 50:100]
        e[:, 100:200] *= e[:, :1]
        by = {
            "cuML": lambda: pca.inverse_pca_of_cells(e),
            "moments": lambda: pca.inverse_pca((z := pca.standardised(e)).T @ z / n),
        }
        kept = []
        for name, run in by.items():
            run()
            cupy.cuda.runtime.deviceSynchronize()
            start = time.perf_counter()
            kept.append(run())
            print(f"{n} cells x {m} genes, {name}: {time.perf_counter() - start:.2f} s, {kept[-1].sum()} genes")
        print("the same genes:", bool((kept[0] == kept[1]).all()))
"""
PYTEST = ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider")


def main(arguments: list[str]) -> None:
    """Run all parts while there is time."""
    options = record.parser("gpu_first_look")
    options.set_defaults(json=record.RESULTS / "gpu.jsonl")
    options.add_argument("--seconds", type=float, default=120.0, help="for all parts together")
    options.add_argument("--logs", type=Path, default=Path("logs"), help="folder for what the parts print")
    options = options.parse_args(arguments)
    options.logs.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.seconds
    for name, command in parts(options).items():
        left = end - time.monotonic()
        print(f"## {name}", "" if left > 0 else "(left out: no time)", flush=True)
        if left > 0:
            print(*ran(name, command, left, options.logs)[-SHOWN:], sep="\n", flush=True)


def parts(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """The arguments of Python by the name of the part."""
    stream = ("-m", "benchmarks", "gpu", "--cells", "--json", str(options.json), "--stream-model", "xgboost")
    stream += ("--max-cells", "50000")
    return {
        "check": ("-m", "smash_gpu.cli", "check"),
        "start on a new machine": ("-c", START, "with nothing compiled"),
        "start again": ("-c", START),
        "pca": ("-c", PCA),
        "determinism": (*PYTEST, "tests/device_path"),
        "cluster": (
            *PYTEST,
            "tests/test_gpu_cluster.py",
            "tests/cli/test_check.py",
            "tests/models/test_attribution.py",
        ),
        "host": (*stream, "--host", "1000000", "--distinct", "500000"),
        "files": (*stream, "--h5ad", "100000", "--zarr", "100000", "--distinct", "100000"),
    }


def ran(name: str, command: tuple[str, ...], seconds: float, logs: Path) -> list[str]:
    """What a part printed, and how it ended."""
    log, start = logs / f"{name.replace(' ', '_')}.log", time.monotonic()
    with log.open("w") as file:
        try:
            code = subprocess.run(
                [sys.executable, *command], stdout=file, stderr=subprocess.STDOUT, timeout=seconds, check=False
            ).returncode
            ended = f"exit code {code}"
        except subprocess.TimeoutExpired:
            ended = "stopped: no time left"
    return [*log.read_text().splitlines(), f"{ended}, {time.monotonic() - start:.0f} s"]
