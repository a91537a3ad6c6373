"""The cells, and what the filters did to the genes."""

from __future__ import annotations

from smash_gpu.annotated import slots
from smash_gpu.report._elements import (
    Chapter,
    Column,
    Html,
    bar,
    chapter,
    count,
    definitions,
    number,
    paragraph,
    percent,
    table,
)
from smash_gpu.report._results import Results


def data_section(results: Results) -> Chapter:
    """How many cells and genes there are, where they were read, and a row a group."""
    data, source = results.data, results.source
    left_out = results.adata.n_obs - len(data.cells)
    facts = [
        ("Cells", count(len(data.cells)) + (f", and {left_out:,} left out" if left_out else "")),
        ("Genes", count(len(data.names))),
        ("Groups", f"{data.n_groups}, column {source['groupby']}"),
        ("Values", f"{_place(source)}, {'raw counts' if source.get('normalize', True) else 'log-normalised'}"),
        ("Values that are not zero", percent(data.stats.detected.sum() / (len(data.cells) * len(data.names)), 1)),
    ]
    for what in ("sample_key", "batch_key"):
        if source.get(what):
            named = data.sample if what == "sample_key" else data.batch
            label = "Samples" if what == "sample_key" else "Batches"
            facts.append((label, f"{len(named[data.cells].unique())}, column {source[what]}"))
    why = "Cells without a label, and groups with too few cells, take no part in anything below."
    note = paragraph(why, class_="note") if left_out else ""
    return chapter("Data", "data", definitions(facts, class_="facts"), note, _groups(results))


def _place(source: dict) -> str:
    return f"layer {source['layer']}" if source.get("layer") else ".raw" if source.get("use_raw") else "X"


def _groups(results: Results) -> Html:
    stats = results.data.stats
    cells, largest = stats.cells, stats.cells.max()
    columns = [
        Column("group", results.data.groups.tolist(), "name"),
        Column("cells", [bar(count(n), n / largest) for n in cells], "number"),
        Column("of all", [percent(n / cells.sum(), 1) for n in cells], "number"),
        Column("genes a cell", [number(round(n)) for n in stats.detected.sum(axis=1) / cells], "number",
               "mean number of genes that a cell expresses"),
    ]  # fmt: skip
    if results.source.get("normalize", True):
        per_cell = stats.counts.sum(axis=1) / cells
        columns.append(Column("counts a cell", [number(round(n)) for n in per_cell], "number", "mean sum of counts"))
    return table("Groups of cells", columns)


def filter_section(results: Results) -> Chapter:
    """The ledger of the filters, rule by rule."""
    ledger = slots.require(results.adata, "filters", results.key, "tl.smash")
    genes = len(results.data.names)
    words = paragraph(
        "A gene that several rules match is counted as removed by the first of them. Every gene that is left is a "
        "candidate: the model saw it, and it could become a marker."
    )
    parts = ledger["within"].astype(str).tolist() if "within" in ledger else []
    starts = [(i, f"inside {name}") for i, name in enumerate(parts) if i == 0 or parts[i - 1] != name]
    columns = [
        Column("rule", ledger["rule"].tolist(), "name"),
        Column("matched", [count(n) for n in ledger["matched"]], "number", "genes that the rule speaks of"),
        Column("removed", [count(n) for n in ledger["removed"]], "number", "genes that no earlier rule had removed"),
        Column("left", [bar(count(n), n / genes) for n in ledger["left"]], "number", "genes left after this rule"),
    ]
    caption = f"What each rule removed of {genes:,} genes"
    return chapter("Filters", "filters", words, table(caption, columns, headings=starts))
