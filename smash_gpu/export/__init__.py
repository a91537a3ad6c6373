"""Panels as vendors take them: gene lists, a panel in JSON, a sheet for the order, and Xenium's reference bundle."""

from smash_gpu.export._gene_panel import gene_panel_json
from smash_gpu.export._lists import cosmx, merscope, xenium
from smash_gpu.export._reference import xenium_reference
from smash_gpu.export._sheet import design_sheet

__all__ = ["cosmx", "design_sheet", "gene_panel_json", "merscope", "xenium", "xenium_reference"]


def __dir__() -> list[str]:
    return __all__
