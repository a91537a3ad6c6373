"""What is counted in the machine code of the kernels, and the searches that their tables speak of."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import gpu, kernel_instructions, tile_searches

CODE = """
        /*0000*/                   S2R R0, SR_TID.X ;  /* 0x0000000000007919 */
.L_x_1:
        /*0010*/                   LDG.E R2, desc[UR4][R4.64] ;  /* 0x0 */
        /*0020*/                   LDG.E R3, desc[UR4][R6.64] ;
        /*0030*/               @P0 BRA `(.L_x_3) ;
        /*0040*/                   IADD3 R2, R2, R3, RZ ;
.L_x_2:
        /*0050*/                   DFMA R8, R8, R8, R8 ;
        /*0060*/               @P1 BRA `(.L_x_2) ;
        /*0070*/                   BRA `(.L_x_4) ;
.L_x_3:
        /*0080*/                   SHF.R.U32.HI R2, RZ, 0x5, R2 ;
        /*0090*/              @!P2 STG.E desc[UR4][R6.64], R2 ;
.L_x_4:
        /*00a0*/               @P3 BRA P4, `(.L_x_1) ;
        /*00b0*/                   EXIT ;
"""


def test_the_longest_way_through_a_loop_leaves_out_float64():
    """Two loads, a branch, a shift, a store, a branch: six. The way with float64 arithmetic has seven."""
    code = kernel_instructions.parsed(CODE)
    assert len(code) == 12
    assert kernel_instructions.longest_path(code, 2) == 6
    with pytest.raises(ValueError, match="no loop has 3 loads"):
        kernel_instructions.longest_path(code, 3)


@pytest.mark.parametrize(
    ("registers", "threads", "shared", "warps"),
    [(32, 256, 0, 64), (44, 128, 0, 40), (68, 128, 0, 28), (64, 1024, 227 * 1024, 32), (40, 32, 0, 32)],
)
def test_the_warps_of_a_multiprocessor_are_those_of_the_occupancy_tables(registers, threads, shared, warps):
    assert kernel_instructions.occupancy(registers, threads, shared)["warps"] == warps


def test_the_usual_case_is_assumed_where_the_kernel_asks_for_it():
    source = "__global__ void k(int* column) {\n if (column == nullptr) return;"
    assert kernel_instructions.usual(source).startswith("__global__ void k(int* column) { __builtin_assume(column == ")
    assert kernel_instructions.usual("__global__ void k() {") == "__global__ void k() {"


@pytest.mark.parametrize("search", [tile_searches.halving, tile_searches.likely])
def test_each_search_finds_the_border(rng, monkeypatch, search):
    monkeypatch.setattr(gpu, "GENES", 500)
    for length in (0, 1, 2, 17, 100, 500):
        genes = np.sort(rng.permutation(500)[:length])
        for gene in (0, 1, 100, 250, 499, 500):
            assert search(genes, gene)[0] == np.searchsorted(genes, gene)


def test_a_cell_without_a_search_is_read_once_but_for_the_lines_at_the_borders():
    """100 genes in each of two tiles: 400 bytes, twice; lines of 64 bytes, and one line is in both tiles."""
    indices = np.concatenate([np.arange(100), 10_000 + np.arange(100)])
    assert tile_searches.lines_read(indices, 0, 200, tile_searches.known) == (2 * (7 + 7), 0)
