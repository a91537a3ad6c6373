"""Tables of models on a device."""

from __future__ import annotations

from benchmarks.tables.markdown import lines, markdown


def newest(part: str, *names: str) -> list[dict]:
    """The last line of each case of a part; the whole part is no case."""
    rows = [row for row in lines("gpu_models") if row["part"] == part and row.get("what") != "whole part"]
    return list({tuple(str(row.get(name)) for name in names): row for row in rows}.values())


def depth() -> str:
    """Forests of 20 trees by the largest depth."""
    rows = newest("depth", "max_depth", "n_bins")
    head = ["largest depth", "bins", "20 trees, s", "accuracy, %", "shared with no limit, of the best 5, %"]
    return markdown(
        head,
        [
            [
                str(row["max_depth"] or "no limit"), str(row["n_bins"]), f"{row['seconds']:.1f}",
                f"{100 * row['accuracy']:.1f}", f"{100 * row['of_top_5']:.0f}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def steps() -> str:
    """A training step of the network, launched kernel by kernel and as one graph."""
    found: dict[tuple, dict] = {}
    for row in newest("steps", "batch", "group_lasso", "what"):
        found.setdefault((row["batch"], row["group_lasso"]), {})[row["what"]] = row["ms_per_step"]
    head = ["cells of a batch", "λ of the group lasso", "kernel by kernel, ms", "one CUDA graph, ms"]
    times = [(batch, penalty, ms["Step"], ms["RecordedStep"]) for (batch, penalty), ms in found.items()]
    return markdown(head, [[f"{b:,}", f"{p:g}", f"{one:.2f}", f"{graph:.2f}"] for b, p, one, graph in times])


def rounds() -> str:
    """Boosted trees by the rounds that they were given."""
    head = ["training", "rounds", "s", "accuracy, %", "date, commit"]
    return markdown(
        head,
        [
            [
                row["what"], f"{row['rounds']}", f"{row['seconds']:.1f}", f"{100 * row['accuracy']:.1f}",
                f"{row['date']}, {row['commit']}",
            ]
            for row in newest("xgboost", "what")
        ],
    )  # fmt: skip


def markers() -> str:
    """Of the five best markers of a type, how many two forests share: other seeds, and CPU and GPU with the same."""
    rows = newest("seeds", "device", "set", "model", "seed")
    found = {(row["device"], row["set"], row["model"], row["seed"]): row for row in rows}
    head = ["set", "two seeds, CPU, %", "two seeds, GPU, %", "same seed, CPU and GPU, %", "balanced, CPU and GPU, %"]
    table = []
    for name in dict.fromkeys(row["set"] for row in rows):
        cpu, gpu = ([found[device, name, "rf", seed] for seed in (0, 1)] for device in ("cpu", "cuda"))
        balanced = [found[device, name, "brf", 0] for device in ("cpu", "cuda")]
        both = [_shared(one, other) for one, other in zip(cpu, gpu, strict=True)]
        shares = _shared(*cpu), _shared(*gpu), sum(both) / len(both), _shared(*balanced)
        table.append([f"`{name}`", *(f"{100 * share:.0f}" for share in shares)])
    return markdown(head, table)


def _shared(one: dict, other: dict) -> float:
    lists = [(set(one["markers"][group]), set(other["markers"][group])) for group in one["markers"]]
    return sum(len(a & b) for a, b in lists) / sum(len(a) for a, _ in lists)
