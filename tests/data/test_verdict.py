"""What values seem to be, against what they should be: per file or sample, and not over the whole matrix."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from scipy import sparse

from smash_gpu.data.checks import Parts
from smash_gpu.data.known import Known

N_CELLS, N_GENES = 60, 80


def counts(rng, mean=3.0):
    return rng.poisson(mean * rng.uniform(0.5, 2, (N_CELLS, 1)) * rng.uniform(0.2, 3, N_GENES)).astype(float)


def scaled(values, total=1e4):
    return total * values / values.sum(axis=1, keepdims=True)


def corrected(values):
    """As counts purified of ambient RNA in shallow data."""
    return np.minimum(np.where(values > 0, np.maximum(values - 0.4, 0.1), 0), 15)


MAKE = {
    "counts": counts,
    "deep counts": lambda rng: counts(rng, 30),
    "logarithms": lambda rng: np.log1p(scaled(counts(rng))),
    "logarithms of some genes": lambda rng: np.log1p(scaled(counts(rng)))[:, : N_GENES // 4],
    "logarithms to the base 2": lambda rng: np.log2(1 + scaled(counts(rng), 1e6)),
    "TPM": lambda rng: scaled(counts(rng), 1e6),
    "proportions": lambda rng: scaled(counts(rng), 1.0),
    "small corrected counts": lambda rng: corrected(counts(rng)),
    "corrected counts": lambda rng: np.maximum(counts(rng, 30) - 0.4, 0),
    "same depth": lambda rng: rng.multinomial(1000, np.full(N_GENES, 1 / N_GENES), N_CELLS).astype(float),
}


def judged(values, normalize=None, parts=None, elsewhere=None):
    """The error, or else the warnings, of a pass over the values."""
    X = sparse.csr_matrix(values.astype(np.float32))
    known = Known(normalize, parts=parts, **({"elsewhere": elsewhere} if elsewhere else {}))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            known.check(X)
        except ValueError as error:
            return f"refused: {error}"
    return "; ".join(str(one.message) for one in said)


# name: (what is said by default, of normalize=True, of normalize=False)
SAYS = {
    "counts": ("", "", "refused: .*whole numbers only, so it seems to hold raw counts"),
    "deep counts": ("", "", "refused: .*whole numbers only"),
    "same depth": ("", "", "refused: .*whole numbers only"),
    "logarithms": (
        "refused: .*the matrix is log-normalised: expm1 of every cell sums to 10,000. Pass normalize=False",
        "normalize=True is given, but the matrix is log-normalised: expm1 of every cell sums to 10,000", "",
    ),
    "logarithms of some genes": ("refused: .*seems to be log-normalised. Pass normalize=False", "", ""),
    "logarithms to the base 2": ("refused: .*seems to be log-normalised. Pass normalize=False", "", ""),
    "TPM": (
        "every cell of the matrix sums to 1,000,000: scaled values, such as TPM, not raw counts",
        "every cell of the matrix sums to 1,000,000", "refused: .*sums to 1,000,000: scaled.*without a logarithm",
    ),
    "proportions": ("every cell of the matrix sums to 1: scaled", "sums to 1: scaled", "refused: .*sums to 1: scaled"),
    "small corrected counts": (
        "refused: .*no value above 20.*normalize=False if so, normalize=True if these are corrected counts, or layer=",
        "", "",
    ),
    "corrected counts": ("", "", "values above 20, more than logarithms reach"),
}  # fmt: skip


def assert_says(found, expected):
    if expected:
        assert re.match(f".*{expected}" if not expected.startswith("refused") else expected, found), found
    else:
        assert found == ""
    assert found.startswith("refused") == expected.startswith("refused")


@pytest.mark.parametrize("normalize", [None, True, False])
@pytest.mark.parametrize("kind", SAYS)
def test_values_are_told_by_their_cells(rng, kind, normalize):
    expected = SAYS[kind][(None, True, False).index(normalize)]
    assert_says(judged(MAKE[kind](rng), normalize), expected)


def two_parts(rng, first, second, names=("counts.h5ad", "logs.h5ad")):
    values = [MAKE[kind](rng) for kind in (first, second)]
    genes = min(part.shape[1] for part in values)
    return np.vstack([part[:, :genes] for part in values]), Parts(np.repeat([0, 1], N_CELLS), names)


@pytest.mark.parametrize("first", ["counts", "deep counts", "corrected counts"])
def test_one_file_of_logarithms_among_counts_is_refused_and_named(rng, first):
    values, parts = two_parts(rng, first, "logarithms")
    found = judged(values, parts=parts)
    assert found.startswith("refused: raw counts are expected, but logs.h5ad is log-normalised: expm1 of every cell")
    assert "The other 60 cells are not. Counts and logarithms cannot be mixed" in found
    assert "logs.h5ad is log-normalised" in judged(values, True, parts)


def test_one_file_of_logarithms_of_some_genes_is_refused_by_what_its_values_never_are(rng):
    values, parts = two_parts(rng, "deep counts", "logarithms of some genes")
    found = judged(values, parts=parts)
    assert found.startswith(
        "refused: raw counts are expected, but logs.h5ad has fractions and no value above 20, so it"
    )
    assert judged(values, True, parts) == ""


@pytest.mark.parametrize("turn", [False, True])
def test_without_files_or_samples_the_number_of_cells_is_said(rng, turn):
    values, _ = two_parts(rng, "counts", "logarithms")
    assert "but 60 of 120 cells are log-normalised: expm1 of every cell sums to 10,000. The other 60 cells" in judged(
        values[rng.permutation(len(values))] if turn else values
    )
    values, _ = two_parts(rng, "deep counts", "logarithms of some genes")
    assert "but 60 of 120 cells have fractions and no value above 20, so they seem to be log-norm" in judged(values)


def test_counts_among_logarithms_are_refused_and_named(rng):
    values, parts = two_parts(rng, "counts", "logarithms")
    found = judged(values, False, parts)
    assert found.startswith("refused: normalize=False is for log-normalised values, but counts.h5ad has whole numbers")
    assert "60 of 120 cells have whole numbers only" in judged(values, False)


def test_one_scaled_file_is_named(rng):
    values, parts = two_parts(rng, "counts", "TPM", ("a.h5ad", "b.h5ad"))
    assert judged(values, parts=parts).startswith("every cell of b.h5ad sums to 1,000,000")


def test_two_scales_are_both_said(rng):
    values, parts = two_parts(rng, "TPM", "proportions")
    assert judged(values, parts=parts).startswith("every cell of the matrix sums to 1,000,000, 1: scaled values")


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "1 NaN or infinite"), (-1.0, "1 negative")])
def test_the_file_of_a_bad_value_is_named(rng, bad, said):
    values, parts = two_parts(rng, "counts", "counts", ("a.h5ad", "b.h5ad"))
    values[N_CELLS + 3, 5] = bad
    with np.errstate(invalid="ignore"):
        assert f"b.h5ad has {said}" in judged(values, parts=parts)


def test_counts_of_few_cells_that_were_corrected_are_no_logarithms(rng):
    """Purified counts of one cell in a hundred hold fractions, the others none."""
    values = np.vstack([counts(rng, 30) for _ in range(5)])
    values[:2] = corrected(values[:2])
    assert judged(values) == ""


def test_where_the_counts_are_is_said_in_place_of_a_general_way_out(rng):
    def elsewhere(*, logarithms=False):
        return "raw holds logarithms." if logarithms else "adata.raw holds whole numbers: pass use_raw=True."

    found = judged(MAKE["logarithms"](rng), elsewhere=elsewhere)
    assert found.endswith("use_raw=True. Or pass normalize=False to use the logarithms.")
    assert judged(counts(rng) - 1, elsewhere=elsewhere).endswith("raw holds logarithms.")
    assert judged(0 * counts(rng), elsewhere=elsewhere).endswith("only zeros. raw holds logarithms.")


def test_counts_per_cell_are_not_known_for_scaled_values_and_logarithms(rng):
    for kind, normalize, why in (
        ("counts", None, ""),
        ("TPM", None, "sums to 1,000"),
        ("logarithms", False, "log-norm"),
    ):
        X, known = sparse.csr_matrix(MAKE[kind](rng)), Known(normalize)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known.check(X)
        assert why in known.why_no_counts
        assert bool(why) == bool(known.why_no_counts)
