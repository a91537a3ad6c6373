"""Kill -9 at any moment, a full disk, a damaged or changed file: run again, and the markers are those of a calm run.

The command itself runs in processes of its own, on a file whose matrix is left on disk as a large one's is.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pytest
import separate
from cells import planted
from separate import WAIT

from smash_gpu import cli
from smash_gpu.io import open

ROOT = Path(__file__).resolve().parents[1]
STAGES = [
    "class statistics",
    "candidates after the inverse PCA",
    "scores of rf, seed 0",
    "scores of rf, seed 1",
    "detections per sample",
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PARTIAL = "*/.*.part"


class Calm(NamedTuple):
    markers: bytes
    seconds: float


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "cells.h5ad"
    planted(np.random.default_rng(0), n_cells=1500, n_genes=60).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def calm(data, started, tmp_path_factory):
    """The markers of an undisturbed run without a work folder, and how long it takes."""
    out, began = tmp_path_factory.mktemp("calm"), time.monotonic()
    assert finished(started(data, None, out))[0] == 0
    return Calm((out / "markers.csv").read_bytes(), time.monotonic() - began)


def arguments(data, work=None, out=None, more=()):
    found = ["find", data, "--groupby", "cell_type", "--sample-key", "sample", "--n-models", "2", "--inverse-pca"]
    found += ["--no-figures", *more]
    return [*map(str, found), *(["--work", str(work)] if work else []), *(["--out", str(out)] if out else [])]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Starts the command in a process of its own; none outlives the tests."""
    said, runs = tmp_path_factory.mktemp("said"), []

    def start(*given):
        runs.append(separate.start(arguments(*given), said / str(len(runs))))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def finished(run):
    """Exit code, names of the stages that were found, of those that were kept, and what stood on standard error."""
    code, out, error = run.finish()
    lines = out.splitlines()
    found = [line.partition(": ")[2].rpartition(" (")[0] for line in lines if line.startswith("found in ")]
    return code, found, [line.partition(": ")[2] for line in lines if line.startswith("kept: ")], error


def stages(work):
    """When each finished stage was written, by its path."""
    return {path: path.stat().st_mtime_ns for path in work.glob("*/*.npz")}


def killed(run, when):
    """Kill the process as soon as ``when()`` is true; whether it was still running."""
    until = time.monotonic() + WAIT
    while not (run.is_over() or when()):
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.0002)
    return run.kill()


@pytest.mark.slow
def test_killed_while_and_after_stages_are_written(data, calm, started, tmp_path):
    """Every second kill comes when a partial file is seen, so that its stage is often not there afterwards."""
    work, out = tmp_path / "work", tmp_path / "out"
    while len(before := stages(work)) < len(STAGES):
        n_before, in_the_middle = len(before), len(before) % 2 == 0 and not any(work.glob(PARTIAL))
        killed(started(data, work), lambda n=n_before, p=in_the_middle: is_written(work, n, partial=p))
        assert before.items() <= stages(work).items(), "a finished stage was written again"
    before = stages(work)
    code, found, kept, _ = finished(started(data, work, out))
    assert (code, found, kept) == (0, STAGES, [])
    assert stages(work) == before
    assert (out / "markers.csv").read_bytes() == calm.markers


def is_written(work, n_before, *, partial):
    return len(stages(work)) > n_before or (partial and any(work.glob(PARTIAL)))


@pytest.mark.slow
def test_killed_at_random_moments(data, calm, started, tmp_path):
    work, out = tmp_path / "work", tmp_path / "out"
    seed = time.time_ns()
    rng = random.Random(seed)
    for _ in range(12):
        before, ends = stages(work), time.monotonic() + rng.uniform(0, 1) * calm.seconds
        killed(started(data, work), lambda ends=ends: time.monotonic() > ends)
        assert before.items() <= stages(work).items(), seed
    done = len(stages(work))
    code, found, kept, _ = finished(started(data, work, out))
    assert (code, found + kept, len(found)) == (0, STAGES, done), seed
    assert (out / "markers.csv").read_bytes() == calm.markers, seed


@pytest.mark.slow
def test_killed_while_a_matrix_stored_by_genes_is_converted(data, calm, started, tmp_path):
    adata, work, out = ad.read_h5ad(data), tmp_path / "work", tmp_path / "out"
    by_genes = tmp_path / "by_genes.h5ad"
    ad.AnnData(adata.X.tocsc(), obs=adata.obs, var=adata.var).write_h5ad(by_genes)
    killed(started(by_genes, work), lambda: any(work.glob("*/.by-cells-*")) or any(work.glob("*/by-cells-*")))
    before = stages(work)
    code, found, kept, error = finished(started(by_genes, work, out))
    assert (code, found + kept) == (0, STAGES), error
    assert len(found) == len(before)
    assert (out / "markers.csv").read_bytes() == calm.markers
    assert len(list(work.glob("*/by-cells-*"))) == 1


@pytest.mark.slow
def test_two_runs_at_once_and_one_is_killed(data, calm, started, tmp_path):
    work, outs = tmp_path / "work", [tmp_path / "a", tmp_path / "b"]
    both = [started(data, work, out) for out in outs]
    third = started(data, work)
    assert killed(third, lambda: is_written(work, 0, partial=True))
    for process, out in zip(both, outs, strict=True):
        code, found, kept, error = finished(process)
        assert code == 0, error
        assert sorted(found + kept) == sorted(STAGES)
        assert (out / "markers.csv").read_bytes() == calm.markers
    assert len(stages(work)) == len(STAGES)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(data, calm, tmp_path):
    """A file system of its own, too small for the first stage; then it is given room."""
    disk, outs = tmp_path / "disk", [tmp_path / "full", tmp_path / "roomy"]
    disk.mkdir()
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here; a full disk is also in data/test_stages_of_a_run.py")
    script = f"""
        disk=$1; shift
        mount -t tmpfs -o size=8k none "$disk"
        "$@" --out {outs[0]} && echo "ended, leaving"; find "$disk" -type f
        mount -o remount,size=8m "$disk"
        "$@" --out {outs[1]} && echo "ended, leaving"; find "$disk" -type f
        mkdir "$disk/out" && mount -t tmpfs -o size=4k none "$disk/out"
        "$@" --out "$disk/out" || echo "tables not written: $?"
    """
    command = [sys.executable, "-c", separate.ON_DISK, *arguments(data, disk)]
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", disk, *command],
        capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=WAIT, check=True,
    )  # fmt: skip
    full, between, after = ran.stdout.split("ended, leaving")
    assert "tables not written: 2" in after
    assert f"MB are free in {disk / 'out'}" in ran.stderr
    assert "make room, and the same command continues from --work" in ran.stderr
    assert "class-statistics" in ran.stderr
    assert "cannot keep" in ran.stderr
    assert "No space left on device" in ran.stderr
    assert "MB are free" in ran.stderr
    assert "kept: class statistics" not in full
    assert ".part" not in ran.stdout
    assert "kept: class statistics" in between
    assert after.count(".npz") == len(STAGES)
    for out in outs:
        assert (out / "markers.csv").read_bytes() == calm.markers


@pytest.mark.slow
def test_a_file_changed_while_it_is_read_is_an_error_and_its_stage_is_not_kept(data, started, tmp_path):
    copy, work = shutil.copy(data, tmp_path / "copy.h5ad"), tmp_path / "work"
    process = started(copy, work)
    until = time.monotonic() + WAIT
    while not stages(work):
        assert time.monotonic() < until
    os.truncate(copy, copy.stat().st_size + 8)
    code, _, kept, error = finished(process)
    assert code == 2
    assert f"{copy} changed while it was read" in error
    assert "bytes before" in error
    assert "Traceback" not in error
    assert len(stages(work)) == len(kept) < len(STAGES)


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the command in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(open, "BYTES_IN_MEMORY", 0)

    def call(*given, **options):
        code = cli.main(arguments(*given, **options))
        return code, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_a_file_changed_between_runs_gets_stages_of_its_own_and_a_note(run, data, tmp_path):
    copy, work = shutil.copy(data, tmp_path / "copy.h5ad"), tmp_path / "work"
    assert run(copy, work)[0] == 0
    before = stages(work)
    adata = ad.read_h5ad(copy)
    adata.X[0, 0] += 1
    adata.write_h5ad(copy)
    code, out, error = run(copy, work)
    assert code == 0
    assert "found in" not in out
    assert f"{work} holds stages of copy.h5ad as of " in error
    assert "The current data differ from these" in error
    assert before.items() <= stages(work).items()
    assert len(stages(work)) == 2 * len(before)


@pytest.mark.slow
def test_other_parameters_make_only_the_later_stages_anew(run, data, tmp_path):
    work = tmp_path / "work"

    def kept(*more):
        code, out, _ = run(data, work, more=more)
        assert code == 0
        return [line.partition(": ")[2] for line in out.splitlines() if line.startswith("kept: ")]

    assert kept() == STAGES
    assert kept("--n-top", "3", "--positive-only") == []
    assert kept("--n-models", "3") == ["scores of rf, seed 2"]
    assert kept("--random-state", "1") == []
    assert kept("--model", "xgboost", "--n-models", "1") == ["scores of xgboost, seed 0"]
    excluded = tmp_path / "excluded.txt"
    excluded.write_text("NOISE20\n")
    assert kept("--exclude", str(excluded)) == STAGES[1:]


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_h5ad_is_said_to_be_one(run, data, tmp_path, share):
    cut = shutil.copy(data, tmp_path / "cut.h5ad")
    os.truncate(cut, int(cut.stat().st_size * share))
    code, _, error = run(cut, tmp_path / "work")
    assert code == 2
    assert str(cut) in error
    assert "truncated" in error
    assert "Traceback" not in error
