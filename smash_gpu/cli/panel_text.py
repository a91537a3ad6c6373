"""A designed panel in text."""

from __future__ import annotations

import math
from typing import Any


def show(adata: Any) -> None:
    """Print the genes, what they reach, and the constraints that are tight or broken."""
    from smash_gpu import get
    from smash_gpu.annotated import slots
    from smash_gpu.panel.certificate import missing
    from smash_gpu.panel.substitutes import LEAST_SHARE

    slide = get.panel_table(adata, "slide")
    if len(there := slide[slide["origin"] == "existing"]):
        absent = f", {(~there['in_data']).sum():,} of them not in the data" * (not there["in_data"].all())
        print(f"\nOn the slide: {len(slide):,} genes, {len(there):,} of the existing panel{absent}")
    genes, curve = get.panel_table(adata), get.panel_table(adata, "curve").iloc[-1]
    columns = ("rank", "name", "resolution", "resolves", "variation", "substitute", "replaces", "next_best")
    left_out = ("variation", "next_best") if "resolution" in genes else ()
    shown = genes[[name for name in columns if name in genes and name not in left_out]]
    print(f"\n{len(genes)} genes, in order of choice" + (" (the first 20):" if len(genes) > 20 else ":"))
    print(shown.head(20).to_string(index=False, float_format="{:.3f}".format))
    if "replaces" in shown:
        print("substitute: the gene to take if the probes of a gene cannot be made; replaces: the share of what is")
        print(
            f"lost without the gene that it makes up for; no gene is named where none makes up for {LEAST_SHARE:.0%}."
        )
    if "resolution" in curve:
        _show_resolution(curve)
    if "variation" in curve:
        print(
            f"{curve['variation']:.1%} of the variation explained; no panel of this size explains more than "
            f"{curve['variation_bound']:.1%}."
        )
    if "half_resolved" in curve:
        print(f"{curve['half_resolved']:.1%} of the pairs of classes are resolved by half. The hardest:")
        pairs = get.panel_table(adata, "pairs").head(5)
        columns_of_pairs = ["column", "class_a", "class_b", "resolved", "possible"]
        print(pairs[columns_of_pairs].to_string(index=False, float_format="{:.2f}".format))
    if "tuning" in adata.uns[slots.PANEL]:
        tuning = get.panel_table(adata, "tuning").to_string(index=False, float_format="{:.3f}".format)
        print(f"\nSettings by cross-validation:\n{tuning}")
    caps, short = get.panel_table(adata, "caps"), missing(get.panel_table(adata, "certificate"))
    if len(caps):
        fullest = caps.assign(share=caps["used"] / caps["limit"]).nlargest(5, "share")
        print(f"\nThe fullest caps:\n{fullest.to_string(index=False, float_format='{:.2f}'.format)}")
    if len(short):
        shown = short[["column", "class", "asked", "found", "in_data", "allowed", "reason", "way_out"]]
        print(f"\nClasses with fewer markers than requested:\n{shown.to_string(index=False)}")
    print()


def _show_resolution(curve: Any) -> None:
    print(
        f"\nResolution {curve['resolution']:.1%} of what all genes give; at least {at_least(curve['of_bound'])} of the "
        "best"
    )
    if "unweighted_resolution" in curve:
        print(f"panel of this size, genes weighed by the model; {curve['unweighted_resolution']:.1%} without weights.")
    else:
        print("panel of this size.")


def at_least(share: float) -> str:
    """A lower bound in percent, which is not rounded up."""
    return f"{math.floor(1000 * share + 1e-9) / 1000:.1%}"
