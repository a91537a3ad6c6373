"""Types against structure: tables and the figure of `benchmarks/results/variation.jsonl`, and settings by tuning."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.transforms import Bbox

from benchmarks import record
from benchmarks.tables.markdown import frame, markdown

FIGURE = record.README.parent / "docs" / "benchmarks" / "types-against-structure.png"
ERROR, KEPT = "misclassification", "neighbour_overlap"
JUDGED = (94,)
FAR = ("variable", "random", "like geneBasis")  # above the others in the figure
AWAY = [(x, y) for y in (0, -9, 9, -18, 18, -27, 27) for x in (7, -7)]  # of a name from its point
TYPES, COMPARED = "panel 0", ("panel 0.1", "panel 0.3", "panel 0.7")
NAMES = {
    "panel 0": "`tl.panel`", "panel 0.05": "λ = 0.05", "panel 0.1": "λ = 0.1", "panel 0.2": "λ = 0.2",
    "panel 0.3": "λ = 0.3", "panel 0.5": "λ = 0.5", "panel 0.7": "λ = 0.7", "panel 1": "λ = 1",
    "panel 0.3 total": "λ = 0.3, total", "panel 0.5 total": "λ = 0.5, total", "panel 0.7 total": "λ = 0.7, total",
    "panel 1 total": "λ = 1, total", "wilcoxon": "Wilcoxon test", "t test": "t test", "rf": "random forest",
    "brf": "balanced forest", "xgboost": "XGBoost", "dnn": "network", "pca loadings": "PCA loadings",
    "pca loadings, no families": "PCA loadings, no families", "like geneBasis": "like geneBasis",
    "variable": "highly variable genes", "random": "random genes",
}  # fmt: skip
SETTINGS = {
    "default": "default: 0.3, 0", "prior=0.5": "0.3, 0.5", "softer": "0.4, 0.5", "softest": "0.6, 0.5",
    "sharper": "0.2, 0", "tune=True": "`tune=True`",
}  # fmt: skip


def judged() -> pd.DataFrame:
    """The lines of the judging seeds, one per set, seed, size and list; only lists that all units of a size have."""
    rows = frame("variation")
    rows = rows[rows["list"].notna() & rows["seed"].isin(JUDGED)]
    rows = rows.drop_duplicates(["set", "seed", "n_genes", "list"], keep="last")
    rows = rows.assign(unit=rows["set"] + rows["seed"].astype(str))
    units = rows.groupby("n_genes")["unit"].transform("nunique")
    return rows[rows.groupby(["n_genes", "list"])["unit"].transform("nunique") == units]


def weights() -> str:
    """What weights of the variation cost in types and keep of the neighbours, by set and size."""
    rows = judged()
    shown = []
    for by, title in ((["set"], "{}, both sizes"), (["n_genes"], "{:.0f} genes, all sets"), ([], "all")):
        groups = rows.groupby(by[0]) if by else [("", rows)]
        shown += [[title.format(name), *_against_types(part)] for name, part in groups]
    head = ["", "units", "M, %", *(f"{NAMES[of]}: {what}" for of in COMPARED for what in ("M", "N"))]
    return markdown(head, shown)


def _against_types(rows: pd.DataFrame) -> list[str]:
    units = rows.pivot(index=["set", "seed", "n_genes"], columns="list")
    cells = [f"{len(units)}", f"{units[ERROR][TYPES].mean():.1f}"]
    for of in COMPARED:
        for metric in (ERROR, KEPT):
            apart = units[metric][of] - units[metric][TYPES]
            cells.append(f"{apart.mean():+.1f} ({apart.sem():.1f})".replace("-", "−"))
    return cells


def noise() -> str:
    """Misclassification and neighbours kept at every weight, by the noise of a measured gene; means over the units."""
    rows = frame("variation_noise").drop_duplicates(["set", "seed", "n_genes", "weight", "noise"], keep="last")
    means = rows.groupby(["n_genes", "weight", "noise"])[[ERROR, KEPT]].mean()
    amounts = sorted(rows["noise"].unique())
    shown = []
    for size, weight in means.index.droplevel("noise").unique():
        part = means.loc[size, weight].reindex(amounts)
        cells = ["" if pd.isna(one[ERROR]) else f"{one[ERROR]:.1f} / {one[KEPT]:.1f}" for _, one in part.iterrows()]
        shown.append([f"{size:.0f}", f"{weight:g}", *cells])
    return markdown(["genes", "λ", *(f"noise {amount:g}: M / N, %" for amount in amounts)], shown)


def means() -> pd.DataFrame:
    """Mean of all metrics of every list, by size."""
    return judged().groupby(["n_genes", "list"])[[ERROR, KEPT, "explained_variance"]].mean()


def lists() -> str:
    """Every list at every size: error in types, neighbours, explained variance."""
    found = means().round(1)
    shown = []
    for size in found.index.unique("n_genes"):
        part = found.loc[size]
        for of in (name for name in NAMES if name in part.index):
            shown.append([f"{size:.0f}", NAMES[of], *(f"{value:.1f}" for value in part.loc[of])])
    return markdown(["genes", "chosen by", "M, %", "neighbours kept, %", "variance of other genes, %"], shown)


def settings() -> str:
    """Differences from the default, by set, with the standard error over sets and seeds."""
    rows = frame("panel_tuning").drop_duplicates(["set", "seed", "setting"], keep="last")
    values = rows.pivot(index=["set", "seed"], columns="setting", values=ERROR)
    recall = rows.pivot(index=["set", "seed"], columns="setting", values="macro_1_minus_recall")
    sets = list(dict.fromkeys(rows["set"]))
    shown = []
    for of in (name for name in SETTINGS if name in values):
        apart, of_recall = ((table[of] - table["default"]).dropna() for table in (values, recall))
        by_set = apart.groupby("set").mean().reindex(sets)
        cells = [f"{len(apart)}", f"{apart.mean():+.1f} ({apart.sem():.1f})"]
        cells += ["" if pd.isna(value) else f"{value:+.1f}" for value in by_set]
        cells.append(f"{of_recall.mean():+.1f} ({of_recall.sem():.1f})")
        shown.append([SETTINGS[of], *(cell.replace("-", "−") for cell in cells)])
    return markdown(["τ per gene, prior", "units", "M, all (SE)", *sets, "1 − recall, all (SE)"], shown)


def digest() -> str:
    """Of the numbers that the figure shows; it is written into the file, and a test compares it."""
    return hashlib.sha256(means().round(2).to_csv().encode()).hexdigest()[:16]


def draw(path: Path = FIGURE) -> None:
    """Types against neighbours, one panel per size: `tl.panel` as a curve over λ, other methods as points.

    Lists far above are in the table only.
    """
    from matplotlib import pyplot as plt

    found = means()
    sizes = found.index.unique("n_genes")
    figure, axes = plt.subplots(1, len(sizes), figsize=(5.2 * len(sizes), 4.2), squeeze=False)
    for ax, size in zip(axes[0], sizes, strict=True):
        part = found.loc[size]
        curve = part.loc[[name for name in NAMES if name in part.index and _is_curve(name)]]
        others = part.drop(index=curve.index)
        others = others[[name not in FAR and not name.endswith("total") for name in others.index]]
        ax.plot(curve[KEPT], curve[ERROR], "-o", color="#0072B2", markersize=5)
        ax.plot(others[KEPT], others[ERROR], "s", color="#D55E00", markersize=5)
        ax.set(xlabel="neighbours kept, % (more is better)", title=f"{size:.0f} genes")
        ax.set_ylabel("cells misclassified, % (less is better)")
        ax.margins(0.15)
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.canvas.draw()  # names are placed where the points now are
    for ax, size in zip(axes[0], sizes, strict=True):
        part = found.loc[size]
        _name(ax, part[[name not in FAR and (_is_curve(name) or not name.startswith("panel")) for name in part.index]])
    figure.savefig(path, dpi=150, metadata={"Source": digest(), "Software": None})
    plt.close(figure)


def _name(ax: Any, points: pd.DataFrame) -> None:
    """Name every point beside it, where no other name or point is."""
    taken = [Bbox.from_extents(*at - 4, *at + 4) for at in ax.transData.transform(points[[KEPT, ERROR]].to_numpy())]
    for name, row in points.iterrows():
        place = (row[KEPT], row[ERROR])
        for x, y in AWAY:
            side = "left" if x > 0 else "right"
            text = ax.annotate(
                NAMES[str(name)].strip("`"), place, (x, y), textcoords="offset points", size=7, ha=side, va="center"
            )
            box = text.get_window_extent(ax.figure.canvas.get_renderer())
            if not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        taken.append(box)


def _is_curve(name: str) -> bool:
    return name.startswith("panel ") and not name.endswith("total")
