// cell.cuh: one cell of a CSR block (cells × genes): stored values, small counts, and expression from counts.
//
//   indptr (cells + 1)   indices, data (non-zeros), sorted by gene within a cell, no gene twice
//
// T is float or double, I is int or long long. A block may hold 2^31 values and more, a cell may not.

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int SMALL_COUNTS = WARP;  // e of the counts 1 to 32 is computed once per cell, one per lane

// The stored values of one cell, or some of them.
template <typename T, typename I>
struct Values {
    const T* data;
    const I* indices;
    int end;
};

// N values that a thread loads before it uses the first, and their genes; a value behind the end is 0.
template <typename T, typename I, int N>
struct Loaded {
    T value[N];
    I gene[N];

    // The thread's first value is number `first` of the cell, the others are `apart` from each other.
    __device__ Loaded(const Values<T, I>& cell, int first, int apart) {
        const bool is_full = first + (N - 1) * apart < cell.end;
#pragma unroll
        for (int j = 0; j < N; ++j) {
            const int place = first + j * apart;
            const bool exists = is_full || place < cell.end;
            value[j] = exists ? cell.data[place] : T(0);
            gene[j] = exists ? cell.indices[place] : I(0);
        }
    }
};

// The value if it is a count from 1 to SMALL_COUNTS, else 0. A whole number lies in the last bits of its sum with 2^23
// or 2^52, which is faster than a conversion.
__device__ inline unsigned small_count(float value) {
    const float shifted = value + 8388608.0f;
    const unsigned count = __float_as_int(shifted) - 0x4B000000;
    return shifted - 8388608.0f == value && count <= SMALL_COUNTS ? count : 0;
}
__device__ inline unsigned small_count(double value) {
    const double shifted = value + 4503599627370496.0;
    const unsigned long long count = __double_as_longlong(shifted) - 0x4330000000000000LL;
    return shifted - 4503599627370496.0 == value && count <= SMALL_COUNTS ? static_cast<unsigned>(count) : 0;
}

// Expression e = log1p(x · per_count) of a count x; per_count is target_sum / library size, or 0 in an empty cell.
__device__ inline double per_count(double target_sum, double library_size) {
    return library_size > 0 ? target_sum / library_size : 0;
}

// The sum over the lanes of a warp, identical bit for bit in every lane.
template <typename T>
__device__ T sum_over_warp(T x) {
    for (int distance = WARP / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}
