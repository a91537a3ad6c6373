"""What a person should know before ordering a panel: broken promises, bright genes, caps that cost too much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from smash_gpu.genes.names import detect_species, family
from smash_gpu.panel.certificate import missing
from smash_gpu.panel.choice import design
from smash_gpu.panel.request import EXCLUDED, Request
from smash_gpu.panel.result import Design
from smash_gpu.runtime.words import join_names

LISTED = 10
BRIGHT = 100.0  # mean counts per cell; a single gene then crowds the image, or takes the reads of the others
POOR = 0.5  # of what is possible


def remarks(found: Design, tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Sentences to warn with; none if all is well."""
    short = missing(tables["certificate"])
    if len(short):
        yield (
            f"{len(short)} of {len(found.problem.classes.names)} classes have fewer markers than promised: "
            f"{', '.join(short['class'].astype(str)[:LISTED])}; get.panel_table(adata, 'certificate') says why."
        )
    yield from _bright(found)
    yield from _poor(found, tables)


def on_hla(symbols: Iterable[str], request: Request) -> str:
    """A note that genes of the MHC are in the panel, because the families that stay out by default are others."""
    names = np.array(list(symbols), dtype=object)
    species = detect_species(names) if request.species == "auto" else request.species
    if species is None or set(request.exclude_families) != set(EXCLUDED):
        return ""
    kept = names[family("hla", names, species)]
    if not len(kept):
        return ""
    families = [*EXCLUDED, "hla"]
    return f"MHC genes are in the panel ({join_names(kept)}); exclude_families={families} leaves them out."


def _bright(found: Design) -> Iterator[str]:
    """Genes that no cap keeps below `BRIGHT` counts per cell."""
    request, expressed = found.problem.request, found.problem.expressed
    if request.is_capped or expressed.why_no_counts:
        return
    counts = expressed.counts_per_cell()[:, found.panel]
    most, of = counts.max(axis=0), found.problem.classes.labels[counts.argmax(axis=0)]
    bright = np.flatnonzero(most > BRIGHT)
    if len(bright):
        names = found.problem.genes.names[found.panel]
        genes, have = ("gene", "has") if len(bright) == 1 else ("genes", "have")
        listed = (f"{names[i]} ({most[i]:,.0f} in {of[i]})" for i in bright[np.argsort(-most[bright], kind="stable")])
        yield (
            f"{len(bright)} {genes} of the panel {have} more than {BRIGHT:g} counts per cell in some class: "
            f"{', '.join(list(listed)[:LISTED])}. If that is too bright, pass max_counts=(None, {BRIGHT:g}), or "
            "max_transcripts= for the whole panel."
        )


def _poor(found: Design, tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    """A panel that resolves less than half of what as many genes resolve without caps."""
    if found.problem.is_label_free:
        return
    resolution = float(tables["curve"]["resolution"].iloc[-1])
    if not found.problem.request.is_capped or resolution >= POOR:
        return  # nothing resolves more than all genes do
    possible = resolution * design(found.problem.without_caps()).value[-1] / found.value[-1]
    if resolution < POOR * possible:
        n = len(found.panel)
        yield (
            f"the caps leave a panel that resolves {resolution:.0%} of what all genes resolve; {n} genes without caps "
            f"resolve {possible:.0%}. Raise max_counts, max_transcripts or budget, or ask for fewer genes."
        )
