"""Damaged files and stores end in cells or in a sentence with the name of the file: no crash, no hang."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import REPOSITORY, TESTS

from smash_gpu.io import visit
from smash_gpu.io.open import open_file

pytestmark = pytest.mark.skipif(not visit.CAN_FORK, reason="files are visited in a forked process")
SECONDS_PER_FILE = 10

DAMAGE = """
import json, os, shutil, sys, warnings
from pathlib import Path
import numpy as np
import smash_gpu as smg
from smash_gpu.io.open import open_file

folder, suffix, first, last, lazily = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
warnings.simplefilter("ignore")
adata = smg.datasets.planted()[:60, :25].copy()
adata.layers["counts"] = adata.X.copy()
adata.uns["notes"] = {"a": 1, "b": "text", "c": np.arange(5)}
whole = folder / f"whole.{suffix}"
adata.write_h5ad(whole, compression="gzip") if suffix == "h5ad" else adata.write_zarr(whole)
files = [whole] if suffix == "h5ad" else sorted(p for p in whole.rglob("*") if p.is_file() and p.stat().st_size)


def damaged(data, rng):
    data = bytearray(data)
    size, at, other = int(2 ** rng.integers(0, 9)), *map(int, rng.integers(len(data), size=2))
    kind = rng.integers(4)
    if kind == 0:
        for place in rng.integers(len(data), size=rng.integers(1, 6)):
            data[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[at : at + size] = bytes(len(data[at : at + size]))
    elif kind == 2:
        data[at : at + size] = data[other : other + len(data[at : at + size])]
    else:
        del data[at:]
    return bytes(data)


def processor_seconds():
    return sum(os.times()[:4])  # with ended children: a busy machine takes longer


for seed in range(first, last):
    rng = np.random.default_rng(seed)
    path, file = folder / f"cells{seed}.{suffix}", files[rng.integers(len(files))]
    shutil.copy(whole, path) if suffix == "h5ad" else shutil.copytree(whole, path)
    (path / file.relative_to(whole) if suffix == "zarr" else path).write_bytes(damaged(file.read_bytes(), rng))
    print(json.dumps({"seed": seed}), flush=True)
    start, said = processor_seconds(), ""
    try:
        open_file(path, lazily=bool(lazily))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps({"seed": seed, "seconds": processor_seconds() - start, "said": said}), flush=True)
    path.unlink() if suffix == "h5ad" else shutil.rmtree(path)
"""


def opened(folder: Path, suffix: str, lazily: bool, seeds: range) -> list[dict]:
    """What happens to a damaged file of each seed, in a process of its own."""
    path = os.pathsep.join([str(REPOSITORY), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", DAMAGE, folder, suffix, seeds.start, seeds.stop, int(lazily)]
    ended = subprocess.run(
        list(map(str, command)), env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, f"{lines[-1:]} ended the process with {ended.returncode}: {ended.stderr[-1000:]}"
    return [line for line in lines if "said" in line]


def judge(found: list[dict], suffix: str, n_files: int) -> None:
    assert len(found) == n_files
    for line in found:
        assert line["seconds"] < SECONDS_PER_FILE, line
        if line["said"]:
            assert f"cells{line['seed']}.{suffix}" in line["said"], line
            assert "damaged" in line["said"] or "cannot be read" in line["said"], line
    assert any(line["said"] for line in found), "nothing was damaged"
    assert any(not line["said"] for line in found), "nothing could be opened"


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_some_damaged_files_are_opened_or_named(tmp_path, suffix):
    judge(opened(tmp_path, suffix, False, range(40)), suffix, 40)


@pytest.mark.slow
@pytest.mark.parametrize("lazily", [False, True], ids=["in memory", "on disk"])
@pytest.mark.parametrize(("suffix", "n_files"), [("h5ad", 400), ("zarr", 100)])
def test_a_thousand_damaged_files_are_opened_or_named(tmp_path, suffix, n_files, lazily):
    judge(opened(tmp_path, suffix, lazily, range(1000, 1000 + n_files)), suffix, n_files)


def test_a_visit_that_crashes_or_does_not_end_is_damage(monkeypatch):
    monkeypatch.setattr(visit, "PROCESSOR_SECONDS_PER_OBJECT", 0.1)
    assert "SIGABRT" in visit._in_a_child(lambda say: os.abort())
    assert "does not end" in visit._in_a_child(lambda say: all(itertools.count(1)))
    assert visit._in_a_child(lambda say: None) == ""
    assert visit._in_a_child(lambda say: say("/X claims too much")) == "/X claims too much"


def test_a_visit_that_waits_for_the_machine_blames_nobody(monkeypatch):
    monkeypatch.setattr(visit, "SECONDS_AT_MOST", 0.3)
    assert visit._in_a_child(lambda say: time.sleep(60)) == ""


def test_a_long_visit_is_left_before_its_end_and_blames_nobody(monkeypatch):
    monkeypatch.setattr(visit, "SECONDS", 0.2)
    monkeypatch.setattr(visit, "PROCESSOR_SECONDS_PER_OBJECT", 0.1)
    assert visit._in_a_child(lambda say: list(visit._for_a_while(itertools.count()))) == ""


def test_the_processor_time_is_that_of_one_object(monkeypatch):
    """Many objects together may take longer."""
    monkeypatch.setattr(visit, "PROCESSOR_SECONDS_PER_OBJECT", 0.2)

    def busy():
        for _ in range(5):
            start = time.process_time()
            while time.process_time() - start < 0.08:
                pass
            yield 1

    assert visit._in_a_child(lambda say: say(str(len(list(visit._for_a_while(busy())))))) == "5"


def test_a_file_is_visited_once_until_it_changes(adata, tmp_path, monkeypatch):
    path, visits = tmp_path / "cells.h5ad", []
    adata.write_h5ad(path)
    right = visit._in_a_child
    monkeypatch.setattr(visit, "_in_a_child", lambda life: visits.append(1) or right(life))
    open_file(path)
    open_file(path, lazily=True)
    assert len(visits) == 1
    adata[:50].write_h5ad(path)
    open_file(path)
    assert len(visits) == 2


def test_a_file_with_a_loop_of_links_is_read(adata, tmp_path):
    import h5py

    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["uns/loop"] = file["uns"]
        file["elsewhere"] = h5py.ExternalLink("nowhere.h5", "/X")
    assert visit._problem(path, path.stat().st_size, 0) == ""
