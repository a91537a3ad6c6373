"""All genes on the slide in JSON of the form of Xenium's gene_panel.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from smash_gpu import get
from smash_gpu.annotated import slots
from smash_gpu.export._order import SETS, ordered
from smash_gpu.genes.lists import IdTable
from smash_gpu.genes.vendors import BASE, CUSTOM
from smash_gpu.panel.slide import CHOSEN, EXISTING
from smash_gpu.runtime import versions

CATEGORIES = {EXISTING: BASE, CHOSEN: CUSTOM}


def gene_panel_json(
    adata: AnnData,
    path: str | Path,
    *,
    ensembl_key: str | None = None,
    ensembl_table: IdTable | None = None,
    probe_sets_key: str | None = None,
    name: str | None = None,
    key: str = slots.PANEL,
) -> None:
    """Write all genes on the slide, existing and chosen, as JSON of the form of Xenium's gene_panel.json.

    ``payload.targets`` holds one object per gene: ``type.data.name`` and ``.id``, ``info.gene_coverage`` (probe sets,
    null where not known) and ``source.category`` ("base" for the existing panel, "custom" for the chosen genes). It has
    no codewords and no controls, which the vendor adds. ``extend=`` and ``genes=`` read it back.

    Parameters
    ----------
    adata
        Annotated data after `tl.panel`.
    path
        The JSON file to write.
    ensembl_key, ensembl_table, probe_sets_key
        Where Ensembl ids and numbers of probe sets are, as for `xenium`.
    name
        Name of the panel; None: that of the file.
    key
        Name of the slots of the panel.

    Returns
    -------
    None. Writes the existing genes in the order of their list, then the chosen ones in the order of choice.

    Raises
    ------
    smash_gpu.errors.NotFoundError
        If no panel was designed yet, or a column is not in ``adata.var``.

    References
    ----------
    10x Genomics, Xenium Onboard Analysis, gene_panel.json.

    Examples
    --------
    >>> import smash_gpu as smg, tempfile, pathlib
    >>> adata = smg.datasets.planted()
    >>> adata.var["ensembl"] = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    >>> smg.tl.panel(adata, "cell_type", n_genes=3, extend=["NOISE9"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "gene_panel.json")
    ...     smg.export.gene_panel_json(adata, path, ensembl_key="ensembl")
    ...     smg.tl.panel(adata, "cell_type", n_genes=2, extend=path)
    >>> len(smg.get.panel_table(adata, "slide"))
    6
    """
    where: dict[str, Any] = {
        "ensembl_key": ensembl_key,
        "ensembl_table": ensembl_table,
        "probe_sets_key": probe_sets_key,
    }
    chosen = ordered(adata, key, **where).set_index("name")
    targets = [_target(row, chosen) for row in get.panel_table(adata, "slide", key=key).to_dict(orient="records")]
    identity = {"name": Path(path).stem if name is None else name}
    panel = {
        "metadata": {"producer": f"smash-gpu {versions.installed().get('smash-gpu', '')}".strip()},
        "payload": {"panel": {"identity": identity, "num_gene_targets": len(targets)}, "targets": targets},
    }
    Path(path).write_text(json.dumps(panel, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _target(gene: dict[str, Any], chosen: pd.DataFrame) -> dict[str, Any]:
    """One gene of the slide; what the order says of a chosen one goes before the table of the slide."""
    own = chosen.loc[gene["name"]] if gene["origin"] == "chosen" else gene
    sets = own[SETS]
    return {
        "type": {"descriptor": "gene", "data": {"name": gene["symbol"], "id": own["ensembl_id"]}},
        "info": {"gene_coverage": None if pd.isna(sets) else int(sets)},
        "source": {"category": CATEGORIES[gene["origin"]]},
    }
