"""Systems other than Unix."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_systems_without_the_modules_of_unix(tmp_path):
    """Windows: the package is imported, memory is known, files are written, leftovers stay."""
    code = """if True:
        import os, psutil, sys
        from pathlib import Path
        sys.modules["fcntl"] = sys.modules["resource"] = None
        del os.sysconf
        read = Path.read_text
        def absent(path, *arguments, **options):
            if str(path).startswith(("/proc", "/sys")):
                raise FileNotFoundError(path)
            return read(path, *arguments, **options)
        Path.read_text = absent
        from smash_gpu.runtime import atomic, memory
        import smash_gpu
        assert memory.available() > 0
        assert memory.taken() > 0
        (Path(sys.argv[1]) / ".left.part").mkdir()
        atomic.remove_leftovers(Path(sys.argv[1]))
        with atomic.written(Path(sys.argv[1]) / "a") as path:
            path.write_text("whole")
        assert sorted(os.listdir(sys.argv[1])) == [".left.part", "a"]
    """
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
