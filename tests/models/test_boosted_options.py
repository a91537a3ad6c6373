"""Options of boosted trees that are refused."""

from __future__ import annotations

import pytest

from smash_gpu import models


def test_early_stopping_of_no_round_or_a_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="early_stopping_rounds=0 must be at least 1"):
        models.Boosted(early_stopping_rounds=0)
    with pytest.raises(ValueError, match="tol=-1.0 must be at least 0, and finite"):
        models.Boosted(tol=-1.0)
    with pytest.raises(TypeError, match="tol=True must be a number"):
        models.Boosted(tol=True)
    with pytest.raises(ValueError, match="n_estimators=0 must be at least 1"):
        models.Boosted(n_estimators=0)
    with pytest.raises(ValueError, match="max_bin=1 must be at least 2"):
        models.Boosted(max_bin=1)
