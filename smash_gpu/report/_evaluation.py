"""How well the genes tell the groups apart, by cells that took no part in choosing them."""

from __future__ import annotations

import pandas as pd

from smash_gpu import get, pl
from smash_gpu.evaluation import N_NEIGHBORS
from smash_gpu.report._elements import (
    Chapter,
    Column,
    Html,
    bar,
    chapter,
    count,
    element,
    interval,
    join,
    paragraph,
    percent,
    table,
)
from smash_gpu.report._figures import figure
from smash_gpu.report._results import Results

CLASSIFIERS = {
    "knn": f"the {N_NEIGHBORS} nearest neighbours",
    "logreg": "logistic regression",
    "forest": "a random forest",
}
METRICS = {
    "misclassification": "held-out cells put into a wrong group; M in the tables of SMaSH's paper",
    "macro_1_minus_recall": "1 − recall, mean over the groups: a rare group counts as much as a frequent one",
    "macro_1_minus_precision": "1 − precision, mean over the groups; equation 1 of SMaSH's paper",
    "f1_weighted": "F1, mean weighted by the size of the groups; F1 in the tables of SMaSH's paper",
    "f1_macro": "F1, mean over the groups; equation 2 of SMaSH's paper",
    "accuracy": "held-out cells put into their group",
    "balanced_accuracy": "recall, mean over the groups",
    "cohen_kappa": "agreement beyond what group sizes give; 0 for a prediction that knows nothing",
    "mcc": "Matthews' correlation for several groups; 0 for a prediction that knows nothing",
}
CURVE = ("misclassification", "f1_macro")
PAIRS = 12
BRACKETS = "In brackets: 95 % interval."


def evaluation_section(results: Results) -> Chapter:
    """Metrics of the panels and of random ones, the learning curve, groups, and confused pairs."""
    if not results.is_evaluated:
        words = (
            "These genes have not been judged: run tl.evaluate, or the command smash-gpu report, and write it again."
        )
        return chapter("Evaluation", "evaluation", paragraph(words))
    parts = (_protocol, _readings, _curve, _conditions, _groups, _pairs)
    return chapter("Evaluation", "evaluation", *(part(results) for part in parts))


def _protocol(results: Results) -> Html:
    how = results.recorded("evaluation")
    names, inside = how.get("genes", ()), results.chosen_inside
    classifiers = " and ".join(CLASSIFIERS.get(name, name) for name in how.get("classifier", ()))
    splits = int(how.get("n_splits", 1))
    if how.get("protocol") == "paper":
        split = "One stratified split, 70 % training and 30 % held-out cells, z-scores from all cells: the protocol of "
        split += "SMaSH's paper, in which held-out cells may have taken part in choosing the genes."
    else:
        by_sample = results.source.get("sample_key")
        parts = f"folds of whole samples ({by_sample})" if by_sample else "stratified splits, 70 % training cells"
        split = f"{splits} {parts}, seed {how.get('random_state')}; z-scores from the training cells."
    anew = [name for name in names if name in inside]
    given = [name for name in names if name not in inside]
    leak = []
    if anew and how.get("protocol") != "paper":
        leak.append(f"Chosen anew inside the training cells of every split, so that no held-out cell took part in it: "
                    f"{', '.join(anew)}.")  # fmt: skip
    if given:
        leak.append(f"Judged as given: {', '.join(given)}. Where a list was chosen on these cells, it is flattered.")
    covers = "samples" if results.source.get("sample_key") else "cells"
    return paragraph(
        f"What judges is {classifiers}, which see only the expression of the listed genes. {split} {' '.join(leak)} "
        "Intervals are Student's t over the splits, corrected for cells that they share (Nadeau and Bengio): they "
        f"cover another draw of {covers}, not another tissue or platform. Chance is what random genes of the same "
        "mean expression reach."
    )


def _readings(results: Results) -> Html:
    main = results.main
    cases = list(main[["genes", "is_random", "n_genes"]].drop_duplicates().itertuples(index=False, name=None))
    columns = [
        Column("metric", [_explained(name, what) for name, what in METRICS.items()], "prose"),
    ]
    for name, is_random, size in cases:
        rows = main[(main["genes"] == name) & (main["is_random"] == is_random)].set_index("metric")
        title = f"random panels like {name}" if is_random else f"{name}, {size} genes"
        columns.append(Column(title, [_interval(rows.loc[metric]) for metric in METRICS], "number"))
    return table(f"Metrics of held-out cells. {BRACKETS}", columns)


def _explained(metric: str, what: str) -> Html:
    return join([metric.replace("_", " "), element("small", what)], " ")


def _interval(row: pd.Series) -> Html:
    return interval(row["mean"], row["low"], row["high"])


def _curve(results: Results) -> Html:
    tables = {metric: get.learning_curve(results.adata, metric, key=results.key) for metric in CURVE}
    first = tables[CURVE[0]]
    if first["n_genes"].nunique() < 2:
        return Html("")
    drawn = Html("")
    if results.figures:
        drawn = figure(
            pl.learning_curve(results.adata, CURVE[0], key=results.key),
            "Share of held-out cells that are put into a wrong group, against the number of genes. Bars and bands: "
            "95 % intervals. Dashed: random panels.",
            "Learning curve: misclassification against the number of genes; its values are in the table below.",
        )
    columns = [
        Column("genes", _lists(first), "name"),
        Column("number of genes", [count(n) for n in first["n_genes"]], "number"),
    ]
    for metric, found in tables.items():
        columns.append(Column(metric.replace("_", " "), [_interval(row) for _, row in found.iterrows()], "number"))
    return join([drawn, table(f"Learning curve. {BRACKETS}", columns)])


def _conditions(results: Results) -> Html:
    """Other classifiers and poorer data, if any were judged."""
    cases = results.cases
    cases = cases[cases["n_genes"] == cases.groupby("genes", sort=False)["n_genes"].transform("max")]
    wide = cases[cases["metric"].isin(CURVE)]
    varied = [name for name in ("classifier", "thin", "dropout") if wide[name].nunique() > 1]
    if not varied:
        return Html("")
    shown = {"classifier": lambda c: CLASSIFIERS.get(c, c), "thin": lambda t: percent(t),
             "dropout": lambda d: percent(d)}  # fmt: skip
    titles = {"classifier": "judged by", "thin": "counts kept", "dropout": "probability that a gene fails"}
    one = {metric: wide[wide["metric"] == metric].reset_index(drop=True) for metric in CURVE}
    first = one[CURVE[0]]
    columns = [Column("genes", _lists(first), "name")]
    columns += [Column(titles[name], [shown[name](value) for value in first[name]], "text") for name in varied]
    columns += [
        Column(metric.replace("_", " "), [_interval(row) for _, row in found.iterrows()], "number")
        for metric, found in one.items()
    ]
    return table(f"Other classifiers and poorer data. {BRACKETS}", columns)


def _groups(results: Results) -> Html:
    found = get.group_metrics(results.adata, key=results.key)
    by_metric = {str(name): part.set_index("group") for name, part in found.groupby("metric", sort=False)}
    first = next(iter(by_metric.values()))
    columns = [
        Column("group", [str(group) for group in first.index], "name"),
        Column("cells judged", [count(n) for n in first["cells"]], "number", "held-out cells, summed over the splits"),
    ]
    columns += [
        Column(name, [bar(_interval(row), row["mean"]) for _, row in part.iterrows()], "number")
        for name, part in by_metric.items()
    ]
    drawn = Html("")
    if results.figures:
        drawn = figure(
            pl.confusion(results.adata, key=results.key),
            f"Held-out cells by true and predicted group, in % of the true group. {_which(results)}",
            f"Confusion matrix of {len(first)} groups; the recall in the table of groups is its diagonal.",
        )
    return join([table(f"Groups. {_which(results)} {BRACKETS}", columns), drawn])


def _which(results: Results) -> str:
    first = results.main.iloc[0]
    return f"List: {first['genes']}, {first['n_genes']} genes."


def _pairs(results: Results) -> Html:
    pairs = get.unresolved_pairs(results.adata, key=results.key)
    if not len(pairs):
        return paragraph(f"No pair of groups was taken for each other. {_which(results)}")
    shown = pairs[:PAIRS]
    drawn = Html("")
    if results.figures:
        drawn = figure(
            pl.unresolved_pairs(results.adata, n_pairs=PAIRS, key=results.key),
            "Pairs of groups that these genes take for each other, the worst on top.",
            "Bars of the pairs that are confused most; their values are in the table below.",
        )
    columns = [
        Column("group", shown["group"].tolist(), "name"),
        Column("other", shown["other"].tolist(), "name"),
        Column("mean", [percent(x, 1) for x in shown["confusion"]], "number", "mean of the next two"),
        Column(
            "group as other", [percent(x, 1) for x in shown["group_as_other"]], "number", "held-out cells of the group"
        ),
        Column(
            "other as group", [percent(x, 1) for x in shown["other_as_group"]], "number", "held-out cells of the other"
        ),
        Column("cells", [count(n) for n in shown["cells"]], "number", "summed over the splits"),
    ]
    more = f" The first {PAIRS} of {len(pairs)}." if len(pairs) > PAIRS else ""
    return join([drawn, table(f"Groups that are taken for each other. {_which(results)}{more}", columns)])


def _lists(rows: pd.DataFrame) -> list[str]:
    return [f"random panels like {row.genes}" if row.is_random else row.genes for row in rows.itertuples()]
