// gather_dense.cu: expression e of chosen genes of a CSR block of cells, as a dense float32 matrix; clipped at a
// ceiling per gene if given.
//
//   indptr, indices, data   as in cell.cuh
//   library_size (cells)    sum of the counts of each cell; not read if target_sum is 0
//   chosen (genes / 32)     for 32 genes each: a bit per gene that is wanted, and the number of wanted genes before them
//   column (columns)        column in `out` of each wanted gene, in the order of the genes
//   target_sum              total to which counts are scaled before log1p; 0: stored values are e already
//   ceiling (columns)       null, or out = min(e, ceiling); a gene that is not stored has e = 0
//   out (cells, columns)    row-major
//   grid                    one thread block per cell
//
// Why this way. The output is most of the traffic. A thread block writes zeros to its row, 16 bytes at a time, and then
// the values. Both meet in L2, so memory is written once; a row in shared memory was slower. `chosen` is 5 kB for 20,000
// genes and stays in L1; a warp reads one or two lines of it for 32 values. e of a small count lies in a lane of every
// warp, so no barrier waits for logarithms.
// Memory traffic: a value and an index per non-zero, 4 bytes per element of `out`.
//
// Determinism: one thread computes each element, from its cell alone.
//
// Twin: ops.gather_dense. Launch: cuda.gather_dense.

#include "cell.cuh"

constexpr int THREADS_AT_MOST = 128;
constexpr int N = 4;  // values that a thread loads ahead

// Zeros, or the ceiling of a gene if that is below 0.
__device__ inline void clear(float* row, int n_columns, const float* ceiling) {
    if (ceiling != nullptr) {
        for (int c = threadIdx.x; c < n_columns; c += blockDim.x) row[c] = min(0.0f, ceiling[c]);
        return;
    }
    const int misplaced = reinterpret_cast<unsigned long long>(row) % sizeof(float4) / sizeof(float);
    const int head = min((4 - misplaced) % 4, n_columns), quads = (n_columns - head) / 4, tail = head + 4 * quads;
    float4* aligned = reinterpret_cast<float4*>(row + head);
    for (int q = threadIdx.x; q < quads; q += blockDim.x) aligned[q] = make_float4(0, 0, 0, 0);
    if (threadIdx.x < head) row[threadIdx.x] = 0;
    if (threadIdx.x < n_columns - tail) row[tail + threadIdx.x] = 0;
}

template <typename T, typename I>
__global__ void __launch_bounds__(THREADS_AT_MOST)
    gather_dense(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                 const double* __restrict__ library_size, const uint2* __restrict__ chosen,
                 const int* __restrict__ column, int n_columns, double target_sum, const float* __restrict__ ceiling,
                 float* __restrict__ out) {
    const int lane = threadIdx.x % WARP;
    const long long cell_number = blockIdx.x;
    const bool counts = target_sum > 0;
    const double factor = counts ? per_count(target_sum, library_size[cell_number]) : 0;
    const I begin = indptr[cell_number];
    const Values<T, I> cell{data + begin, indices + begin, static_cast<int>(indptr[cell_number + 1] - begin)};
    float* row = out + cell_number * n_columns;

    clear(row, n_columns, ceiling);
    const float of_lane = counts ? static_cast<float>(log1p((lane + 1) * factor)) : 0;
    __syncthreads();

    for (int first = threadIdx.x; first - lane < cell.end; first += N * blockDim.x) {
        const Loaded<T, I, N> loaded(cell, first, blockDim.x);
#pragma unroll
        for (int j = 0; j < N; ++j) {
            const T value = loaded.value[j];
            const uint2 genes = chosen[static_cast<unsigned>(loaded.gene[j]) / 32];
            const unsigned bit = 1u << static_cast<unsigned>(loaded.gene[j]) % 32;
            const unsigned count = counts ? small_count(value) : 0;
            const float of_count = __shfl_sync(ALL_LANES, of_lane, static_cast<int>(count) - 1);
            if (value == T(0) || (genes.x & bit) == 0) continue;
            const int c = column[genes.y + __popc(genes.x & (bit - 1))];
            const float e = count > 0 ? of_count : static_cast<float>(counts ? log1p(value * factor) : value);
            row[c] = ceiling == nullptr ? e : min(e, ceiling[c]);
        }
    }
}
