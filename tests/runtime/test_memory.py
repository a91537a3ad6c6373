"""Limits of memory, and what is free."""

from __future__ import annotations

import errno
import sys
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from smash_gpu.runtime import memory as runtime_memory


@pytest.mark.parametrize(
    ("memory", "expected"),
    [("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("500M", 500 * 10**6), ("64kB", 64_000), (12, 12), ("7", 7)],
)
def test_amounts_of_memory(memory, expected):
    assert runtime_memory.n_bytes(memory) == expected


@pytest.mark.parametrize("memory", ["much", "-1GB", "8 XB", "", "0", "GB"])
def test_an_amount_that_cannot_be_parsed(memory):
    with pytest.raises(ValueError, match="cannot parse memory="):
        runtime_memory.n_bytes(memory)


def test_room_is_what_is_left_below_the_limit():
    """About: the system may take other pages of the process away meanwhile."""
    with runtime_memory.limit("64GB"):
        before = runtime_memory.room()
        held = np.ones(200_000_000, dtype=np.uint8)
        assert before - runtime_memory.room() == pytest.approx(held.nbytes, rel=0.5)


def test_a_limit_holds_inside_only_and_none_leaves_the_outer_one():
    free = runtime_memory.room()
    with runtime_memory.limit("900TB"), runtime_memory.limit(None):
        assert runtime_memory.room() > free * 100
    assert runtime_memory.room() < free * 100


def test_a_limit_below_what_the_process_uses_is_refused():
    with (
        pytest.raises(ValueError, match=r"too low: the process already uses \d.* MB and needs at least 67 MB more"),
        runtime_memory.limit("1MB"),
    ):
        pass


def test_what_is_free_is_less_than_what_is_there_and_more_than_nothing():
    assert 0 < runtime_memory.available() <= psutil.virtual_memory().total
    before = runtime_memory.taken()
    held = np.ones(100_000_000, dtype=np.uint8)
    assert runtime_memory.taken() - before == pytest.approx(held.nbytes, rel=0.2)
    assert runtime_memory.taken() <= runtime_memory.peak() * 1.01


def test_the_peak_stays_when_memory_is_given_back():
    held = np.ones(200_000_000, dtype=np.uint8)
    most = runtime_memory.taken()
    del held
    assert runtime_memory.peak() >= most - 2**20
    assert runtime_memory.taken() < most - 100_000_000


def test_the_peak_comes_from_windows_where_it_has_one_and_else_from_the_system(monkeypatch, tmp_path):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(runtime_memory, "OWN_STATUS", tmp_path / "absent")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert runtime_memory.peak() == pytest.approx(most, rel=0.01)
    now = SimpleNamespace(rss=5, peak_wset=7)
    monkeypatch.setattr("psutil.Process.memory_info", lambda _: now)
    assert (runtime_memory.taken(), runtime_memory.peak()) == (5, 7)


def test_the_least_room_where_the_system_cannot_be_asked(monkeypatch):
    def fails(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("psutil.virtual_memory", fails)
    assert runtime_memory.room() == runtime_memory.LEAST_ROOM


def write_group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def one_group(most, used, cached):
    """Files of a control group of version 2."""
    stat = f"anon 5\nfile {cached}\ninactive_file {cached // 2}\nactive_file {cached - cached // 2}\n"
    return {"memory.max": f"{most}\n", "memory.current": f"{used}\n", "memory.stat": stat}


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """An empty tree of control groups; a function that says in which this process is."""
    monkeypatch.setattr(runtime_memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(runtime_memory, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**50))
    return (tmp_path / "own").write_text


def test_the_page_cache_of_a_container_is_free(cgroups, tmp_path):
    cgroups("0::/\n")
    write_group(tmp_path, one_group(10**9, 990_000_000, 900_000_000))
    assert runtime_memory.available() == 910_000_000
    assert runtime_memory.room() == 455_000_000


@pytest.mark.parametrize(("inner", "outer", "expected"), [(8, 5, 4), (3, 5, 2), ("max", 5, 4), (3, "max", 2)])
def test_the_least_of_a_container_and_those_that_hold_it(cgroups, tmp_path, inner, outer, expected):
    cgroups("1:cpu:/elsewhere\n0::/job/step\n")
    write_group(tmp_path / "job", one_group(outer, 1, 0))
    write_group(tmp_path / "job" / "step", one_group(inner, 1, 0))
    assert runtime_memory.available() == expected


def test_a_container_of_the_first_version(cgroups, tmp_path):
    cgroups("4:cpu,memory:/docker/a\n1:name=systemd:/\n")
    stat = "inactive_file 1\nactive_file 1\ntotal_inactive_file 300\ntotal_active_file 400\n"
    used = {"memory.usage_in_bytes": "900\n", "memory.stat": stat}
    write_group(tmp_path / "memory" / "docker" / "a", {"memory.limit_in_bytes": "1000\n"} | used)
    write_group(tmp_path / "memory", {"memory.limit_in_bytes": f"{2**63 - 4096}\n"} | used)
    assert runtime_memory.available() == 800


def test_a_full_container_leaves_the_least_room(cgroups, tmp_path):
    cgroups("0::/\n")
    write_group(tmp_path, one_group(10**9, 10**9, 0))
    assert runtime_memory.available() == 0
    assert runtime_memory.room() == runtime_memory.LEAST_ROOM


def test_a_group_that_cannot_be_seen_from_inside_is_passed_over(cgroups, tmp_path):
    cgroups("0::/../../of/the/host\n")
    write_group(tmp_path, one_group(1000, 400, 100))
    assert runtime_memory.available() == 700
