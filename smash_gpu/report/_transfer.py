"""The page of a tissue whose cells were named by lists of genes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from smash_gpu import get, pl
from smash_gpu.annotated import slots
from smash_gpu.evaluation.transfer import ALL, SCORE
from smash_gpu.pl._confusion import drawn as confusion_drawn
from smash_gpu.report._evaluation import CLASSIFIERS, PAIRS
from smash_gpu.report._figures import Figure, drawn
from smash_gpu.report._options import given
from smash_gpu.report._render import render
from smash_gpu.report._results import changed
from smash_gpu.report._tables import table

METRICS = {
    "genes": "list", "n_used": "genes", "classifier": "classifier", SCORE: "balanced accuracy",
    "random": "random panels", "ceiling": ALL, "relative": "between the two", "accuracy": "accuracy",
    "f1_macro": "macro F1",
}  # fmt: skip
GROUPS = {
    "class": "class", "cells": "cells", "recall": "recall", "ceiling": f"recall by {ALL}", "precision": "precision",
    "f1": "F1",
}  # fmt: skip
MAPS = {"predicted": "class by the list", "true": "class by the labels", "error": "right, wrong, or not judged"}


def transfer_page(adata: AnnData, title: str | None, key: str, *, figures: bool, basis: str) -> str:
    """The text of the HTML file that `write_transfer` writes."""
    metrics = get.transfer(adata, key=key)
    counts, groups = get.transfer(adata, "confusion", key=key), get.transfer(adata, "groups", key=key)
    groups.insert(3, "ceiling", get.transfer(adata, "groups", genes=ALL, key=key)["recall"])
    options, first = slots.recorded(adata, key, "transfer"), metrics[metrics["genes"] == metrics["genes"].iloc[0]]
    shown = first.loc[first["n_genes"].idxmax()].to_dict()
    which = f"List: {shown['genes']}, {shown['n_used']} genes"
    judged = metrics.assign(classifier=metrics["classifier"].replace(CLASSIFIERS))
    return render(
        "transfer.html",
        title=title or f"{options['groupby']} in a tissue, named by lists of genes",
        key={"cells": adata.n_obs, "cells judged": int(counts.to_numpy().sum()), "genes in both": options["n_shared"]},
        changed=changed(adata, {"transfer": (key, slots.TRANSFERRED)}),
        first=shown,
        which=which,
        classifier=CLASSIFIERS.get(shown["classifier"], shown["classifier"]),
        not_judged=[str(sentence) for sentence in slots.held(adata, "not_judged", key, "tl.transfer")],
        tables={
            "metrics": table("Lists between random panels and all measured genes", judged, METRICS, digits=3),
            "groups": table(f"Classes. {which}", _classes(groups), GROUPS, digits=3),
            "confused": table(f"Classes that are confused most. {which}", *_confused(counts), digits=3),
        },
        figures=_figures(adata, counts, basis, key) if figures else {},
        maps=MAPS,
        options=given(options),
    )


def _classes(groups: pd.DataFrame) -> pd.DataFrame:
    """All classes; those without a cell in the tissue say that they are not judged, at the end."""
    absent = groups["cells"] == 0
    named = groups.assign(**{"class": groups["class"] + np.where(absent, " (not judged: no cell)", "")})
    named.loc[absent, ["recall", "ceiling", "precision", "f1"]] = np.nan
    return pd.concat([named[~absent], named[absent]])


def _confused(counts: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The largest entries off the diagonal: classes, share of the true class, cells."""
    share = counts.to_numpy() / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(share, 0)
    largest = [at for at in np.argsort(-share, axis=None, kind="stable")[:PAIRS] if share.flat[at] > 0]
    row, column = np.unravel_index(np.array(largest, dtype=int), share.shape)
    worst = pd.DataFrame({"true class": counts.index[row], "named": counts.columns[column]})
    worst = worst.assign(**{"share of the true class": share[row, column], "cells": counts.to_numpy()[row, column]})
    return worst, {name: name for name in worst}


def _figures(adata: AnnData, counts: pd.DataFrame, basis: str, key: str) -> dict[str, Figure]:
    seen = (counts.sum(axis=1) > 0).to_numpy() | (counts.sum(axis=0) > 0).to_numpy()
    made: dict[str, Any] = {"confusion": drawn(confusion_drawn(counts.loc[seen, seen]))}
    if basis in adata.obsm:
        made |= {color: drawn(pl.transfer_map(adata, color, basis=basis, key=key)) for color in MAPS}
    return made
