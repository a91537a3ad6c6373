"""Tables of what the machine code of the kernels says."""

from __future__ import annotations

from benchmarks.tables.markdown import lines, markdown


def code() -> str:
    """Registers, warps and instructions of each form of the kernels, an earlier one first."""
    rows = sorted((row for row in lines("kernel_instructions") if "types" in row), key=lambda row: row["kernel"])
    head = ["kernel", "types", "registers", "bytes spilled", "warps of 64", "instructions for 32 values"]
    head += ["zeros on their way, MB", "commit"]
    return markdown(
        head,
        [
            [
                f"`{row['kernel']}`", row["types"], str(row["registers"]), str(row["stack_bytes"]), str(row["warps"]),
                f"{row.get('instructions_per_32_values', '')}", f"{row.get('cleared_mb', '')}", row["commit"],
            ]
            for row in rows
        ],
    )  # fmt: skip


def variants() -> str:
    """Measured variants of `gather_dense` by the zeros that wait for their values."""
    rows = [row for row in lines("kernel_instructions") if "variant" in row]
    rows.sort(key=lambda row: (-row["columns"], "BITS" in row["variant"], row["cleared_mb"]))
    head = ["columns", "columns are found by", "threads of a block", "rows on their way", "zeros on their way, MB"]
    return markdown(
        [*head, "warps of 64", "measured, ms"],
        [
            [
                f"{row['columns']:,}", "bits" if "BITS" in row["variant"] else "a table", str(row["threads"]),
                f"{132 * row['blocks']:,}", f"{row['cleared_mb']}", str(row["warps"]), f"{1e3 * row['measured_s']:.2f}",
            ]
            for row in rows
        ],
    )  # fmt: skip


def searches() -> str:
    """What the searches for the tiles of `group_stats` read."""
    rows = [row for row in lines("kernel_instructions") if "search" in row]
    return markdown(
        ["search for the tiles", "read beyond the matrix, %", "looks per cell"],
        [[row["search"], f"{100 * row['extra_share']:.1f}", f"{row['looks_per_cell']:.1f}"] for row in rows],
    )
