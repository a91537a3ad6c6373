// gather_dense.cu: expression e of chosen genes of a CSR block of cells, as a dense float32 matrix; clipped at a
// ceiling per gene if given.
//
//   indptr, indices, data   as in cell.cuh
//   library_size (cells)    sum of the counts of each cell; not read if target_sum is 0
//   chosen (genes / 32)     for 32 genes each: a bit per gene that is wanted, and the number of wanted genes before them
//   column (columns)        null, or the column in `out` of each wanted gene, in the order of the genes
//   target_sum              total to which counts are scaled before log1p; 0: stored values are e already
//   ceiling (columns)       null, or out = min(e, ceiling); a gene that is not stored has e = 0
//   out (cells, columns)    row-major
//   grid                    a warp per cell
//
// Why this way. The output is most of the traffic. Zeros are written first, 16 bytes at a time, and then the values. Both
// meet in L2, so memory is written once, if the zeros are still in L2 when the values come. A row of zeros at a time waits
// too long: the same code was slower the more rows were on their way, from 20 MB on. So a warp clears the columns up to its
// last 128th value, writes those values, and goes on; meanwhile the next 128 are being loaded. `chosen` is 5 kB for 20,000
// genes and stays in L1; a warp reads one or two lines of it for 32 values. e of a small count lies in a lane of the warp.
// Memory traffic: a value and an index per non-zero, 4 bytes per element of `out`.
//
// Determinism: one thread computes each element, from its cell alone.
//
// Twin: ops.gather_dense. Launch: cuda.gather_dense.

#include "cell.cuh"

constexpr int THREADS_AT_MOST = 128;
constexpr int N = 4;  // values that a lane loads ahead

// A gene and its word of `chosen`: whether it is wanted, and how many wanted genes there are up to it, itself included.
struct Gene {
    unsigned bits, before;  // its bit is the highest

    __device__ Gene(uint2 word, unsigned gene) : bits(word.x << (~gene & 31)), before(word.y) {}

    __device__ bool is_wanted() const { return static_cast<int>(bits) < 0; }
    __device__ int upto() const { return before + __popc(bits); }
};

// The row of a cell. Place i is the column of wanted gene number i.
struct Row {
    float* out;
    const int* column;
    const float* ceiling;

    __device__ void write(int place, float e) const {
        const int c = column == nullptr ? place : column[place];
        out[c] = ceiling == nullptr ? e : min(e, ceiling[c]);
    }

    // e = 0 in the places from `first` up to `last`.
    __device__ void clear(int first, int last, int lane) const {
        if (column != nullptr || ceiling != nullptr) {
#pragma unroll 1
            for (int place = first + lane; place < last; place += WARP) write(place, 0);
            return;
        }
        const int misplaced = reinterpret_cast<unsigned long long>(out + first) % sizeof(float4) / sizeof(float);
        const int head = min(first + (4 - misplaced) % 4, last), tail = last - (last - head) % 4;
        if (first + lane < head) out[first + lane] = 0;
        if (tail + lane < last) out[tail + lane] = 0;
#pragma unroll 1
        for (int c = head + 4 * lane; c < tail; c += 4 * WARP) {
            *reinterpret_cast<float4*>(out + c) = make_float4(0, 0, 0, 0);
        }
    }
};

template <typename T, typename I>
__global__ void __launch_bounds__(THREADS_AT_MOST)
    gather_dense(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                 const double* __restrict__ library_size, const uint2* __restrict__ chosen,
                 const int* __restrict__ column, int n_cells, int n_columns, double target_sum,
                 const float* __restrict__ ceiling, float* __restrict__ out) {
    const int lane = threadIdx.x % WARP;
    const long long cell_number = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / WARP;
    if (cell_number >= n_cells) return;
    const bool counts = target_sum > 0;
    const double factor = counts ? per_count(target_sum, library_size[cell_number]) : 0;
    const I begin = indptr[cell_number];
    const Values<T, I> cell{data + begin, indices + begin, static_cast<int>(indptr[cell_number + 1] - begin)};
    const Row row{out + cell_number * n_columns, column, ceiling};
    const int count_of_lane = lane == 0 ? SMALL_COUNTS : lane;
    const float of_lane = counts ? static_cast<float>(log1p(count_of_lane * factor)) : 0;

    int cleared = 0, start = 0;
    Loaded<T, I, N> ahead(cell, lane, WARP);
    do {
        const int next = start + N * WARP;
        const Loaded<T, I, N> loaded = ahead;
        ahead = Loaded<T, I, N>(cell, next + lane, WARP);
        uint2 word[N];
#pragma unroll
        for (int j = 0; j < N; ++j) word[j] = chosen[static_cast<unsigned>(loaded.gene[j]) / 32];
        int upto[N];
        bool is_wanted[N];
#pragma unroll
        for (int j = 0; j < N; ++j) {
            const Gene gene(word[j], loaded.gene[j]);
            upto[j] = gene.upto();
            is_wanted[j] = gene.is_wanted() && loaded.value[j] != T(0);
        }
        const int of_warp = __shfl_sync(ALL_LANES, upto[N - 1], WARP - 1);
        const int last = next < cell.end ? of_warp : n_columns;
        row.clear(cleared, last, lane);
        __syncwarp();
        bool others = false;
#pragma unroll
        for (int j = 0; j < N; ++j) {
            const unsigned count = counts ? small_count(loaded.value[j]) : 0;
            const float of_count = __shfl_sync(ALL_LANES, of_lane, count);
            if (!is_wanted[j]) continue;
            if (counts && count == 0) others = true;
            else row.write(upto[j] - 1, counts ? of_count : static_cast<float>(loaded.value[j]));
        }
        if (others) {
#pragma unroll 1
            for (int p = start + lane; p < min(next, cell.end); p += WARP) {
                const T value = cell.data[p];
                const Gene gene(chosen[static_cast<unsigned>(cell.indices[p]) / 32], cell.indices[p]);
                if (value == T(0) || small_count(value) > 0 || !gene.is_wanted()) continue;
                row.write(gene.upto() - 1, static_cast<float>(log1p(value * factor)));
            }
        }
        cleared = last;
        start = next;
    } while (start < cell.end);
}
