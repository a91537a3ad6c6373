// cell.cuh: one cell of a CSR block (cells × genes): stored values, library size, and expression from counts.
//
//   indptr (cells + 1)   indices, data (non-zeros), sorted by gene within a cell, no gene twice
//
// `threads` threads share a cell; the caller is number `thread`. Offsets have 64 bits.
// T is float or double, I is int or long long.

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int LOADS_AHEAD = 4;      // values that a thread loads before it uses the first
constexpr int SMALL_COUNTS = WARP;  // logarithms of counts 1 to 32 are computed once per cell, one per lane

struct Span {
    long long begin, end;
};

template <typename I>
__device__ Span stored_values(const I* indptr, long long cell) {
    return {static_cast<long long>(indptr[cell]), static_cast<long long>(indptr[cell + 1])};
}

// Calls use(value, gene) for this thread's share of the non-zero values.
template <typename T, typename I, typename Use>
__device__ void for_each_value(const T* data, const I* indices, Span span, int thread, int threads, Use use) {
    for (long long start = span.begin + thread; start < span.end; start += LOADS_AHEAD * threads) {
        T value[LOADS_AHEAD];
        I gene[LOADS_AHEAD];
#pragma unroll
        for (int j = 0; j < LOADS_AHEAD; ++j) {
            const long long place = start + j * threads;
            value[j] = place < span.end ? data[place] : T(0);
            gene[j] = place < span.end ? indices[place] : I(0);
        }
#pragma unroll
        for (int j = 0; j < LOADS_AHEAD; ++j) {
            if (value[j] != T(0)) use(value[j], gene[j]);
        }
    }
}

// This thread's share of the library size, added in a fixed order.
template <typename T>
__device__ double sum_of_share(const T* data, Span span, int thread, int threads) {
    double sum = 0;
    for (long long start = span.begin + thread; start < span.end; start += LOADS_AHEAD * threads) {
        T value[LOADS_AHEAD];
#pragma unroll
        for (int j = 0; j < LOADS_AHEAD; ++j) {
            const long long place = start + j * threads;
            value[j] = place < span.end ? data[place] : T(0);
        }
#pragma unroll
        for (int j = 0; j < LOADS_AHEAD; ++j) sum += value[j];
    }
    return sum;
}

// The sum over the lanes of a warp, identical bit for bit in every lane.
__device__ inline double sum_over_warp(double x) {
    for (int distance = WARP / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}

// e = log1p(target_sum · x / library size) of a cell, or the stored value if target_sum is 0.
struct Expression {
    double per_count;     // target_sum / library size; 0 if stored values are expression already
    const double* small;  // e of the counts 1 … SMALL_COUNTS, in shared memory

    __device__ Expression(double target_sum, double library_size, const double* small)
        : per_count(library_size > 0 ? target_sum / library_size : 0), small(small) {}

    // The entry of one lane in the table that `small` points to; every lane of a warp must write its own entry.
    __device__ double of_small_count(int lane) const { return log1p((lane + 1) * per_count); }

    template <typename T>
    __device__ double operator()(T value) const {
        if (per_count == 0) return value;
        const bool is_small = value >= 1 && value <= SMALL_COUNTS && value == static_cast<int>(value);
        return is_small ? small[static_cast<int>(value) - 1] : log1p(value * per_count);
    }
};
