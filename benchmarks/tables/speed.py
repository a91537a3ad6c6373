"""Tables of time and memory."""

from __future__ import annotations

from benchmarks import command as of_the_command
from benchmarks import record
from benchmarks.tables.markdown import frame, lines, markdown, spread


def command() -> str:
    """`smash-gpu find` and smashpy."""
    return of_the_command.table(record.RESULTS / "command.jsonl") + "\n"


def start() -> str:
    """User time of what does no work."""
    rows = frame("startup").drop_duplicates(["case", "checkout"], keep="last")
    rows = rows.pivot(index="case", columns="checkout", values="user_s").reindex(rows["case"].unique())
    names = [(f"`smash-gpu {case}`" if "help" in case or "version" in case else case) for case in rows.index]
    cells = zip(names, rows["before"], rows["now"], strict=True)
    return markdown(["", "before, s", "now, s"], [[name, f"{a:.2f}", f"{b:.2f}"] for name, a, b in cells])


def busy() -> str:
    """`smash-gpu find` alone on the machine and beside a process that keeps one core busy."""
    return of_the_command.beside_a_busy_process(record.RESULTS / "command.jsonl")


def memory() -> str:
    """Peak memory above the imports, by command and set."""
    rows = frame("memory").drop_duplicates(["set", "command"], keep="last")
    wide = rows.pivot(index="command", columns="set", values="above_imports_mib")
    wide = wide.reindex(index=rows["command"].unique(), columns=rows["set"].unique()).dropna(axis=1)
    shown = [
        [command, *(f"{value:.0f}" for value in values)]
        for command, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return markdown(["MiB above the imports", *wide.columns], shown)


def judging() -> str:
    """Processor time of the commands that judge genes, before and now."""
    rows = frame("judging").drop_duplicates(["set", "command", "checkout"], keep="last")
    shown = []
    for (name, command), part in rows.groupby(["set", "command"], sort=False):
        by = part.set_index("checkout")
        cells = [spread(*by.loc[of, ["median_s", "min_s", "max_s"]], ".1f") for of in ("before", "now")]
        shown.append([name, f"`{command}`", f"{by.loc['now', 'imports_s']:.1f}", *cells])
    return markdown(["set", "command", "imports alone, s", "before, s", "now, s"], shown)


def loops() -> str:
    """Sums per group by compiled loops and by NumPy."""
    head = ["", "values", "reading alone, s", "compiled, s", "NumPy, s", "processor time: compiled, s", "NumPy, s"]
    rows = {row["what"]: row for row in lines("statistics_loops")}
    shown = []
    for what, row in rows.items():
        reading = f"{row['reading_s']:.2f}" if "reading_s" in row else ""
        cells = [f"{row[f'{way}_{of}']:.2f}" for of in ("s", "processor_s") for way in ("compiled", "numpy")]
        shown.append([what, f"{row['values']:,}", reading, *cells])
    return markdown(head, shown)


def variation() -> str:
    """`tl.panel` with and without the variation on synthetic cells."""
    rows = frame("variation")
    rows = rows[rows["cells"].notna()]
    rows = rows[rows["cells"] == rows["cells"].max()]
    rows = rows.drop_duplicates(["cells", "variation", "variation_target", "what"], keep="last")
    head = ["cells", "genes", "chosen", "λ", "target", "", "s", "processor time, s", "peak memory with the matrix, MiB"]
    return markdown(
        head,
        [
            [
                f"{row.cells:,.0f}", f"{row.genes:,.0f}", f"{row.n_genes:.0f}", f"{row.variation:g}",
                row.variation_target if row.variation else "", row.what, f"{row.seconds:.0f}", f"{row.cpu_seconds:.0f}",
                f"{row.peak_mib:,.0f}",
            ]
            for row in rows.itertuples()
        ],
    )  # fmt: skip


def deeplift() -> str:
    """Closed form and `shap.DeepExplainer`, on a CPU."""
    rows = []
    for row in lines("deeplift"):
        scale = row.get("scaled_to_cells", row["cells"]) / row["cells"]
        seconds = [scale * row[name] for name in ("median_s", "min_s", "max_s")]
        what = f"`{row['what']}`" + (f", {row['cells']} cells, scaled up" if scale != 1 else "")
        rows.append([what, spread(*seconds, ".3g"), f"{row.get('times_faster_than_shap', 1):.0f}"])
    return markdown(["", "seconds (smallest–largest)", "times faster"], rows)


def xgboost() -> str:
    """Settings of the histograms and trees."""
    rows = lines("xgboost_settings")
    head = ["setting", "fit, s", "times the default", "accuracy, %", "kNN error of 30 genes, %"]
    return markdown(
        head,
        [
            [
                row["setting"], f"{row['fit_s']:.0f}", f"{row['fit_s'] / rows[0]['fit_s']:.1f}",
                f"{100 * row['accuracy']:.1f}", f"{100 * row['knn_misclassification_30_genes']:.1f}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def inverse_pca() -> str:
    """Time of the median run, and whether the genes are those of a full decomposition."""
    head = ["data", "cells", "candidates", "kept", "s", "processor time, s", "the genes of a full decomposition"]
    return markdown(
        head,
        [
            [
                row["data"], f"{row['n_cells']:,}", f"{row['n_candidates']:,}", f"{row['n_kept']:,}",
                f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}",
                {True: "yes", None: "not compared"}.get(row.get("same_genes_as_full"), "no"),
            ]
            for row in lines("inverse_pca")
        ],
    )  # fmt: skip


def thousand_classes() -> str:
    """A panel of 300 genes for 1,000 classes."""
    row, problem = lines("panel")[-1], lines("panel")[-1]["problem"]
    head = ["classes", "pairs", "genes", "chosen", "s", "s with the bound", "memory above the input, MiB"]
    sizes = [f"{problem[name]:,}" for name in ("classes", "pairs", "genes", "picks")]
    shown = [f"{row['seconds']:.0f}", f"{row['with_bound_s']:.0f}", f"{row['peak_mib_above_input']:.0f}"]
    return markdown(head, [sizes + shown])


def thousand_genes() -> str:
    """A panel of 1,000 genes for 500 classes."""
    head = ["base", "cap", "chosen after, s", "whole design, s", "processor time, s", "peak memory, MiB", "resolution"]
    head += ["of the bound", "fullest class"]
    return markdown(
        head,
        [
            [
                f"{row['problem']['genes']:,}",
                "none" if row["problem"]["max_transcripts"] is None else f"{row['problem']['max_transcripts']:.0f}",
                *(f"{row[name]:.0f}" for name in ("chosen_s", "seconds", "processor_s", "peak_mib")),
                f"{row['resolution']:.3f}", f"{row['of_bound']:.3f}", f"{row['fullest_class']:,.0f}",
            ]
            for row in lines("panel_thousand")
        ],
    )  # fmt: skip


def spapros() -> str:
    """Metrics of Spapros, by us and by Spapros."""
    head = ["set", "cells", "metric", "smash-gpu, s", "Spapros, s", "largest difference"]
    return markdown(
        head,
        [
            [
                row["set"], f"{row['cells']:,}", f"`{row['metric']}`", f"{row['seconds']:.2f}",
                f"{row['spapros_seconds']:.2f}", f"{row['largest_difference']:.1e}",
            ]
            for row in lines("peers")
        ],
    )  # fmt: skip
