"""One HTML file with all results, for people to read; it needs no other file and no network."""

from smash_gpu.report._page import page, write, write_transfer, write_validation

__all__ = ["page", "write", "write_transfer", "write_validation"]


def __dir__() -> list[str]:
    return __all__
