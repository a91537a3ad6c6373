"""Memory as a budget."""

import numpy as np
import pytest

from smash_gpu import budget


@pytest.mark.parametrize(
    ("memory", "expected"),
    [("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("500M", 500 * 10**6), ("64kB", 64_000), (12, 12), ("7", 7)],
)
def test_amounts_of_memory(memory, expected):
    assert budget.n_bytes(memory) == expected


@pytest.mark.parametrize("memory", ["much", "-1GB", "8 XB", "", "0", "GB"])
def test_what_is_no_amount_of_memory(memory):
    with pytest.raises(ValueError, match="no amount of memory"):
        budget.n_bytes(memory)


def test_room_is_what_is_left_below_the_limit():
    with budget.limit("64GB"):
        before = budget.room()
        held = np.ones(50_000_000, dtype=np.uint8)
        assert before - budget.room() == pytest.approx(held.nbytes, rel=0.2)


def test_a_limit_holds_inside_only_and_none_leaves_the_outer_one():
    free = budget.room()
    with budget.limit("900TB"), budget.limit(None):
        assert budget.room() > free * 100
    assert budget.room() < free * 100


def test_a_limit_below_what_the_program_has_is_refused():
    with pytest.raises(ValueError, match="before it reads anything"), budget.limit("1MB"):
        pass


def test_what_is_free_is_less_than_what_is_there_and_more_than_nothing():
    assert 0 < budget.available() < 2**50
    assert 0 < budget.taken() <= budget.peak() * 1.01
