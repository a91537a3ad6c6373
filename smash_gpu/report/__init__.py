"""One self-contained HTML file with everything that was found, for people to read."""

from smash_gpu.report._page import page, write

__all__ = ["page", "write"]
