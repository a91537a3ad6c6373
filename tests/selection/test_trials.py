"""A search begins with the defaults, repeats itself with one seed, and goes on where it was stopped."""

from __future__ import annotations

import sqlite3

import pytest

from smash_gpu.models.search import Choice, Range, changed, defaults
from smash_gpu.selection.trials import Budget, Kept, best, options_of, search

pytest.importorskip("optuna", reason="tuning needs Optuna: pip install 'smash-gpu[tune]'")

SPACE = {"depth": Range(1, 9, 4), "rate": Range(0.01, 1.0, 0.1, log=True), "kind": Choice(None, "a", 2)}
FEW = {"depth": Choice(3, None), "kind": Choice("sqrt", 0.5, True)}


class Judge:
    """The value falls with the distance from depth 7; counts its calls."""

    def __init__(self, *, fails=(), stops_at=None):
        self.calls, self.fails, self.stops_at = [], fails, stops_at

    def __call__(self, options):
        if len(self.calls) == self.stops_at:
            raise KeyboardInterrupt
        self.calls.append(options)
        if len(self.calls) - 1 in self.fails:
            raise MemoryError("no room for it")
        return 1 - abs(options["depth"] - 7) / 10 - options.get("rate", 0) / 100


def searched(judge, n_trials, *, space=SPACE, file=None, seed=3, timeout=None):
    return search(space, judge, Budget(n_trials, timeout), random_state=seed, kept=Kept(file))


def test_the_first_trial_has_the_defaults_and_all_are_in_the_space():
    judge = Judge()
    table = searched(judge, 12)
    assert judge.calls[0] == defaults(SPACE) == {"depth": 4, "rate": 0.1, "kind": None}
    assert table["number"].tolist() == list(range(12))
    assert [options_of(row) for _, row in table.iterrows()] == judge.calls
    for options in judge.calls:
        assert options["kind"] in (None, "a", 2)
        assert type(options["depth"]) is int and 1 <= options["depth"] <= 9
        assert 0.01 <= options["rate"] <= 1
    assert best(table)["value"] == table["value"].max() >= table["value"][0]


def test_one_seed_makes_the_same_trials_and_another_one_others():
    one, same, other = (Judge() for _ in range(3))
    searched(one, 6), searched(same, 6), searched(other, 6, seed=4)
    assert one.calls == same.calls
    assert one.calls[0] == other.calls[0] and one.calls[1:] != other.calls[1:]


def test_the_search_comes_closer_than_chance():
    """TPE learns: of the last ten of forty trials most are near the best depth; of random ones a third would be."""
    judge = Judge()
    searched(judge, 40)
    assert sum(abs(options["depth"] - 7) <= 1 for options in judge.calls[-10:]) >= 6


def test_few_combinations_are_each_tried_once_with_the_defaults_first():
    judge = Judge(fails=range(6))
    with pytest.raises(RuntimeError, match=r"all 6 trials failed\. The first: MemoryError: no room for it"):
        searched(judge, 20, space=FEW)
    assert judge.calls[0] == {"depth": 3, "kind": "sqrt"}
    assert len({str(options) for options in judge.calls}) == len(judge.calls) == 6


@pytest.mark.parametrize(
    "stops_at", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_stopped_search_goes_on_with_the_trials_of_a_calm_one(tmp_path, stops_at):
    file, calm = tmp_path / "trials.sqlite", Judge()
    expected = searched(calm, 6)
    stopped, later, again = Judge(stops_at=stops_at), Judge(), Judge()
    with pytest.raises(KeyboardInterrupt):
        searched(stopped, 6, file=file)
    table = searched(later, 6, file=file)
    assert stopped.calls + later.calls == calm.calls
    assert table.drop(columns="seconds").equals(expected.drop(columns="seconds"))
    assert searched(again, 6, file=file).equals(table) and not again.calls
    more = searched(again, 8, file=file)
    assert len(again.calls) == 2 and more[:6].equals(table)


@pytest.mark.slow
def test_trials_that_are_kept_beyond_the_number_asked_for_do_not_count(tmp_path):
    judge, file = Judge(), tmp_path / "trials.sqlite"
    first = searched(judge, 2, file=file)
    assert len(searched(judge, 6, file=file)) == 6
    assert searched(judge, 2, file=file).equals(first) and len(judge.calls) == 6


def test_a_trial_that_fails_is_noted_and_passed_over():
    table = searched(Judge(fails=[0, 2]), 4)
    assert table["error"].tolist() == ["MemoryError: no room for it", "", "MemoryError: no room for it", ""]
    assert table["value"].isna().tolist() == [True, False, True, False]
    assert best(table)["number"] in (1, 3)


def test_an_error_of_another_kind_is_not_taken_for_a_bad_trial():
    def judge(_):
        raise AttributeError("a fault of the model")

    with pytest.raises(AttributeError, match="a fault of the model"):
        searched(judge, 3)


def test_no_trial_begins_after_the_timeout_and_one_is_always_made():
    judge = Judge()
    assert len(searched(judge, 10, timeout=1e-9)) == len(judge.calls) == 1


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "trials.sqlite"
    file.write_bytes(b"this is no database, and long enough to be seen as none" * 20)
    with pytest.raises(OSError, match=r"the trials in .*trials\.sqlite cannot be read or written"):
        searched(Judge(), 2, file=file)


def test_the_file_is_optunas_and_closed_afterwards(tmp_path):
    import optuna

    file = tmp_path / "trials.sqlite"
    searched(Judge(), 3, file=file)
    connection = sqlite3.connect(file)
    assert connection.execute("select count(*) from trials").fetchone() == (3,)
    connection.close()
    assert len(optuna.load_study(study_name="smash-gpu", storage=f"sqlite:///{file}").trials) == 3


def test_optuna_says_nothing_of_its_own(capsys, caplog):
    searched(Judge(fails=[1]), 3)
    assert not caplog.records
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.parametrize(("n_trials", "timeout"), [(0, None), (3, 0), (3, -1.0)])
def test_a_budget_of_nothing_is_refused(n_trials, timeout):
    with pytest.raises(ValueError, match="n_trials=0 must be at least 1|timeout=.* must be a positive number"):
        Budget(n_trials, timeout)


def test_only_what_is_not_the_default_is_given_to_a_model():
    assert changed({"depth": 4, "rate": 0.2, "kind": None}, SPACE) == {"rate": 0.2}


def test_a_number_of_trials_that_is_not_whole_is_refused():
    with pytest.raises(TypeError, match=r"n_trials=2\.5 must be a whole number"):
        Budget(2.5)
