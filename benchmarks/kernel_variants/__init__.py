"""Variants of the kernels, timed on a device: what their final form was chosen by.

On a node with CuPy: ``python -m benchmarks.kernel_variants [CELLS]``, about 10 s for a million cells. The variants are
chosen by macros of the two files here. ``benchmarks/results/kernel_variants.jsonl`` holds what one H200 said; this
script was put in order afterwards. The kernels in ``kernels/`` are the best of them, for all types of values, with
exact limits of the tiles and with values checked.
"""
