"""Input and output of the commands."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from smash_gpu.cli.json_output import plain
from smash_gpu.cli.typed import PARAMS
from smash_gpu.genes.lists import listed
from smash_gpu.genes.tables import Gene
from smash_gpu.panel.platforms import LENGTH_KEY
from smash_gpu.runtime.paths import require_file


def open_data(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The annotated data of a command, and its options for `smash_gpu.annotated.source.Source`."""
    from smash_gpu.annotated.read import raw_of
    from smash_gpu.io import concat

    asked = {name: getattr(options, name, None) for name in ("layer", "use_raw", "sample_key", "batch_key")}
    columns = [options.groupby] if isinstance(options.groupby, str) else options.groupby or []
    adata = concat.open_cells(options.data, {"groupby": [*columns, getattr(options, "within", None)], **asked})
    if options.use_raw:
        adata = raw_of(adata, (options.gene_symbols, getattr(options, "ensembl_key", None)))
    names = ("layer", "normalize", "gene_symbols", "min_cells", "sample_key", "device")
    return adata, {name: getattr(options, name) for name in names if hasattr(options, name)}


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


def save_params(adata: Any, folder: Path, key: str | None = None) -> None:
    """Write the options of every step, and the versions, to ``params.json``."""
    from smash_gpu.annotated import slots

    key = key or slots.KEY
    params = {step: slots.recorded(adata, key, step) for step in adata.uns[key]["params"]}
    write_params(params, folder)


def write_params(params: dict[str, Any], folder: Path) -> None:
    """Write options to ``params.json``; an open end of a range is null there."""
    (folder / PARAMS).write_text(json.dumps(plain(params), indent=2, allow_nan=False), encoding="utf-8")


def writable(out: Path | None) -> Path | None:
    """``out``, after checking that it can be written; nothing is created yet."""
    if out is None:
        return None
    parent = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise PermissionError(f"cannot write to the output folder {out}: {parent} is not a writable folder.")
    return out


def gene_list(path: Path | None) -> list[Gene]:
    """The genes in a file, see `smash_gpu.genes.lists.listed`; none for no file."""
    if path is None:
        return []
    require_file(path)
    return list(listed(path, str(path)))


def gene_lists(paths: list[Path]) -> list[Gene]:
    """The genes of several files."""
    return [gene for path in paths for gene in gene_list(path)]


def existing_file(path: Path | None) -> Path | None:
    """The path, after checking that there is such a file."""
    if path is not None:
        require_file(path)
    return path


def filters_of(options: argparse.Namespace) -> dict[str, Any]:
    """Options of the filters."""
    filters = {"exclude": gene_list(options.exclude), "keep": gene_list(options.keep), "species": options.species}
    return filters | paper_of(options).get("filters", {})


def paper_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of the paper with ``--paper``, else none."""
    from smash_gpu.selection.options import paper

    return paper(options.model) if options.paper else {}


def require_samples(adata: Any, sample_key: str | None) -> None:
    """Raise a ValueError, before anything is computed, if there are too few samples for halves."""
    from smash_gpu.evaluation import stability

    if sample_key is not None and sample_key in adata.obs:
        stability.require_samples(adata.obs[sample_key].nunique())


def gene_columns(adata: Any, options: argparse.Namespace) -> None:
    """Add what ``--gene-table`` and ``--transcript-lengths`` say of the genes to ``adata.var``."""
    if options.gene_table is not None:
        gene_table(adata, options.gene_table, options.gene_symbols)
    if options.transcript_lengths is not None:
        from smash_gpu import pp

        require_file(options.transcript_lengths)
        column = options.length_key or LENGTH_KEY
        pp.transcript_lengths(adata, options.transcript_lengths, gene_symbols=options.gene_symbols, key_added=column)


def gene_table(adata: Any, path: Path, gene_symbols: str | None) -> None:
    """Add the columns of a table to ``adata.var`` by name, symbol or Ensembl id; other genes get missing values.

    Raises
    ------
    ValueError
        If no gene of the table is in the data.
    """
    import pandas as pd

    from smash_gpu.annotated.features import gene_names
    from smash_gpu.annotated.gene_table import columns

    require_file(path)
    added = pd.DataFrame(columns(adata, path, gene_symbols), index=gene_names(adata).names)
    for name, values in added.items():  # a feature that is no gene has none
        adata.var[str(name)] = values.reindex(adata.var_names.astype(str)).to_numpy()


def ranges(limits: list[list[str]]) -> dict[str, tuple[float | None, float | None]]:
    """What ``--limit COLUMN LOW HIGH`` says, by column."""
    return {column: range_ends(low, high, "--limit") for column, low, high in limits}


def range_ends(low: str, high: str, option: str) -> tuple[float | None, float | None]:
    """Both ends of a range; None for -, an open end."""
    try:
        return range_end(low), range_end(high)
    except argparse.ArgumentTypeError as wrong:
        raise ValueError(f"{option}: {wrong}.") from None


def range_end(text: str) -> float | None:
    """A number; None for -, an open end."""
    try:
        return None if text == "-" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; - stands for an open end") from None
