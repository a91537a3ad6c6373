"""The script of a first look runs its parts one after the other, whatever they do."""

from __future__ import annotations

import ast

from cells import REPOSITORY

from benchmarks import gpu_first_look


def run(monkeypatch, capsys, tmp_path, parts, seconds):
    monkeypatch.setattr(gpu_first_look, "parts", lambda _: parts)
    gpu_first_look.main(["--seconds", str(seconds), "--logs", str(tmp_path)])
    return capsys.readouterr().out.splitlines()


def test_a_part_that_fails_does_not_stop_the_others(monkeypatch, capsys, tmp_path):
    parts = {"wrong": ("-c", "import no_such_module"), "right": ("-c", "print('done')")}
    said = run(monkeypatch, capsys, tmp_path, parts, 60)
    assert any("No module named 'no_such_module'" in line for line in said)
    assert any(line.startswith("exit code 1") for line in said)
    assert said[-2] == "done" and said[-1].startswith("exit code 0")
    assert (tmp_path / "right.log").read_text() == "done\n"


def test_it_ends_in_time(monkeypatch, capsys, tmp_path):
    parts = {"long": ("-c", "import time; time.sleep(60)"), "next": ("-c", "print('done')")}
    said = run(monkeypatch, capsys, tmp_path, parts, 0.5)
    assert said[1].startswith("stopped: no time left")
    assert said[-1] == "## next (left out: no time)"


def test_what_it_runs_is_there(tmp_path):
    from benchmarks import gpu, record

    options = record.parser("x").parse_args([])
    for command in gpu_first_look.parts(options).values():
        if command[0] == "-c":
            ast.parse(command[1])
        assert all((REPOSITORY / word).exists() for word in command if word.startswith("tests/"))
        if "benchmarks" in command:
            gpu.parse(list(command[3:]))
