"""Tables of what panels and models are worth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks import boosting_rounds, marker_scores, model_options, network_settings, quality, record
from benchmarks import consensus as of_consensus
from benchmarks.tables.markdown import frame, lines, markdown

KIND = {"printed": "printed panel", "capped": "+ 100, capped", "free": "+ 100, no cap", "random": "+ 100 at random"}
PLACES = {
    "merfish_poa155": "MERFISH, preoptic area, 155 genes",
    "merfish_accumbens253": "MERFISH, accumbens, 253 genes",
    "starmap_mpfc166": "STARmap, prefrontal cortex, 166 genes",
}
BOOSTING = ["set", "groupby", "seed", "rule", "builder"]
MISTAKES = [f"misclassification_{k}" for k in quality.BUDGETS]
SIZES = (5, 10, 20, 30)


def cells_per_tree() -> str:
    """Misclassification of the forest's panels when every tree draws a share of the cells, mean over the units."""
    rows = frame("forests")
    rows = rows[rows["part"] == "drawn"].drop_duplicates(["set", "groupby", "seed", "n_genes", "drawn"], keep="last")
    found = rows.pivot_table(index="drawn", columns="n_genes", values="misclassification").sort_index(ascending=False)
    units = len(rows.groupby(["set", "groupby"]))
    shown = [[f"{share:.0%}", *(f"{value:.1f}" for value in row)] for share, row in found.iterrows()]
    head = ["cells that a tree draws", *(f"M, {size:.0f} genes, %" for size in found)]
    seeds = ", ".join(f"{seed:.0f}" for seed in sorted(rows["seed"].unique()))
    return f"{markdown(head, shown)}\nUnits: {units}; seeds: {seeds}.\n"


def two_forests() -> str:
    """How many of the best markers two forests share."""
    rows = frame("forests")
    rows = rows[rows["part"] == "seeds"].assign(forests=lambda found: found["forests"].map(tuple))
    rows = rows.drop_duplicates(["set", "forests"], keep="last")
    sets = list(rows["set"].unique())
    shares = rows.pivot(index="forests", columns="set", values="share_of_top")
    shown = []
    for (one, other), share in shares.reindex(rows["forests"].unique()).iterrows():
        split = "same split" if one != other else "other splits and seeds"
        shown.append([f"{one} / {other}", split, *(f"{100 * share[name]:.0f}" for name in sets)])
    return markdown(["forests", "", *(f"{name}, %" for name in sets)], shown)


def modes() -> str:
    """A nested list, and weights by class size, against a panel chosen for each size."""
    head = ["panel", "units", "M, %", "difference (SE)", "1 − recall, %", "difference (SE)"]
    shown = []
    for row in lines("panel_modes"):
        cells = [row["mode"], f"{row['units']}"]
        for name in ("misclassification", "macro_1_minus_recall"):
            cells += [f"{row[name]:.1f}", f"{row[f'{name}_difference']:+.2f} ({row[f'{name}_standard_error']:.2f})"]
        shown.append(cells)
    return markdown(head, shown)


def probe_sets() -> str:
    """Caps on crowding, with and without a choice of probe sets."""
    rows = frame("probe_sets")
    rows = rows[rows["panel"] != "check of the rule"]
    rows = rows.assign(cap=rows["problem"].map(lambda problem: problem["cap"]))
    by = rows.groupby(["cap", "panel"], sort=False, dropna=False)
    head = ["cap, share of the uncapped transcripts", "panel", "resolution", "M, %", "fullest class, counts"]
    shown = []
    for (cap, panel), part in by:
        means = part[["resolution", "misclassification", "fullest_class"]].mean()
        cells = ["none" if np.isnan(cap) else f"{100 * cap:.0f} %", panel, f"{means['resolution']:.3f}"]
        shown.append([*cells, f"{100 * means['misclassification']:.1f}", f"{means['fullest_class']:.0f}"])
    return markdown(head, shown)


def rule_of_probe_sets() -> str:
    """How much of their separation genes keep with fewer probe sets."""
    rows = frame("probe_sets")
    rows = rows[rows["panel"] == "check of the rule"]
    share = rows["problem"].map(lambda problem: problem["share"])
    means = rows.groupby(share)[["kept_in_thinned_counts", "kept_by_the_rule"]].mean() * 100
    head = ["probe sets left", "separation kept in thinned counts, %", "by the rule, %"]
    return markdown(head, [[f"{100 * of:.0f} %", *(f"{v:.0f}" for v in row)] for of, row in means.iterrows()])


def example() -> str:
    """100 genes on top of 300."""
    head = ["genes chosen on training cells", "genes", "fullest class, counts", "resolution", "1 − recall, %", "M, %"]
    return markdown(
        head,
        [
            [
                KIND[row["panel"]], f"{row['n_genes']:.0f}", f"{row['fullest_class']:.0f}", f"{row['resolution']:.3f}",
                f"{100 * row['macro_1_minus_recall']:.1f}", f"{100 * row['misclassification']:.1f}",
            ]
            for row in lines("panel_example")
        ],
    )  # fmt: skip


def tuning() -> str:
    """Defaults and the best options found."""
    rows = frame("tuning").assign(error=lambda found: 1 - found["knn_accuracy"])
    shown = ["accuracy", "f1_macro", "error"]
    means = rows.groupby(["set", "model", "what"], sort=False)[shown].mean() * 100
    head = ["set", "model", "seeds", "accuracy, %", "macro F1, %", "kNN error of 30 genes, %"]
    table = []
    for (name, model), part in rows.groupby(["set", "model"], sort=False):
        seeds = ", ".join(map(str, sorted(part["seed"].unique())))
        before, after = (means.loc[(name, model, what)] for what in ("defaults", "tuned"))
        arrows = [f"{before[column]:.1f} → {after[column]:.1f}" for column in shown]
        table.append([name.partition(":")[0], f"`{model}`", seeds, *arrows])
    return markdown(head, table)


def group_lasso(number: int) -> str:
    """One of the tables of the network's settings."""
    path = record.RESULTS / "network_settings.jsonl"
    rows = list(quality.lines(path))
    penalties = sorted({row["group_lasso"] for row in rows if isinstance(row["group_lasso"], int | float)})
    return "".join(f"{line}\n" for line in list(network_settings.Tables(rows, penalties))[number])


def early_stopping() -> str:
    """Rounds and errors of boosted trees by rule, for seeds of the choice and others, and the form of the panels."""
    rows = frame("boosting_rounds").reindex(columns=[*BOOSTING, *MISTAKES, "rounds"])
    rows["builder"] = rows["builder"].fillna("classes in turn").replace("marker_panel", "`get.marker_panel`")
    rows = rows.drop_duplicates(BOOSTING, keep="last").assign(choice=rows["seed"].isin(boosting_rounds.SEEDS))
    head = ["stops", "panels by", "seeds", "sets", "rounds: mean (fewest–most)"]
    head += [f"M, {k} genes, %" for k in quality.BUDGETS]
    return markdown(head, [line for _, part in rows.groupby(["builder", "choice"]) for line in by_rule(part)])


def by_rule(rows: pd.DataFrame) -> Iterator[list[str]]:
    """One row per rule that has a line of every set and seed: seeds, number of label columns, rounds, errors."""
    for rule, part in rows.groupby("rule", sort=False):
        if len(part) == rows["rule"].value_counts().max():
            rounds, units = part["rounds"], part.groupby(["set", "groupby"]).ngroups
            cells = [str(rule), part["builder"].iloc[0], ", ".join(map(str, sorted(part["seed"].unique()))), f"{units}"]
            cells.append(f"{rounds.mean():.0f} ({rounds.min()}–{rounds.max()})")
            yield [*cells, *(f"{100 * value:.2f}" for value in part[MISTAKES].mean())]


def shorter_training() -> str:
    """What options that save time change, in points, against the first setting of the model."""
    options = argparse.Namespace(json=record.RESULTS / "model_options.jsonl")
    shown = []
    for (model, how), row in model_options.table(options).iterrows():
        epochs = row["share of epochs"]
        cells = [f"`{model}`", f"`{how}`", f"{row['n']:.0f}", f"{100 * row['share of cpu_s']:.0f}"]
        cells += ["–" if np.isnan(epochs) else f"{100 * epochs:.0f}", f"{row['accuracy']:+.2f}"]
        shown.append([*cells, *(f"{row[name]:+.2f}" for name in MISTAKES)])
    head = ["model", "options", "runs", "time, %", "epochs, %", "accuracy", *(f"M, {k} genes" for k in quality.BUDGETS)]
    return markdown(head, shown)


def factors() -> str:
    """Specificity of the markers by what the importance is multiplied by, minus that of what the package does."""
    rows = frame("marker_scores").drop_duplicates([*marker_scores.KEY, "score"], keep="last")
    values = 100 * rows.set_index([*marker_scores.KEY, "score"])[["tau", "on_target"]]
    shown = []
    for (model, score), part in values.groupby(["model", "score"]):
        usual = values.xs("phi z" if model == "dnn" else "z", level="score")
        change = (part.droplevel("score") - usual).dropna().mean()
        means = part.mean()
        cells = [f"`{model}`", score.replace("phi ", "Shapley value × "), f"{means['tau']:.1f}"]
        cells += [f"{change['tau']:+.1f}", f"{means['on_target']:.1f}", f"{change['on_target']:+.1f}"]
        shown.append(cells)
    head = ["model", "factor", "τ, %", "difference", "share on target, %", "difference"]
    return markdown(head, shown)


def tissues() -> str:
    """Balanced accuracy on tissues of two lists, of random panels and of all measured genes; means of the draws."""
    rows = frame("spatial").drop_duplicates(["tissue", "seed", "list", "n_genes"], keep="last")
    columns = ["balanced_accuracy", "random", "ceiling"]
    means = rows.groupby(["tissue", "n_genes", "list"], sort=False)[columns].mean()
    shown = []
    for tissue, name in PLACES.items():
        for size in SIZES:
            ours, theirs = means.loc[(tissue, size, "tl.panel")], means.loc[(tissue, size, "Wilcoxon")]
            random = (ours["random"] + theirs["random"]) / 2  # each list has panels of its own expression
            values = (ours["balanced_accuracy"], theirs["balanced_accuracy"], random, ours["ceiling"])
            shown.append([name if size == SIZES[0] else "", f"{size}", *(f"{value:.1f}" for value in values)])
    return markdown(["tissue", "genes", "`tl.panel`", "Wilcoxon", "random", "all measured"], shown)


def consensus() -> str:
    """Each model alone, and the consensus that the package makes."""
    kept = (" alone ", " reciprocal rank, k = 60 ")
    rows = of_consensus.table(record.RESULTS / "consensus.jsonl").splitlines()
    shown = [row for row in rows[2:] if row.split("|")[2] in kept]
    return "\n".join([*rows[:2], *shown]).replace("reciprocal rank, k = 60", "consensus") + "\n"


def agreement() -> str:
    """Markers that all models name, and others."""
    return of_consensus.table_of_agreement(record.RESULTS / "consensus.jsonl") + "\n"
