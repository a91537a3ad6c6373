"""Bad requests are named."""

from __future__ import annotations

import pytest
from cases.panels import designed

from smash_gpu.annotated.read import read


def test_counts_are_asked_for_where_they_are_needed(adata):
    adata.X = adata.X.log1p()
    data = read(adata, {"groupby": "cell_type", "normalize": False})
    for options in ({"max_transcripts": 10.0}, {"mean_counts": (0, 1)}, {"max_counts": (0, 1)}):
        with pytest.raises(ValueError, match="in counts per cell, but the data are log-normalised"):
            designed(data, n_genes=5, **options)
    assert len(designed(data, n_genes=5).panel) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"include": ["MARKER0"]}, "did you mean"),
        ({"include": ["MARKER0X"], "exclude": ["MARKER0X"]}, "include and exclude both name MARKER0X"),
        ({"n_genes": 0}, "n_genes=0.*at least one gene"),
        ({"mean_counts": (3, 1)}, "no number lies between"),
        ({"mean_counts": 3}, "give \\(low, high\\)"),
        ({"limits": {"probes": (1, 2)}}, "no column 'probes'"),
        ({"tau": 0}, "tau=0.*must be above 0"),
        ({"sample_fraction": 70}, "not a percentage"),
        ({"variation": 10}, "variation=10 must be a fraction from 0 to 1"),
        ({"variation": True}, "variation=True must be a number"),
        ({"variation_target": "total"}, "variation_target='total' says what variation= is of; pass variation="),
        ({"variation": "nope"}, "variation='nope' must be a number"),
        ({"variation_target": "pca"}, "variation_target='pca' is not one of pc, total"),
        ({"class_weights": {"A": -1}}, "not negative"),
        ({"min_markers": {"fine": 1}}, "not a label column"),
        ({"ignore": "A"}, "is a string"),
        ({"n_gene": 3}, "a panel has no option 'n_gene'. Did you mean 'n_genes'"),
    ],
)
def test_complaints_name_the_thing(data, options, message):
    with pytest.raises((ValueError, KeyError, TypeError), match=message):
        designed(data, **{"n_genes": 5, **options})
