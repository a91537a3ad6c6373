// gather_dense.cu: expression e of chosen genes of a CSR block of cells, as a dense float32 matrix; clipped at a
// ceiling per gene if given.
//
//   indptr, indices, data   as in cell.cuh
//   column (genes)          column of each gene in `out`, or −1
//   target_sum              total to which counts are scaled before log1p; 0: stored values are e already
//   ceiling (columns)       null, or out = min(e, ceiling); a gene that is not stored has e = 0
//   out (cells, columns)    row-major; every element is written once
//   grid                    cells × tiles of `columns_per_tile` columns, tiles fastest
//   shared_bytes            one float per column
//
// Why this way. The output is most of the traffic. If it is written once and in order, it need not be zeroed first. A
// thread block builds one row in shared memory, puts the values of the cell into it, and writes it. The cell is read
// twice, for its library size and for its values; the second read comes from L1. Logarithms are computed while the
// values are dense in the lanes, before they are scattered.
// Memory traffic: a value and an index per non-zero, 4 bytes per element of `out`; the column map and the ceilings stay
// in L2.
//
// Determinism: one thread computes each element, from its cell alone; the library size is summed in a fixed order.
//
// Twin: ops.gather_dense. Launch: cuda.gather_dense.

#include "cell.cuh"

constexpr int THREADS_AT_MOST = 256;
constexpr int BLOCKS_AT_ONCE = 4;  // per multiprocessor: at most 64 registers per thread, none spilled

// The library size of the cell of this thread block, identical in every thread.
template <typename T>
__device__ double library_size_of(const T* data, Span cell) {
    __shared__ double of_warp[THREADS_AT_MOST / WARP];
    const double sum = sum_over_warp(sum_of_share(data, cell, threadIdx.x, blockDim.x));
    if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = sum;
    __syncthreads();
    double library_size = 0;
    for (int warp = 0; warp < blockDim.x / WARP; ++warp) library_size += of_warp[warp];
    return library_size;
}

template <typename T, typename I>
__global__ void __launch_bounds__(THREADS_AT_MOST, BLOCKS_AT_ONCE)
    gather_dense(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                 const int* __restrict__ column, int n_columns, int columns_per_tile, double target_sum,
                 const float* __restrict__ ceiling, float* __restrict__ out) {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    __shared__ double small[SMALL_COUNTS];
    float* row = reinterpret_cast<float*>(shared_memory);

    const int n_tiles = (n_columns + columns_per_tile - 1) / columns_per_tile;
    const long long cell_number = blockIdx.x / n_tiles;
    const int first_column = blockIdx.x % n_tiles * columns_per_tile;
    const int columns = min(columns_per_tile, n_columns - first_column);
    const Span cell = stored_values(indptr, cell_number);

    for (int c = threadIdx.x; c < columns; c += blockDim.x) row[c] = 0;
    const Expression expression(target_sum, target_sum > 0 ? library_size_of(data, cell) : 0, small);
    if (threadIdx.x < SMALL_COUNTS) small[threadIdx.x] = expression.of_small_count(threadIdx.x);
    __syncthreads();

    for_each_value(data, indices, cell, threadIdx.x, blockDim.x, [&](T value, long long gene) {
        const int c = column[gene] - first_column;
        if (c >= 0 && c < columns) row[c] = static_cast<float>(expression(value));
    });
    __syncthreads();

    float* target = out + cell_number * n_columns + first_column;
    for (int c = threadIdx.x; c < columns; c += blockDim.x)
        target[c] = ceiling == nullptr ? row[c] : min(row[c], ceiling[first_column + c]);
}
