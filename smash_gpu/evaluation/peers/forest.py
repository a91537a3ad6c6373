"""Spapros' forest_clfs (version 0.1.6): cross-validated boosted trees on the genes of a panel."""

from __future__ import annotations

from typing import Any

import numpy as np

from smash_gpu.evaluation.peers.correlation import THRESHOLD, linear_step
from smash_gpu.runtime.progress import track

N_CELLS_MIN = 40
N_FOLDS = 5
N_SEEDS = 5
N_ROUNDS = 250
MAX_DEPTH = 3
LEARNING_RATE = 0.2
PATIENCE = 5
MAX_SEED = 100_000


def forest_clfs(
    X: Any, group: np.ndarray, *, device: str = "cpu", n_seeds: int = N_SEEDS, random_state: int = 0
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Accuracy of boosted trees in 5-fold cross-validation with five seeds, with equal weight per group.

    Groups with fewer than 40 cells are left out. As in Spapros, early stopping uses the held-out cells, which makes the
    numbers somewhat optimistic; `tl.evaluate` avoids this.

    Parameters
    ----------
    X
        Expression, cells × genes, as CSR: XGBoost treats values that are not stored as missing, not as zero. This is
        also what happens in Spapros with the usual sparse matrices.
    group
        Group code of every cell.

    Returns
    -------
    "forest_clfs accuracy": mean of the diagonal of the confusion matrix (rows sum to one) averaged over folds and
    seeds; "forest_clfs perct acc > 0.8": share of groups above 0.8, on a linear scale from 0.75 (0) to 0.85 (1). Then
    that matrix, and the group code of each of its rows.

    Raises
    ------
    ValueError
        If fewer than two groups have 40 cells.
    """
    from sklearn.model_selection import StratifiedKFold

    sizes = np.bincount(group)
    large = np.flatnonzero(sizes >= N_CELLS_MIN)
    if len(large) < 2:
        raise ValueError(
            f"forest_clfs needs two classes with at least {N_CELLS_MIN} cells; the largest have {sorted(sizes)[-2:]}."
        )
    taken = np.isin(group, large)
    first = {code: int(np.argmax(group == code)) for code in large}
    order = np.array(sorted(large, key=first.__getitem__))  # Spapros numbers the groups by first occurrence
    X, y = X[taken], np.argsort(order)[np.searchsorted(large, group[taken])]
    seeds = np.random.default_rng(random_state).integers(0, MAX_SEED, n_seeds) if n_seeds > 1 else [random_state]
    parts = [
        (int(seed), *part)
        for seed in seeds
        for part in StratifiedKFold(N_FOLDS, shuffle=True, random_state=int(seed)).split(y, y)
    ]
    matrices = [_one(X, y, part, device=device) for part in track(parts, "forest_clfs", unit="fold")]
    confusion = np.mean(matrices, axis=0)
    recall = np.diag(confusion)
    summary = {
        "forest_clfs accuracy": float(recall.mean()),
        f"forest_clfs perct acc > {THRESHOLD}": float(linear_step(recall).mean()),
    }
    return summary, confusion, order


def _one(X: Any, y: np.ndarray, part: tuple[int, np.ndarray, np.ndarray], *, device: str) -> np.ndarray:
    from sklearn.metrics import confusion_matrix
    from sklearn.utils.class_weight import compute_sample_weight
    from xgboost import XGBClassifier

    seed, train, test = part
    several = y.max() > 1
    model = XGBClassifier(
        max_depth=MAX_DEPTH, num_class=int(y.max()) + 1 if several else None, n_estimators=N_ROUNDS,
        objective="multi:softmax" if several else "binary:logistic", early_stopping_rounds=PATIENCE,
        eval_metric="mlogloss" if several else "logloss", learning_rate=LEARNING_RATE, colsample_bytree=1,
        booster="gbtree", random_state=seed, device=device,
    )  # fmt: skip
    weight = {name: compute_sample_weight("balanced", y[cells]) for name, cells in (("train", train), ("test", test))}
    model.fit(
        X[train], y[train], sample_weight=weight["train"], eval_set=[(X[test], y[test])],
        sample_weight_eval_set=[weight["test"]], verbose=False,
    )  # fmt: skip
    return confusion_matrix(y[test], model.predict(X[test]), normalize="true", sample_weight=weight["test"])
