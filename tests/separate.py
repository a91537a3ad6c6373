"""The command in a process of its own that can be killed, forked from one that has imported what it imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from typing import NamedTuple

ON_DISK = """
import sys
from smash_gpu import cli
from smash_gpu.io import open
open.BYTES_IN_MEMORY = 0
sys.exit(cli.main(sys.argv[1:]))
"""
WAIT = 60


class Run(NamedTuple):
    process: multiprocessing.Process
    said: Path

    def is_over(self):
        return not self.process.is_alive()

    def kill(self):
        """Whether it was still running."""
        self.process.kill()
        self.process.join(WAIT)
        return self.process.exitcode < 0

    def finish(self):
        """Exit code, standard output, standard error."""
        self.process.join(WAIT)
        return self.process.exitcode, *(self.said.with_suffix(end).read_text() for end in (".out", ".err"))


def start(arguments, said):
    """Start the command on data that are left on disk; what it says goes to two files named after ``said``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["smash_gpu.cli", "smash_gpu.models.forest", "sklearn.ensemble", "scipy.stats"])
    process = context.Process(target=_run, args=([str(a) for a in arguments], said))
    process.start()
    return Run(process, said)


def _run(arguments, said):
    for number, end in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(said.with_suffix(end), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv[1:] = arguments
    exec(ON_DISK)
