"""smashpy 0.1.2 as used in its README; run it with the Python 3.8 of an environment with smashpy (see `command`).

    python smashpy_baseline.py DATA.npz rf|brf|xgboost|dnn SPECIES

The file holds CSR counts, gene names and labels as NumPy arrays, because AnnData of 2021 cannot read current files.
"""

import sys

sys.path.pop(0)  # this folder has a `tables` that is not the package which scanpy imports

import anndata
import numpy as np
import pandas as pd
from scipy import sparse
from smashpy import smashpy

SMALLEST_CLASS = 10  # smashpy crashes on smaller ones
CLASSIFIERS = {"rf": "RandomForest", "brf": "BalancedRandomForest", "xgboost": "XGBoost"}


def main(path, model, species):
    held = np.load(path)
    counts = sparse.csr_matrix((held["data"], held["indices"], held["indptr"]), shape=tuple(held["shape"]))
    obs = pd.DataFrame({"cell_type": held["labels"]}, index=["cell%d" % i for i in range(counts.shape[0])])
    sizes = obs["cell_type"].value_counts()
    keep = obs["cell_type"].isin(sizes.index[sizes >= SMALLEST_CLASS]).to_numpy()
    obs = obs[keep].copy()
    obs["cell_type"] = obs["cell_type"].astype("category")
    adata = anndata.AnnData(counts[keep].toarray(), obs=obs, var=pd.DataFrame(index=held["names"]))
    sm = smashpy()
    sm.data_preparation(adata)
    adata = sm.remove_general_genes(adata, species=species)
    adata = sm.remove_features_pct(adata, group_by="cell_type", pct=0.3)
    adata = sm.remove_features_pct_2groups(adata, group_by="cell_type", pct1=0.75, pct2=0.5)
    adata = sm.scale_filter_features(adata, n_components=None, filter_expression=True)
    if model == "dnn":
        sm.DNN(adata, group_by="cell_type", model=None, balance=True, verbose=False, save=False)
        genes, _ = sm.run_shap(
            adata, group_by="cell_type", model=None, verbose=False, pct=0.1, restrict_top=("local", 20)
        )
    else:
        clf = sm.ensemble_learning(
            adata, group_by="cell_type", classifier=CLASSIFIERS[model], balance=True, verbose=False, save=False
        )
        genes, _ = sm.gini_importance(adata, clf, group_by="cell_type", verbose=False, restrict_top=("local", 20))
    print(len(set(genes)), "genes")


if __name__ == "__main__":
    main(*sys.argv[1:])
