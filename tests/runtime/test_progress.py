"""How much is said: progress bars, lines at the end of a call, and the setting for both."""

from __future__ import annotations

import io
import logging

import pytest

import smash_gpu as smg
from smash_gpu.runtime import progress


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    logger = logging.getLogger("smash_gpu")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()
    yield
    logger.manager._clear_cache()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def bar(monkeypatch):
    """What a terminal shows of three steps."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0)
    assert list(progress.track([1, 2, 3], "counting", unit="sheep")) == [1, 2, 3]
    return shown.getvalue()


def test_the_levels_are_those_of_scanpy():
    scanpy = pytest.importorskip("scanpy")
    assert smg.settings.verbosity == 2
    for name in ("error", "warning", "info", "hint", "debug"):
        smg.settings.verbosity = name
        assert (
            smg.settings.verbosity.name == name
            and repr(smg.settings) == f"verbosity = {smg.settings.verbosity:d} ({name})"
        )
    for number in range(5):
        for value in (number, str(number)):
            smg.settings.verbosity = "debug" if number == 0 else "error"
            smg.settings.verbosity = value
            assert smg.settings.verbosity == number
    smg.settings.verbosity = scanpy.settings.verbosity
    assert smg.settings.verbosity == int(scanpy.settings.verbosity)


@pytest.mark.parametrize("wrong", [5, -1, "inf", 2.5, "5", "-1"])
def test_another_level_is_an_error(wrong):
    said = "is not one of error, warning, info, hint, debug.* A number from 0 to 4 is a level, too"
    with pytest.raises(ValueError, match=said):
        smg.settings.verbosity = wrong
    assert smg.settings.verbosity == 2


def test_a_level_of_the_logger_is_one_of_ours():
    for level, name in {logging.CRITICAL: "error", logging.ERROR: "error", 25: "warning", 7: "debug"}.items():
        logging.getLogger("smash_gpu").setLevel(level)
        assert smg.settings.verbosity.name == name


def test_bars_are_shown_from_info_on(monkeypatch):
    assert "counting" in bar(monkeypatch)
    smg.settings.verbosity = "warning"
    assert bar(monkeypatch) == ""


def test_bars_stay_where_lines_do_not(monkeypatch, caplog):
    with progress.without_lines():
        progress.say("a line")
        assert "counting" in bar(monkeypatch)
    progress.say("another")
    assert [record.getMessage() for record in caplog.records] == ["another"]
