"""What the exit code of a command says; the numbers stay the same from version to version."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    NO = 1
    WRONG = 2
    INFEASIBLE = 3
    FAULT = 4


MEANING = {
    ExitCode.DONE: "done",
    ExitCode.NO: "done, and the answer is no: a list that does not pass, no GPU that can be used",
    ExitCode.WRONG: "an option, a file or the installation is wrong; the message says what to do",
    ExitCode.INFEASIBLE: "no panel meets the constraints; the message names those in the way",
    ExitCode.FAULT: "a fault of smash-gpu itself; please report it with the lines on standard error",
}


def in_words() -> str:
    """One line per exit code, for ``--help``."""
    return "\n".join(["exit codes:", *(f"  {code.value}  {meaning}" for code, meaning in MEANING.items())])
