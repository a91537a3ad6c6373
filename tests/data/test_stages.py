"""A folder of finished stages: what is found again, and what is never taken for a stage."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from smash_gpu.data.stages import Work
from smash_gpu.runtime import atomic

STAGE = {
    "sums": np.arange(12.0).reshape(3, 4),
    "mask": np.array([True, False]),
    "n": np.array(7),
    "names": np.array(["α", "b"]),
    "none": np.zeros((0, 3), dtype=np.float32),
}


@pytest.fixture
def work(tmp_path, told):
    return Work(tmp_path / "work", told.append).on(np.ones((2, 3)), lambda: "0123456789abcdef")


class Computed:
    """A stage, and how often it was computed."""

    def __init__(self, stage=STAGE):
        self.stage, self.times = stage, 0

    def __call__(self):
        self.times += 1
        return self.stage


def only_file(work):
    (path,) = work.folder.glob("*.npz")
    return path


def same(stage, other=STAGE):
    assert stage.keys() == other.keys()
    for name, array in other.items():
        assert (stage[name].dtype, stage[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(stage[name], array)
    return True


def test_a_stage_is_computed_once_and_comes_back_bit_for_bit(work, told):
    compute = Computed()
    for _ in range(3):
        assert same(work.kept("sums of π", {"a": 1}, compute))
    assert compute.times == 1
    assert [(one.stage, one.found) for one in told] == [("sums of π", False), ("sums of π", True), ("sums of π", True)]
    assert told[0].made.replace(microsecond=0) == told[1].made
    assert only_file(work).name.startswith("sums-of-")
    with np.load(only_file(work), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["sums"], STAGE["sums"])


@pytest.mark.parametrize(
    "other",
    [
        {"a": 2}, {"a": 1.5}, {"a": None}, {"a": "1"}, {"a": (1,)}, {"b": 1}, {"a": 1, "b": None}, {"a": np.array([1])},
        {"a": np.array([1.0])}, {"a": np.array([[1]])}, {"a": np.array(["1"], dtype=object)}, {"a": {"a": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_every_other_parameter_makes_another_stage(work, other):
    first, second = Computed(), Computed({"other": np.ones(2)})
    work.kept("stage", {"a": 1}, first)
    assert "other" in work.kept("stage", other, second)
    assert same(work.kept("stage", {"a": 1}, first))
    assert (first.times, second.times) == (1, 1)


@pytest.mark.filterwarnings("ignore:.*holds stages of")
def test_names_versions_and_data_make_other_stages(work, monkeypatch):
    compute = Computed()
    work.kept("stage", {}, compute)
    work.kept("another", {}, compute)
    other = Work(work.folder.parent).on(np.ones((2, 3)), lambda: "fedcba9876543210")
    other.kept("stage", {}, compute)
    other.kept("stage", {}, compute)
    assert compute.times == 3
    monkeypatch.setattr("smash_gpu.runtime.versions.installed", lambda: {"numpy": "0"})
    work.kept("stage", {}, compute)
    assert compute.times == 4


def test_numpy_numbers_and_order_of_parameters_do_not_matter(work):
    compute = Computed()
    work.kept("stage", {"a": 1, "b": [0.1]}, compute)
    work.kept("stage", {"b": (np.float64(0.1),), "a": np.int64(1)}, compute)
    assert compute.times == 1


def test_a_parameter_that_no_file_can_hold_is_an_error_and_none_is_not_kept(work):
    with pytest.raises(TypeError, match="cannot name a stage after a parameter of type object"):
        work.kept("stage", {"a": object()}, Computed())
    assert same(work.kept("stage", None, Computed()))
    assert not list(work.folder.glob("*.npz"))


def test_without_a_folder_everything_is_computed(tmp_path):
    compute = Computed()
    for _ in range(2):
        Work().on(np.ones((2, 2)), pytest.fail).kept("stage", {}, compute)
    assert compute.times == 2


def test_objects_are_not_kept(work):
    with pytest.raises(ValueError, match="object arrays cannot be kept .*: a"):
        work.kept("stage", {}, Computed({"a": np.array([object()])}))
    assert not list(work.folder.glob("*.npz"))
    assert not list(work.folder.glob(".*"))


def test_a_truncated_stage_is_recomputed_at_every_length(work):
    compute = Computed()
    work.kept("stage", {}, compute)
    path = only_file(work)
    content = path.read_bytes()
    lengths = sorted({*range(0, len(content), 97), len(content) - 1, len(content) - 22})
    for times, length in enumerate(lengths, start=2):
        path.write_bytes(content[:length])
        with pytest.warns(UserWarning, match="ignoring .*; its stage is recomputed"):
            assert same(work.kept("stage", {}, compute))
        assert compute.times == times
    work.kept("stage", {}, compute)
    assert compute.times == len(lengths) + 1


def test_a_damaged_stage_is_recomputed_or_its_values_are_right(work, recwarn):
    """Each byte in turn: those that say when the file was written, or how, need not be noticed."""
    compute = Computed()
    work.kept("stage", {}, compute)
    path = only_file(work)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        assert same(work.kept("stage", {}, compute))
    assert compute.times > len(content) / 7 / 3


def test_a_stage_under_the_name_of_another_is_not_taken_for_it(work):
    first, second = Computed(), Computed({"other": np.ones(2)})
    work.kept("stage", {"a": 1}, first)
    one = only_file(work)
    work.kept("stage", {"a": 2}, second)
    (other,) = set(work.folder.glob("*.npz")) - {one}
    other.write_bytes(one.read_bytes())
    with pytest.warns(UserWarning, match="it holds another stage"):
        assert "other" in work.kept("stage", {"a": 2}, second)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "mkdir", "write"])
def test_a_stage_that_cannot_be_written_is_not_lost(work, told, monkeypatch, code, call):
    def fails(*_, **__):
        raise OSError(code, os.strerror(code))

    target = {"fsync": "os.fsync", "mkdir": "os.mkdir", "write": "zipfile._ZipWriteFile.write"}[call]
    with monkeypatch.context() as patch:
        patch.setattr(target, fails)
        with pytest.warns(UserWarning, match=r"cannot keep .*: it needs 0\.0 MB, .* MB free") as warned:
            assert same(work.kept("stage", {}, Computed()))
    assert os.strerror(code) in str(warned[0].message)
    assert told == []
    assert [path.name for path in work.folder.iterdir()] == ["data.txt"]
    compute = Computed()
    work.kept("stage", {}, compute)
    work.kept("stage", {}, compute)
    assert compute.times == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_stops_the_writing_leaves_nothing(work, monkeypatch, stop):
    def stops(*_):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", stops)
        with pytest.raises(stop):
            work.kept("stage", {}, Computed())
    assert [path.name for path in work.folder.iterdir()] == ["data.txt"]


def test_a_file_is_seen_when_it_is_whole_only(tmp_path):
    path = tmp_path / "file"
    with atomic.written(path) as partial:
        partial.write_bytes(b"half")
        assert not path.exists()
        partial.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    with pytest.raises(ZeroDivisionError), atomic.written(path) as partial:
        partial.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from smash_gpu.runtime import atomic\n"
        "with atomic.written(Path(sys.argv[1]) / sys.argv[2]) as partial:\n"
        "    partial.write_bytes(b'half'); print('now', flush=True); time.sleep(60)"
    )
    both = {
        name: subprocess.Popen([sys.executable, "-c", script, tmp_path, name], stdout=subprocess.PIPE)
        for name in ("dead", "living")
    }
    for process in both.values():
        assert process.stdout.readline()
    both["dead"].kill()
    both["dead"].wait()
    atomic.remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "a writer has a minute to lock what it has made"
    for partial in tmp_path.iterdir():
        os.utime(partial, (time.time() - 100,) * 2)
    atomic.remove_leftovers(tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".living.")
    both["living"].kill()
    both["living"].communicate()


def test_a_note_when_the_folder_is_for_other_data(tmp_path, recwarn):
    folder = tmp_path / "work"
    first = Work(folder, data="cells.h5ad").on(np.ones((2, 3)), lambda: "a" * 64)
    first.on(np.ones((2, 3)), lambda: "ignored")
    Work(folder).on(np.ones((2, 3)), lambda: "a" * 64)
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"stages of cells\.h5ad as of .*2 cells × 3 genes.*existing files are kept"):
        Work(folder).on(np.ones((4, 3)), lambda: "b" * 64)
    (folder / ("a" * 16) / "data.txt").write_bytes(b"\xff")
    with pytest.warns(UserWarning, match="holds stages of data as of"):
        Work(folder).on(np.ones((4, 3)), lambda: "c" * 64)


def test_the_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Work(tmp_path / "file" / "work").on(np.ones((2, 2)), lambda: "a" * 64)
