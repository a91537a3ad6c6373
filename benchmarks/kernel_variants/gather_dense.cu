constexpr int WARP = 32;
constexpr unsigned ALL = 0xffffffffu;
#ifndef AHEAD
#define AHEAD 4
#endif
#ifndef THREADS
#define THREADS 128
#endif
#ifndef DIRECT
#define DIRECT 0
#endif
#ifndef VECTOR
#define VECTOR 1
#endif
#ifndef PERSIST
#define PERSIST 0
#endif
#ifndef BITS
#define BITS 0
#endif
#ifndef MINB
#define MINB 1
#endif
// e of small counts lies in the lanes; a thread block builds a row (shared), or writes zeros and then the values (DIRECT)
extern "C" __global__ void __launch_bounds__(THREADS, MINB)
gather(const int* __restrict__ indptr, const int* __restrict__ indices, const float* __restrict__ data, const double* __restrict__ library,
       const int* __restrict__ column, const uint2* __restrict__ bits, int n_cells, int n_columns, double target_sum, const float* __restrict__ ceiling,
       float* __restrict__ out) {
    extern __shared__ __align__(16) float row[];
    const int lane = threadIdx.x % WARP;
    const int thread = threadIdx.x;
#if !DIRECT
    for (int c = thread; c < n_columns; c += THREADS) row[c] = 0;
#endif
    for (int cell = blockIdx.x; cell < n_cells; cell += gridDim.x) {
        const int begin = indptr[cell], end = indptr[cell + 1];
        const double size = library[cell], factor = size > 0 ? target_sum / size : 0;
        float* target = out + (long long)cell * n_columns;
#if DIRECT
#if VECTOR
        if (n_columns % 4 == 0) { for (int c = thread; c < n_columns / 4; c += THREADS) reinterpret_cast<float4*>(target)[c] = make_float4(0, 0, 0, 0); }
        else
#endif
        for (int c = thread; c < n_columns; c += THREADS) target[c] = 0;
#endif
        const float of_lane = (float)log1p((lane + 1) * factor);
        __syncthreads();
        const int whole = begin + (end - begin + WARP - 1) / WARP * WARP;   // so that whole warps take part
        for (int s = begin + thread; s < whole; s += AHEAD * THREADS) {
            float v[AHEAD]; int g[AHEAD]; int c[AHEAD];
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) { const int p = s + j * THREADS; v[j] = 0; g[j] = 0; if (p < end) { v[j] = data[p]; g[j] = indices[p]; } }
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) {
#if BITS
                const uint2 b = bits[g[j] >> 5];
                const unsigned below = 1u << (g[j] & 31);
                c[j] = v[j] != 0 && (b.x & below) ? (int)(b.y + __popc(b.x & (below - 1))) : -1;
#else
                c[j] = v[j] != 0 ? column[g[j]] : -1;
#endif
            }
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) {
                const float shifted = v[j] + 8388608.0f;
                const unsigned n = __float_as_int(shifted) - 0x4B000000;
                float e = __shfl_sync(ALL, of_lane, n - 1);
                if (c[j] >= 0) {
                    if (!(shifted - 8388608.0f == v[j] && n - 1 < 32u)) e = (float)log1p(v[j] * factor);
#if DIRECT
                    target[c[j]] = ceiling == nullptr ? e : min(e, ceiling[c[j]]);
#else
                    row[c[j]] = e;
#endif
                }
            }
        }
#if !DIRECT
        __syncthreads();
#if VECTOR
        if (n_columns % 4 == 0 && ceiling == nullptr) {
            for (int c = thread; c < n_columns / 4; c += THREADS) {
                reinterpret_cast<float4*>(target)[c] = reinterpret_cast<float4*>(row)[c];
                reinterpret_cast<float4*>(row)[c] = make_float4(0, 0, 0, 0);
            }
        } else
#endif
        for (int c = thread; c < n_columns; c += THREADS) { const float e = row[c]; row[c] = 0; target[c] = ceiling == nullptr ? e : min(e, ceiling[c]); }
        __syncthreads();
#endif
    }
}
