"""Registers, warps and instructions of the kernels, counted in their machine code for an H100 or H200, without one.

``pip install nvidia-cuda-nvdisasm nvidia-cuda-cuobjdump``, and then ``python -m benchmarks kernel_instructions --tools
site-packages/nvidia/cu13/bin``. ``--kernels`` names the folder of an earlier form, ``SMASH_COMMIT`` its commit. With
``--more`` also the measured variants of `gather_dense` (`benchmarks/kernel_variants`), beside the time that a device
took for them, and what the searches for the tiles of `group_stats` read (`benchmarks/tile_searches.py`).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import gpu, record, tile_searches
from benchmarks.tables.markdown import lines
from smash_gpu.compute import cuda

ARCHITECTURE = "sm_90"
TYPES = ("float, int", "double, long long")
COLUMNS = 5000  # for which MB are given
MULTIPROCESSORS, WARPS, BLOCKS = 132, 64, 32  # of an H100 or H200; warps and thread blocks that one holds
REGISTERS, PER_WARP = 65536, 256  # of a multiprocessor; a warp gets a multiple of 256
SHARED, RESERVED = 228 * 1024, 1024  # bytes of a multiprocessor, and of them for each thread block
THREADS = {"gather_dense": cuda.GATHER_THREADS, "group_stats": cuda.GROUP_STATS_THREADS}
VALUES = {"gather_dense": 4, "group_stats": 8}  # that a lane loads at once
SHARED_BYTES = {"gather_dense": 0, "group_stats": 227 * 1024}
USUAL = ("target_sum > 0", "ceiling == nullptr", "column == nullptr")  # what is counted: counts, genes in order
FLOAT64 = re.compile(r"D(ADD|MUL|FMA|SETP)|MUFU\.\w*64H")  # logarithms and divisions
LINE = re.compile(r"^\s*(?:(\.L_x_\d+):|/\*[0-9a-f]{4,}\*/\s+(?:(@!?U?P\w+)\s+)?([A-Z][\w.]*)(.*?);)", re.MULTILINE)
VARIANT = "AHEAD", "BITS", "DIRECT", "THREADS"


@dataclass(frozen=True)
class Instruction:
    """One line of machine code: where a branch may go, and whether the next line may follow."""

    opcode: str
    target: int | None = None
    falls_through: bool = True


def main(arguments: list[str]) -> None:
    """Append one line per kernel, per measured variant and per way to search."""
    options = record.parser("kernel_instructions")
    options.add_argument("--kernels", type=Path, default=cuda.SOURCES, help="folder with the kernels")
    options.add_argument("--tools", type=Path, required=True, help="folder with nvdisasm and cuobjdump")
    options.add_argument("--more", action="store_true", help="measured variants and searches as well")
    options = options.parse_args(arguments)
    found = list(of_kernels(options.kernels, options.tools))
    found += [*of_variants(options.tools), *tile_searches.rows()] if options.more else []
    record.write(options.json, found)


def of_kernels(folder: Path, tools: Path) -> Iterator[dict]:
    """A line for each kernel and each of `TYPES`."""
    cuda.SOURCES = folder
    for kernel, values in VALUES.items():
        source = cuda.source(kernel)
        for types in TYPES:
            name = f"{kernel}<{types}>"
            used, _ = compiled(source, name, tools)
            row = {"kernel": kernel, "types": types} | used
            row |= occupancy(used["registers"], THREADS[kernel], SHARED_BYTES[kernel])
            if types == TYPES[0]:  # small counts of float64 are found by its arithmetic
                _, code = compiled(usual(source), name, tools)
                row["instructions_per_32_values"] = round(longest_path(code, 2 * values) / values, 1)
            if kernel == "gather_dense":
                per_warp = "a warp per cell" in source
                row["columns"] = COLUMNS
                row["cleared_mb"] = cleared(
                    *((row["warps"], a_round(COLUMNS)) if per_warp else (row["blocks"], COLUMNS))
                )
            yield row


def of_variants(tools: Path) -> Iterator[dict]:
    """The variants of `gather_dense` that write to memory directly, and what a device took for them."""
    source = (Path(__file__).parent / "kernel_variants" / "gather_dense.cu").read_text()
    for row in lines("kernel_variants"):
        if row["what"] != "gather_dense" or not row.get("DIRECT"):
            continue
        macros = {name: row[name] for name in VARIANT if name in row}
        used, _ = compiled(source, "gather", tools, tuple(f"{name}={value}" for name, value in macros.items()))
        found = occupancy(used["registers"], macros.get("THREADS", 128), 0)
        size = {"columns": row["columns"], "cleared_mb": cleared(found["blocks"], row["columns"])}
        yield {"kernel": "gather_dense", "variant": macros, **used, **found, **size, "measured_s": row["median_s"]}


def cleared(rows: int, columns: float) -> float:
    """MB of zeros that wait for their values, if each multiprocessor has so many rows on their way."""
    return round(MULTIPROCESSORS * rows * columns * 4 / 1e6, 1)


def usual(source: str) -> str:
    """The source for the usual case alone, of which the others are not counted."""
    known = "".join(f" __builtin_assume({fact});" for fact in USUAL if fact in source)
    return re.sub(r"(__global__ void[^{]*\{)", rf"\1{known}", source)


def compiled(source: str, name: str, tools: Path, macros: tuple[str, ...] = ()) -> tuple[dict, list[Instruction]]:
    """Registers and bytes of the stack of a thread; and the instructions."""
    from cuda.core import Program, ProgramOptions

    options = ProgramOptions(arch=ARCHITECTURE, std="c++17", define_macro=list(macros) or None)
    names = (name,) if "<" in name else ()
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(Program(source, "c++", options).compile("cubin", name_expressions=names).code)
        file.flush()
        usage = _said(tools / "cuobjdump", "-res-usage", file.name)
        text = _said(tools / "nvdisasm", "-c", file.name)
    registers, stack = (max(map(int, re.findall(rf"{word}:(\d+)", usage))) for word in ("REG", "STACK"))
    code = parsed(text)
    used = {"architecture": ARCHITECTURE, "nvrtc": version("nvidia-cuda-nvrtc"), "registers": registers}
    return used | {"stack_bytes": stack, "instructions": len(code)}, code


def _said(*command: object) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout


def occupancy(registers: int, threads: int, shared_bytes: int) -> dict:
    """Thread blocks and warps that a multiprocessor holds at once."""
    warps = threads // 32
    by_registers = REGISTERS // (-(-registers * 32 // PER_WARP) * PER_WARP) // warps
    blocks = min(BLOCKS, WARPS // warps, by_registers, SHARED // (shared_bytes + RESERVED))
    return {"threads": threads, "shared_bytes": shared_bytes, "blocks": blocks, "warps": blocks * warps}


def parsed(text: str) -> list[Instruction]:
    """The instructions of a disassembly, of all its functions in their order."""
    places: dict[str, int] = {}
    raw: list[tuple[str, str, str]] = []
    for label, guard, opcode, rest in LINE.findall(text):
        if label:
            places[label] = len(raw)
        else:
            raw.append((guard, opcode, rest))
    code = []
    for guard, opcode, rest in raw:
        goes = opcode in ("BRA", "EXIT") or opcode.startswith("RET")
        target = re.search(r"\.L_x_\d+", rest) if opcode == "BRA" else None
        always = goes and not guard and not re.match(r"\s*!?U?P", rest)
        code.append(Instruction(opcode, places[target[0]] if target else None, not always))
    return code


def longest_path(code: list[Instruction], loads: int) -> int:
    """Instructions of one round of the smallest loop that loads so much, on its longest way without float64.

    Loops inside are passed once; those with float64 arithmetic, which few values need, not at all.
    """
    ends: dict[int, int] = {}
    for place, one in enumerate(code):
        if one.target is not None and one.target <= place:
            ends[one.target] = max(ends.get(one.target, 0), place)
    for first, last in sorted(ends.items(), key=lambda loop: loop[1] - loop[0]):
        if sum(one.opcode.startswith("LDG") for one in code[first : last + 1]) >= loads:
            inside = [(a, b) for a, b in ends.items() if first < a and b <= last]
            slow = [loop for loop in inside if any(FLOAT64.match(one.opcode) for one in code[loop[0] : loop[1] + 1])]
            return _longest(code, first, last, slow)
    raise ValueError(f"no loop has {loads} loads")


def _longest(code: list[Instruction], first: int, last: int, slow: list[tuple[int, int]]) -> int:
    """The longest way from ``first`` back to it."""
    length, best = {first: 1}, 0
    for place in range(first, last + 1):
        if place not in length or FLOAT64.match(code[place].opcode) or any(a <= place <= b for a, b in slow):
            continue
        target = code[place].target
        if target == first:
            best = max(best, length[place])
        following = [place + 1] if code[place].falls_through else []
        for after in [*following, *([target] if target is not None and target > place else [])]:
            length[after] = max(length.get(after, 0), length[place] + 1)
    return best


def a_round(columns: int) -> float:
    """Columns that a warp of `gather_dense` clears at a time: those of 128 of its values."""
    return columns * 32 * VALUES["gather_dense"] / gpu.DETECTED
