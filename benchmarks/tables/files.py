"""Tables of files that do not fit into memory."""

from __future__ import annotations

import math
import statistics

from benchmarks.tables.markdown import lines, markdown, spread

GENES, CLASSES, CANDIDATES, CORES = 20_000, 30, 1300, 16
LINK = 25.0  # GB/s from the host to a device, assumed
VALUES, BYTES = 1000, 8  # of a cell, of a value and its column, assumed
BIN, MARGIN = 1, 12  # bytes of a value in XGBoost; of a cell and class


def rows(what: str) -> list[dict]:
    """The last line of each number of cells."""
    found = {line["cells"]: line for line in lines("atlas") if line["what"] == what}
    return [found[cells] for cells in sorted(found)]


def selecting() -> str:
    """Time and memory from a file to the markers."""
    unpacked = {row["cells"]: BYTES * row["values"] / 1e9 for row in rows("reading")}
    head = ["cells", "file, GB (unpacked)", "file to markers, s", "of a cell, µs", "peak memory, GB", "candidates"]
    head += ["planted markers among the first 5: fewest of a class, rarest class"]
    return markdown(
        head,
        [
            [
                f"{row['cells']:,}", f"{row['file_gb']:.2g} ({unpacked[row['cells']]:.2g})", f"{row['seconds']:.0f}",
                f"{row['us_per_cell']:,.0f}", f"{row['peak_gb']:.2f}", f"{row['candidates']:,}",
                f"{row['planted_of_first_5']['fewest']}, {row['planted_of_first_5']['rarest']}",
            ]
            for row in rows("selecting")
        ],
    )  # fmt: skip


def reading() -> str:
    """The pass over all values, compared with reading the same file only."""
    head = ["cells", "HDF5, one thread, s", "our decoder, all threads, s", "pass of the statistics, s"]
    head += ["speed of the pass: of HDF5's, of our decoder's", "the pass waits for the file"]
    return markdown(
        head,
        [
            [
                f"{row['cells']:,}", *(of_runs(row["seconds"][name]) for name in ("h5py", "all_threads", "statistics")),
                ", ".join(f"{row['speed_of_statistics'][name]:.0%}" for name in ("h5py", "all_threads")),
                f"{row['waiting']:.0%}",
            ]
            for row in rows("reading")
        ],
    )  # fmt: skip


def of_runs(seconds: list[float]) -> str:
    """The median, the smallest and the largest of several runs."""
    return spread(statistics.median(seconds), min(seconds), max(seconds))


def on_paper() -> str:
    """What 10 and 50 million cells would take on one and eight devices."""
    core = rows("reading")[-1]["ns_per_value"]["h5py"]  # of one core
    cases = [(cells, devices) for cells in (10, 50) for devices in (1, 8)]
    head = ["", *(f"{cells} M cells, {'one device' if n == 1 else 'eight devices'}" for cells, n in cases)]
    values = {cells: cells * 1e6 * VALUES for cells in (10, 50)}
    packed = rows("selecting")[-1]["file_gb"] * 1e9 / rows("reading")[-1]["values"]  # bytes of a value
    size = {cells: f"{round_to(2, n * packed / 1e9)} GB, {n * BYTES / 1e9:.0f} GB" for cells, n in values.items()}
    return markdown(
        head,
        [
            ["file, unpacked", *(size[cells] for cells, _ in cases)],
            ["unpacking, a pass", *(duration(values[c] * core / 1e9 / CORES / n) for c, n in cases)],
            ["to the devices, a pass", *(duration(values[c] * BYTES / 1e9 / LINK / n) for c, n in cases)],
            ["boosting from all cells, memory of each device", *(f"{of_boosting(c, n):.2g} GB" for c, n in cases)],
        ],
    )


def of_boosting(cells: int, devices: int) -> float:
    """GB on each device."""
    return cells * 1e6 * (CANDIDATES * BIN + CLASSES * MARGIN) / devices / 1e9


def round_to(digits: int, value: float) -> int:
    """A whole number with so many digits that are not zero."""
    return int(round(value, digits - 1 - math.floor(math.log10(value))))


def duration(seconds: float) -> str:
    """Two digits."""
    return f"{seconds:.2g} s"
