// group_stats.cu: per group and gene, over the cells of a CSR block: detections, sums of the stored values x, and sums
// of e and e², with e = log1p(target_sum · x / library size) computed on the fly (target_sum 0: x is e already).
//
//   indptr, indices, data   as in cell.cuh
//   library_size (cells)    sum of the counts of each cell; not read if target_sum is 0
//   order (cells)           cell numbers, sorted by group; those without a group are not in it
//   group_start (groups + 1)  where each group starts in `order`, and where the last one ends
//   tables (5, groups, genes)   64-bit integers, initially zero; see `Table` and the bounds below
//   out_of_range (1)        initially zero; 1 if a value exceeded the bounds, which makes `tables` invalid
//   grid                    runs of `cells_per_run` cells × tiles of `genes_per_tile` genes, tiles fastest
//   shared_bytes            per warp a table of small counts, per gene of the tile 16
//
// Why this way. Adding directly to the tables needs 4 atomics per value in L2: by the number of L2 slices, about ten
// times the time of reading the value on an H100. So cells are sorted by group (only their numbers). A thread block
// sums a run of cells in shared memory, for a tile of genes, and adds its sums to the tables where a group ends, and
// after CELLS_AT_ONCE cells. That is a few hundredths of an atomic per value for large groups, and with thousands of
// groups no more than the size of the tables, which must be written anyway. So one strategy works for 2 groups and for
// 10,000.
// A warp takes one cell, so reads coalesce. Where the cells of a warp lie, their library sizes, and where the tile
// begins and ends in them is found for 32 cells at a time, one in each lane: no read waits for another in the loop.
// Shared memory adds 32-bit words natively, but 64-bit words by a compare-and-swap loop (seen in the machine code of
// sm_80, 90, 100 and 120), hence `Sums`: three atomics per value, and a fourth where a word overflows.
//
// Determinism and bounds. All sums are integers, so the order of atomics cannot change them. e and e² are rounded to
// multiples of 1 / scale, with an error of at most 0.5 / scale each. The host chooses scale = 2^k such that log1p(
// target_sum) · scale ≤ 2^32, so that the amount of a count fits a word; with 64 bits in the tables, 2^30 cells cannot
// overflow. A larger amount of given e (|e| ≥ 16) is added to the tables directly. x is split: integer parts below
// LARGE_COUNT are summed in shared memory, larger ones (below 2^31) in the tables; fractions in the tables, as multiples
// of 1 / fraction_scale. |e| < LARGEST_E if e is given; otherwise it cannot exceed log1p(target_sum).
//
// Twin: ops.group_stats. Launch: cuda.group_stats.

#include "cell.cuh"

constexpr int THREADS_AT_MOST = 1024;
constexpr double LARGEST_VALUE = 2147483648.0;  // 2^31
constexpr double LARGEST_E = 128.0;             // log1p of the largest float32 is 89
constexpr int DETECTION_BIT = 21;               // of the census: detections from here on, integer parts below
constexpr unsigned LARGE_COUNT = 1024;
constexpr int FIRST_STEP = 16;       // in a search for a gene: 64 bytes of indices
constexpr int CELLS_AT_ONCE = 2047;  // fewer than 2^11 detections; integer parts stay below 2^21, carries below 2^15

using Word = unsigned long long;
enum Table { DETECTED, WHOLE, FRACTION, TOTAL, SQUARE };

// The tables, from the first gene of this thread block and the group that it is summing.
struct Sums {
    Word* tables;
    long long table_size;

    __device__ void add(Table table, int i, Word amount) const {
        if (amount != 0) atomicAdd(tables + table * table_size + i, amount);
    }
};

// Sums of one group and some consecutive genes in shared memory. Those of e and e² have 48 bits, modulo 2^48: a word
// each, and half a word of `carries` for what overflows.
struct Tile {
    unsigned *census, *total, *square, *carries;
    int genes;

    __device__ Tile(unsigned* memory, int stride, int genes)
        : census(memory), total(memory + stride), square(memory + 2 * stride), carries(memory + 3 * stride),
          genes(genes) {}

    __device__ void add(int i, unsigned counted, unsigned of_total, unsigned of_square, unsigned carried) const {
        atomicAdd(&census[i], counted);
        const unsigned before_total = atomicAdd(&total[i], of_total), before_square = atomicAdd(&square[i], of_square);
        carried += before_total + of_total < before_total ? 1u << 16 : 0;
        carried += before_square + of_square < before_square ? 1 : 0;
        if (carried != 0) atomicAdd(&carries[i], carried);
    }

    __device__ void clear() const {
        for (int i = threadIdx.x; i < genes; i += blockDim.x) census[i] = total[i] = square[i] = carries[i] = 0;
    }

    __device__ void move_to(const Sums& sums) const {
        for (int i = threadIdx.x; i < genes; i += blockDim.x) {
            const unsigned counted = census[i];
            const int above_total = static_cast<int>(carries[i]) >> 16, above_square = carries[i] & 0xffff;
            sums.add(DETECTED, i, counted >> DETECTION_BIT);
            sums.add(WHOLE, i, counted & ((1u << DETECTION_BIT) - 1));
            sums.add(TOTAL, i, (static_cast<Word>(static_cast<long long>(above_total)) << 32) + total[i]);
            sums.add(SQUARE, i, (static_cast<Word>(above_square) << 32) + square[i]);
            census[i] = total[i] = square[i] = carries[i] = 0;
        }
    }
};

// How values become amounts, and where those go.
struct Adder {
    const Tile& tile;
    const Sums& sums;
    double fraction_scale, total_scale, square_scale;

    __device__ uint2 amounts(double e) const {
        return make_uint2(__double2uint_rn(e * total_scale), __double2uint_rn(e * e * square_scale));
    }

    // A count that has no entry in the table of small counts. False if it is out of range.
    __device__ bool add_count(int i, double value, double factor) const {
        if (!(value > 0 && value < LARGEST_VALUE)) return false;
        const uint2 amount = amounts(log1p(value * factor));
        const unsigned whole = static_cast<unsigned>(value);
        if (value > whole) sums.add(FRACTION, i, __double2ll_rn((value - whole) * fraction_scale));
        if (whole >= LARGE_COUNT) sums.add(WHOLE, i, whole);
        tile.add(i, (1u << DETECTION_BIT) + (whole < LARGE_COUNT ? whole : 0), amount.x, amount.y, 0);
        return true;
    }

    // A given logarithm. False if it is out of range.
    __device__ bool add_expression(int i, double e) const {
        if (!(e > -LARGEST_E && e < LARGEST_E)) return false;
        const unsigned counted = static_cast<unsigned>(e > 0) << DETECTION_BIT;
        const long long of_total = __double2ll_rn(e * total_scale), of_square = __double2ll_rn(e * e * square_scale);
        if (of_square >> 32 == 0) {  // |e| is below 16, so `of_total` is between −2^32 and 2^32
            tile.add(i, counted, of_total, of_square, static_cast<unsigned>(of_total >> 32) << 16);
            return true;
        }
        atomicAdd(&tile.census[i], counted);
        sums.add(TOTAL, i, of_total);
        sums.add(SQUARE, i, of_square);
        return true;
    }
};

// The number of genes in a cell that come before `gene`. The search begins where that would be if the cell's genes were
// spread evenly, and goes away from there in growing steps: fewer lines of memory are read than by halving the cell.
template <typename I>
__device__ int genes_before(const I* indices, int length, int gene, int n_genes) {
    if (gene <= 0) return 0;
    if (gene >= n_genes) return length;
    int low = 0, high = length, step = FIRST_STEP;
    int place = min(static_cast<int>(length * (static_cast<float>(gene) / n_genes)), length - 1);
    while (low < high) {
        if (indices[place] < gene) low = place + 1;
        else high = place;
        if (low > 0 && high < length) {
            place = (low + high) / 2;
        } else {
            place = low > 0 ? min(low + step, length - 1) : max(high - 1 - step, 0);
            step *= 2;
        }
    }
    return low;
}

// The last group that starts at or before `place`, which is in a group; groups without cells are passed over.
__device__ inline int group_at(int place, const long long* group_start, int n_groups) {
    int low = 0, high = n_groups - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (group_start[middle + 1] > place) high = middle;
        else low = middle + 1;
    }
    return low;
}

template <typename T, typename I>
__global__ void __launch_bounds__(THREADS_AT_MOST)
    group_stats(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                const double* __restrict__ library_size, const int* __restrict__ order,
                const long long* __restrict__ group_start, int n_groups, int n_genes, int genes_per_tile,
                int cells_per_run, double target_sum, double fraction_scale, double total_scale, double square_scale,
                Word* __restrict__ tables, int* __restrict__ out_of_range) {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    uint2* small = reinterpret_cast<uint2*>(shared_memory) + warp * SMALL_COUNTS;
    unsigned* memory = reinterpret_cast<unsigned*>(shared_memory + warps * SMALL_COUNTS * sizeof(uint2));

    const int n_tiles = (n_genes + genes_per_tile - 1) / genes_per_tile;
    const int first_gene = blockIdx.x % n_tiles * genes_per_tile;
    const Tile tile(memory, genes_per_tile, min(genes_per_tile, n_genes - first_gene));
    const bool has_tiles = n_tiles > 1, counts = target_sum > 0;
    const long long begin_of_run = blockIdx.x / n_tiles * static_cast<long long>(cells_per_run);
    const int end_of_run = min(begin_of_run + cells_per_run, group_start[n_groups]);
    int first = min(begin_of_run, group_start[n_groups]);

    tile.clear();
    __syncthreads();

    constexpr int N = sizeof(T) + sizeof(I) <= 8 ? 8 : 4;  // values that a lane loads ahead: as many as registers allow
    bool bad = false;
    while (first < end_of_run) {
        const int group = group_at(first, group_start, n_groups);
        const int last = min(min(end_of_run, static_cast<int>(group_start[group + 1])), first + CELLS_AT_ONCE);
        const long long table_size = static_cast<long long>(n_groups) * n_genes;
        const Sums sums{tables + static_cast<long long>(group) * n_genes + first_gene, table_size};
        const Adder adder{tile, sums, fraction_scale, total_scale, square_scale};

        for (int base = first + warp; base < last; base += warps * WARP) {
            // Lane k prepares the k-th of the next cells of this warp.
            const int place = base + lane * warps;
            long long begin = 0;
            int length = 0;
            double factor = 0;
            if (place < last) {
                const long long cell = order[place];
                begin = indptr[cell];
                length = static_cast<int>(indptr[cell + 1] - begin);
                if (counts) factor = per_count(target_sum, library_size[cell]);
                if (has_tiles) {
                    const int before = genes_before(indices + begin, length, first_gene, n_genes);
                    length = genes_before(indices + begin, length, first_gene + tile.genes, n_genes) - before;
                    begin += before;
                }
            }
            const int cells = min(WARP, (last - base + warps - 1) / warps);
            for (int k = 0; k < cells; ++k) {
                const long long begin_k = __shfl_sync(ALL_LANES, begin, k);
                const double factor_k = __shfl_sync(ALL_LANES, factor, k);
                const Values<T, I> part{data + begin_k, indices + begin_k, __shfl_sync(ALL_LANES, length, k)};
                for (int start = 0; start < part.end; start += N * WARP) {
                    const Loaded<T, I, N> loaded(part, start + lane, WARP);
                    if (start == 0 && counts) {  // while the values are on their way
                        __syncwarp();
                        small[lane] = adder.amounts(log1p((lane + 1) * factor_k));
                        __syncwarp();
                    }
                    bool others = false;
#pragma unroll
                    for (int j = 0; j < N; ++j) {
                        const T value = loaded.value[j];
                        const int i = static_cast<int>(loaded.gene[j]) - first_gene;
                        if (!counts) {
                            if (value != T(0)) bad |= !adder.add_expression(i, value);
                        } else if (const unsigned count = small_count(value)) {
                            const uint2 amount = small[count - 1];
                            tile.add(i, (1u << DETECTION_BIT) + count, amount.x, amount.y, 0);
                        } else {
                            others |= value != T(0);
                        }
                    }
                    if (!others) continue;
#pragma unroll 1
                    for (int p = start + lane; p < min(start + N * WARP, part.end); p += WARP) {
                        const T value = part.data[p];
                        if (value == T(0) || small_count(value) > 0) continue;
                        bad |= !adder.add_count(static_cast<int>(part.indices[p]) - first_gene, value, factor_k);
                    }
                }
            }
        }
        __syncthreads();
        tile.move_to(sums);
        __syncthreads();
        first = last;
    }
    if (bad) *out_of_range = 1;
}
