"""What is computed on Dask: blocks of cells, boosted trees, forests."""

from smash_gpu.distributed.graph import Blocks, in_order, tasks, total
from smash_gpu.runtime.cluster import active_client, despite_losses, is_dask

__all__ = ["Blocks", "active_client", "despite_losses", "in_order", "is_dask", "tasks", "total"]
