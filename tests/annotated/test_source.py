"""Where a step reads: options in its signature, or those of the earlier step."""

import inspect

import numpy as np
import pytest

import smash_gpu as smg
from smash_gpu.annotated import slots
from smash_gpu.annotated.source import EARLIER, Source
from smash_gpu.evaluation import Judging, Splitting
from smash_gpu.panel import Request
from smash_gpu.selection.options import Filters, Importance, InversePCA, Ranking

FIRST = (smg.pp.filter_genes, smg.tl.smash, smg.tl.panel)
LATER = (
    smg.tl.importance, smg.tl.rank_markers, smg.tl.evaluate, smg.tl.stability, smg.tl.nsforest_metrics,
    smg.tl.spapros_metrics,
)  # fmt: skip
NAMES = ("layer", "use_raw", "normalize", "gene_symbols", "min_cells", "sample_key", "batch_key", "device")
ONE_PLACE = {
    smg.pp.filter_genes: (Filters,),
    smg.pp.inverse_pca: (InversePCA,),
    smg.tl.importance: (Importance,),
    smg.tl.rank_markers: (Ranking,),
    smg.tl.smash: (Importance, Ranking),
    smg.tl.panel: (Request,),
    smg.tl.evaluate: (Judging, Splitting),
}


def defaults(function):
    return {name: p.default for name, p in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("function", [*FIRST, *LATER], ids=lambda f: f.__name__)
def test_every_option_of_the_source_is_in_the_signature(function):
    found = defaults(function)
    expected = {name: getattr(Source, name) if function in FIRST else EARLIER for name in NAMES}
    assert {name: found[name] for name in NAMES} == expected
    assert found["memory"] is None


@pytest.mark.parametrize("function", ONE_PLACE, ids=lambda f: f.__name__)
def test_defaults_are_those_of_the_dataclass(function):
    found = defaults(function)
    for kind in ONE_PLACE[function]:
        for name, value in vars(kind()).items():
            if name in found and name != "n_genes":
                empty = (found[name] is None or found[name] is False) and not value or name.endswith("_counts")
                assert empty or found[name] == value, name


@pytest.fixture
def noted():
    adata = smg.datasets.planted()
    adata.layers["counts"] = adata.X
    adata.X = adata.X * np.float32(0)
    smg.pp.filter_genes(adata, "cell_type", layer="counts", sample_key="sample")
    return adata


def test_all_options_are_noted_also_those_that_were_left_out(noted):
    found = slots.recorded(noted, "smash")
    assert found == {"groupby": "cell_type"} | vars(Source(layer="counts", sample_key="sample"))


def test_options_left_out_are_taken_from_the_earlier_step(noted):
    assert slots.source(noted, "smash")["layer"] == "counts"
    smg.tl.importance(noted, "cell_type", model_options={"n_estimators": 5})
    assert slots.recorded(noted, "smash")["layer"] == "counts"
    assert slots.recorded(noted, "smash")["sample_key"] == "sample"


def test_a_given_option_replaces_the_earlier_one_also_none(noted):
    assert slots.source(noted, "smash", sample_key=None)["sample_key"] is None
    assert slots.source(noted, "smash", layer=None)["layer"] is None
    smg.tl.importance(noted, "cell_type", sample_key=None, model_options={"n_estimators": 5})
    assert slots.recorded(noted, "smash")["sample_key"] is None


def test_without_an_earlier_step_the_defaults_hold():
    found = slots.source(smg.datasets.planted(), "smash", groupby="cell_type")
    assert found == {"groupby": "cell_type"} | vars(Source())


@pytest.mark.parametrize("function", LATER[:1] + LATER[2:], ids=lambda f: f.__name__)
def test_a_path_is_answered_with_what_to_do(function):
    options = {"genes": ["a"]} if "genes" in defaults(function) else {}
    with pytest.raises(TypeError, match=r"AnnData is needed, not str\. Read a file by smash_gpu\.read"):
        function("cells.h5ad", "cell_type", **options)


def test_memory_holds_for_one_call(noted):
    from smash_gpu.runtime import memory

    before = memory.room()
    with pytest.raises(ValueError, match="memory='1MB'"):
        smg.tl.stability(noted, "cell_type", choose=lambda cells, n: cells.var_names[:n], memory="1MB")
    assert memory.room() > before / 2
