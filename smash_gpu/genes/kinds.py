"""Kinds of features: a table of genes may also hold antibodies, peaks and guides."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ("feature_types", "modality")  # as Cell Ranger, scanpy and muon call them
GENES = ("gene expression", "gex", "rna")


def kinds(var: pd.DataFrame) -> pd.Series | None:
    """The kind of each feature, as categories; None unless there are several and one of them is genes."""
    for name in COLUMNS:
        if name in var:
            found = var[name].astype("category").cat.remove_unused_categories()
            if len(found.cat.categories) > 1 and are_genes(found).any():
                return found
    return None


def are_genes(kinds: pd.Series) -> np.ndarray:
    """Which of the features are genes, however it is spelled; a missing kind is none."""
    spelled = [str(kind).strip().lower().replace("_", " ") for kind in kinds.cat.categories]
    return np.append([kind in GENES for kind in spelled], False)[kinds.cat.codes]
