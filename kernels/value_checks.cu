// value_checks.cu: what the stored values of each cell of a CSR block look like, and their sum, the library size.
//
//   indptr, indices, data   as in cell.cuh
//   n_cells, large          cells of the block; a value above `large` counts as large
//   numbers (5, cells)      values that are non-zero, not finite, negative, fractional, and large; or null
//   sums (2, cells)         Σ x; and Σ expm1(min(x, large)) of cells with fractions, NaN for others; only Σ x (cells)
//                           if `numbers` is null
//   grid                    any number of thread blocks; each warp takes one cell after another
//
// Memory traffic: the values once, 44 bytes per cell. Cells with fractions are read twice; the second read comes from L2.
// Determinism: one warp adds the values of a cell in a fixed order.
//
// Twin: ops.value_checks. Launch: cuda.value_checks.

#include "cell.cuh"

constexpr int LOADS = 8;
constexpr long long NOT_A_NUMBER = 0x7ff8000000000000;

// Calls use(value) for this lane's share of the values, 0 for places behind the end.
template <typename T, typename Use>
__device__ void for_each_value(const T* data, int length, int lane, Use use) {
    for (int start = lane; start < length; start += LOADS * WARP) {
        T value[LOADS];
#pragma unroll
        for (int j = 0; j < LOADS; ++j) {
            const int place = start + j * WARP;
            value[j] = place < length ? data[place] : T(0);
        }
#pragma unroll
        for (int j = 0; j < LOADS; ++j) use(value[j]);
    }
}

template <typename T, typename I>
__global__ void value_checks(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                             long long n_cells, double large, int* __restrict__ numbers, double* __restrict__ sums) {
    const int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    const long long first = static_cast<long long>(blockIdx.x) * warps + threadIdx.x / WARP;
    const T limit = static_cast<T>(large);
    for (long long cell = first; cell < n_cells; cell += static_cast<long long>(gridDim.x) * warps) {
        const T* x = data + indptr[cell];
        const int length = static_cast<int>(indptr[cell + 1] - indptr[cell]);
        int found[5] = {0, 0, 0, 0, 0};
        double sum = 0;
        for_each_value(x, length, lane, [&](T value) {
            const bool is_finite = value - value == 0;  // not of NaN and ∞
            found[0] += value != 0;
            found[1] += !is_finite;
            found[2] += value < 0;
            found[3] += is_finite && value != floor(value);
            found[4] += value > limit;
            sum += value;
        });
        sum = sum_over_warp(sum);
        if (lane == 0) sums[cell] = sum;
        if (numbers == nullptr) continue;
#pragma unroll
        for (int k = 0; k < 5; ++k) {
            found[k] = sum_over_warp(found[k]);
            if (lane == k) numbers[k * n_cells + cell] = found[k];
        }
        double of_logarithms = __longlong_as_double(NOT_A_NUMBER);
        if (found[3] > 0) {
            of_logarithms = 0;
            for_each_value(x, length, lane, [&](T value) { of_logarithms += expm1(min(value, limit)); });
            of_logarithms = sum_over_warp(of_logarithms);
        }
        if (lane == 0) sums[n_cells + cell] = of_logarithms;
    }
}
