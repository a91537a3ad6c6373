"""Calls of the command line and what they must say."""

from __future__ import annotations

import anndata as ad

MARKERS = [f"MARKER{group}{letter}" for group in range(3) for letter in "XYZ"]
PNG = b"\x89PNG"


def changed(data, change):
    """The file with something else in it."""
    adata = ad.read_h5ad(data)
    change(adata)
    adata.write_h5ad(data)


def written(path, *lines, encoding="utf-8"):
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def find(run, data, *options):
    return run("find", data, "--groupby", "cell_type", *options)


def evaluate(run, data, genes, *options):
    return run("evaluate", data, "--groupby", "cell_type", "--genes", genes, *options)


def assert_one_message(result, *words):
    """Exit code 2, and on standard error one message with these words."""
    code, _, error = result
    assert code == 2
    assert "Traceback" not in error
    said = [line for line in error.splitlines() if not line.startswith("note: ")]
    assert sum(line.startswith("smash-gpu") for line in said) == 1
    for word in words:
        assert word in error
