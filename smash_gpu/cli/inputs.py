"""Input and output of the commands."""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any


def open_data(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The annotated data of a command, and its options for `smash_gpu.annotated.source.Source`."""
    from smash_gpu.annotated.read import raw_of
    from smash_gpu.io import concat

    asked = {name: getattr(options, name, None) for name in ("layer", "use_raw", "sample_key", "batch_key")}
    columns = [options.groupby] if isinstance(options.groupby, str) else options.groupby
    adata = concat.open_cells(options.data, {"groupby": [*columns, getattr(options, "within", None)], **asked})
    if options.use_raw:
        adata = raw_of(adata)
    names = ("layer", "gene_symbols", "min_cells", "sample_key", "device")
    return adata, {"normalize": not options.normalized} | {name: getattr(options, name) for name in names}


def kept_in(options: argparse.Namespace) -> Any:
    """The ``--work`` folder for finished stages; prints one line per stage."""
    from smash_gpu.data.stages import Work

    def tell(notice: Any) -> None:
        where = f"found in {options.work}: {notice.stage} ({notice.made:%Y-%m-%d %H:%M})"
        print(where if notice.found else f"kept: {notice.stage}", flush=True)

    return Work(writable(options.work), tell, Path(named(options)).name)


def named(options: argparse.Namespace) -> str:
    """The file of a command, or the number of files."""
    return str(options.data[0]) if len(options.data) == 1 else f"{len(options.data)} files"


def save(ax: Any, path: Path) -> None:
    """Write the figure of ``ax``."""
    from matplotlib import pyplot as plt

    ax.figure.savefig(path, dpi=150)
    plt.close(ax.figure)


def writable(out: Path | None) -> Path | None:
    """``out``, after checking that it can be written; nothing is created yet."""
    if out is None:
        return None
    parent = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PermissionError(f"cannot write to the output folder {out}: {parent} is not a writable folder.")
    return out


def gene_list(path: Path | None) -> list[str]:
    """The genes in a file: the column "name" or "gene" of a table, else one gene per line."""
    if path is None:
        return []
    from smash_gpu.io.open import require_path

    require_path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not a text file; give one gene per line, or a table with a column 'name'."
        ) from None
    rows = list(
        csv.reader(
            [line for line in lines if line.strip()], delimiter="\t" if any("\t" in line for line in lines[:1]) else ","
        )
    )
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((header.index(word) for word in ("name", "gene") if word in header), None)
    cells = [row[column or 0] for row in rows[column is not None :] if len(row) > (column or 0)]
    genes = list(dict.fromkeys(cell.strip() for cell in cells if cell.strip()))
    if not genes:
        raise ValueError(f"{path} holds no genes; give one per line, or a table with a column 'name'.")
    return genes
