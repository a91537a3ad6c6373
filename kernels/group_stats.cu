// group_stats.cu: per group and gene, over the cells of a CSR block: detections, sums of the stored values x, and sums
// of e and e², with e = log1p(target_sum · x / library size) computed on the fly (target_sum 0: x is e already).
//
//   indptr, indices, data   as in cell.cuh
//   order (cells)           cell numbers, sorted by group; cells without a group come first
//   group_start (groups + 1)  where each group starts in `order`
//   run_end (groups)        number of runs of all groups up to and including this one; a run is `cells_per_run` cells
//                           of a group
//   tables (5, groups, genes)   64-bit integers, initially zero; see `Table` and the bounds below
//   out_of_range (1)        initially zero; 1 if a value exceeded the bounds, which makes `tables` invalid
//   grid                    runs × tiles of `genes_per_tile` genes, tiles fastest; dynamic shared memory: shared_bytes
//
// Why this way. Adding directly to the tables needs 4 atomics per value in L2: by the number of L2 slices, about ten
// times the time of reading the value on an H100. So cells are sorted by group (only their numbers). A thread block
// sums a run of one group in shared memory, for a tile of genes, and adds the result to the tables once. That is a few
// hundredths of an atomic per value for large groups, and with thousands of groups no more than the size of the
// tables, which must be written anyway. So one strategy works for 2 groups and for 10,000: only the runs of a group
// contend, once per run.
// A warp takes one cell, so reads coalesce. The tiles of a run are neighbours in the grid and run at the same time.
// Each needs the library size and sums the whole cell, but only the first reads it from memory, the others from L2.
// Shared memory adds 32-bit words natively but 64-bit words by a compare-and-swap loop (seen in the machine code of
// sm_80, 90, 100 and 120), hence `Sums`.
//
// Determinism and bounds. All sums are integers, so the order of atomics cannot change them. e and e² are rounded to
// multiples of 1 / scale, with an error of at most 0.5 / scale each; the host chooses scale = 2^k such that cells ·
// max e · scale ≤ 2^62. x is split: integer parts, each below 2^31, are added exactly; fractions as multiples of 1 /
// fraction_scale. |e| < LARGEST_E if e is given; otherwise it cannot exceed log1p(target_sum).
//
// Twin: ops.group_stats. Launch: cuda.group_stats.

#include "cell.cuh"

constexpr int THREADS_AT_MOST = 1024;
constexpr double LARGEST_VALUE = 2147483648.0;  // 2^31
constexpr double LARGEST_E = 128.0;             // log1p of the largest float32 is 89
constexpr int DETECTION_BIT = 48;               // integer parts of a run must stay below 2^48, so cells_per_run < 2^16

using Word = unsigned long long;
enum Table { DETECTED, WHOLE, FRACTION, TOTAL, SQUARE };

// 64-bit sums modulo 2^64 in shared memory, one per gene, as two words with a carry.
struct Sums {
    unsigned *low, *high;

    __device__ void add(int i, Word amount) const {
        const unsigned addend = static_cast<unsigned>(amount);
        const unsigned before = atomicAdd(&low[i], addend);
        const unsigned carry = before + addend < addend;
        const unsigned above = static_cast<unsigned>(amount >> 32) + carry;
        if (above != 0) atomicAdd(&high[i], above);
    }
    __device__ void clear(int i) const { low[i] = high[i] = 0; }
    __device__ Word value(int i) const { return static_cast<Word>(high[i]) << 32 | low[i]; }
};

// The part of the tables of one thread block: one group, some consecutive genes.
struct Tile {
    long long first_place;  // of the tile in a table
    int first_gene, genes;
    Sums census, total, square;  // census: detections from DETECTION_BIT on, integer parts of the values below it

    __device__ Tile(unsigned* memory, long long group, int first_gene, int genes, int n_genes)
        : first_place(group * n_genes + first_gene), first_gene(first_gene), genes(genes),
          census{memory, memory + genes}, total{memory + 2 * genes, memory + 3 * genes},
          square{memory + 4 * genes, memory + 5 * genes} {}

    __device__ void clear() const {
        for (int i = threadIdx.x; i < genes; i += blockDim.x) census.clear(i), total.clear(i), square.clear(i);
    }
    __device__ void add_to(Word* tables, long long table_size) const;
};

__device__ inline void add_unless_zero(Word* sum, Word amount) {
    if (amount != 0) atomicAdd(sum, amount);
}

__device__ inline void Tile::add_to(Word* tables, long long table_size) const {
    Word* place = tables + first_place;
    for (int i = threadIdx.x; i < genes; i += blockDim.x) {
        const Word counted = census.value(i);
        add_unless_zero(place + DETECTED * table_size + i, counted >> DETECTION_BIT);
        add_unless_zero(place + WHOLE * table_size + i, counted & ((Word(1) << DETECTION_BIT) - 1));
        add_unless_zero(place + TOTAL * table_size + i, total.value(i));
        add_unless_zero(place + SQUARE * table_size + i, square.value(i));
    }
}

__device__ inline Word in_units(double x, double scale) { return static_cast<Word>(__double2ll_rn(x * scale)); }

// The first group whose runs end after `run`.
__device__ inline int group_of(long long run, const long long* run_end, int n_groups) {
    int low = 0, high = n_groups - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (run_end[middle] > run) high = middle;
        else low = middle + 1;
    }
    return low;
}

// A part of a cell with all its values of a tile, plus up to 1/16 of the cell: each lane checks one position.
template <typename I>
__device__ Span around(const Tile& tile, const I* indices, Span cell, int lane) {
    const long long length = cell.end - cell.begin;
    if (length == 0) return cell;
    const long long gene = indices[cell.begin + length * lane / WARP];
    const int not_after = __popc(__ballot_sync(ALL_LANES, gene <= tile.first_gene));
    const int before_end = __popc(__ballot_sync(ALL_LANES, gene < tile.first_gene + tile.genes));
    const int from = not_after > 0 ? not_after - 1 : 0;
    return {cell.begin + length * from / WARP, cell.begin + length * before_end / WARP};
}

template <typename T, typename I>
__global__ void __launch_bounds__(THREADS_AT_MOST)
    group_stats(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                const long long* __restrict__ order, const long long* __restrict__ group_start,
                const long long* __restrict__ run_end, int n_groups, int n_genes, int genes_per_tile, int cells_per_run,
                double target_sum, double fraction_scale, double total_scale, double square_scale,
                Word* __restrict__ tables, int* __restrict__ out_of_range) {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    const int n_tiles = (n_genes + genes_per_tile - 1) / genes_per_tile;
    const long long run = blockIdx.x / n_tiles;
    if (run >= run_end[n_groups - 1]) return;  // the host counts runs without knowing group sizes

    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    double* small = reinterpret_cast<double*>(shared_memory) + warp * SMALL_COUNTS;
    unsigned* sums = reinterpret_cast<unsigned*>(shared_memory + warps * SMALL_COUNTS * sizeof(double));

    const int group = group_of(run, run_end, n_groups);
    const int first_gene = blockIdx.x % n_tiles * genes_per_tile;
    const Tile tile(sums, group, first_gene, min(genes_per_tile, n_genes - first_gene), n_genes);
    const long long table_size = static_cast<long long>(n_groups) * n_genes;
    const long long run_of_group = run - (group > 0 ? run_end[group - 1] : 0);
    const long long first = group_start[group] + run_of_group * cells_per_run;
    const long long last = min(first + cells_per_run, group_start[group + 1]);

    tile.clear();
    __syncthreads();

    bool bad = false;
    for (long long place = first + warp; place < last; place += warps) {
        const Span cell = stored_values(indptr, order[place]);
        const bool counts = target_sum > 0;
        const double library_size = counts ? sum_over_warp(sum_of_share(data, cell, lane, WARP)) : 0;
        const Expression expression(target_sum, library_size, small);
        if (counts) small[lane] = expression.of_small_count(lane);
        __syncwarp();

        const Span part = tile.genes < n_genes ? around(tile, indices, cell, lane) : cell;
        for_each_value(data, indices, part, lane, WARP, [&](T value, long long gene) {
            const int i = static_cast<int>(gene - tile.first_gene);
            if (i < 0 || i >= tile.genes) return;
            const bool possible = counts ? value > 0 && value < LARGEST_VALUE : value > -LARGEST_E && value < LARGEST_E;
            if (!possible) {
                bad = true;
                return;
            }
            const double e = expression(value);
            tile.total.add(i, in_units(e, total_scale));
            tile.square.add(i, in_units(e * e, square_scale));
            const unsigned whole = counts ? static_cast<unsigned>(value) : 0;
            tile.census.add(i, (Word(value > 0) << DETECTION_BIT) + whole);
            const double fraction = counts ? static_cast<double>(value) - whole : 0;
            if (fraction > 0) {
                atomicAdd(tables + FRACTION * table_size + tile.first_place + i, in_units(fraction, fraction_scale));
            }
        });
        __syncwarp();
    }
    if (bad) *out_of_range = 1;

    __syncthreads();
    tile.add_to(tables, table_size);
}
