"""The text of a kernel that is compiled."""

from __future__ import annotations

from smash_gpu.compute import cuda


def test_every_header_is_put_in_place_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "SOURCES", tmp_path)
    texts = {
        "kernel.cu": '#include "first.cuh"\n#include "second.cuh"\nint kernel;\n',
        "first.cuh": '#include "second.cuh"\nint first;\n',
        "second.cuh": '#include "first.cuh"\n#include <cmath>\nint second;\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    lines = [line for line in cuda.source("kernel").splitlines() if line]
    assert lines == ["#include <cmath>", "int second;", "int first;", "int kernel;"]
