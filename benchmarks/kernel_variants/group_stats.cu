constexpr int WARP = 32;
constexpr unsigned ALL = 0xffffffffu;
#ifndef AHEAD
#define AHEAD 8
#endif
#ifndef CARRY
#define CARRY 1
#endif
#ifndef SHFL
#define SHFL 0
#endif
#ifndef ATOMS
#define ATOMS 3
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef NOCONFLICT
#define NOCONFLICT 0
#endif
#ifndef THREADS
#define THREADS 1024
#endif
#ifndef LDCS
#define LDCS 0
#endif
#if LDCS
#define LOAD(p) __ldcs(&(p))
#else
#define LOAD(p) (p)
#endif
using Word = unsigned long long;
constexpr int DET_SHIFT = 21;
constexpr unsigned LARGE = 1024;
constexpr int AT_MOST = 2047;

extern "C" __global__ void __launch_bounds__(THREADS)
gs3(const int* __restrict__ indptr, const int* __restrict__ indices, const float* __restrict__ data,
    const double* __restrict__ library,
    const long long* __restrict__ order, const long long* __restrict__ group_start,
    int n_groups, int n_genes, int stride, int cells_per_run, double target_sum, double total_scale, double square_scale,
    Word* __restrict__ tables, int* __restrict__ out_of_range) {
    extern __shared__ __align__(16) unsigned char mem[];
    const int n_tiles = (n_genes + stride - 1) / stride;
    const long long run = blockIdx.x / n_tiles;
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = THREADS / WARP;
    uint2* small = reinterpret_cast<uint2*>(mem) + warp * 32;
    unsigned* sums = reinterpret_cast<unsigned*>(mem + warps * 32 * sizeof(uint2));
    const int first_gene = blockIdx.x % n_tiles * stride;
    const int genes = min(stride, n_genes - first_gene);
    unsigned *census = sums, *total = census + stride, *square = total + stride, *carry = square + stride;
    const long long table_size = (long long)n_groups * n_genes;
    long long first = group_start[0] + run * cells_per_run;
    const long long end = min(first + cells_per_run, group_start[n_groups]);
    if (first >= end) return;
    int low = 0, high = n_groups - 1;      // first group that ends after `first`
    while (low < high) { const int m = (low + high) / 2; if (group_start[m + 1] > first) high = m; else low = m + 1; }
    int group = low;
    for (int i = threadIdx.x; i < (3 + CARRY) * stride; i += THREADS) sums[i] = 0;
    __syncthreads();
    bool bad = false;
    while (first < end) {
        while (group_start[group + 1] <= first) ++group;
        const long long last = min(min(end, group_start[group + 1]), first + AT_MOST);
        const long long first_place = (long long)group * n_genes + first_gene;
        for (long long base = first + warp; base < last; base += warps * WARP) {
            // lane k knows cell number k of the next 32 of this warp
            const long long mine = base + (long long)lane * warps;
            int my_begin = 0, my_length = 0; double my_factor = 0;
            if (mine < last) {
                const long long cell = order[mine];
                my_begin = indptr[cell]; my_length = indptr[cell + 1] - my_begin;
                const double size = library[cell];
                my_factor = size > 0 ? target_sum / size : 0;
            }
            const int cells = (int)min((long long)WARP, (last - base + warps - 1) / warps);
            for (int k = 0; k < cells; ++k) {
                const int begin = __shfl_sync(ALL, my_begin, k), length = __shfl_sync(ALL, my_length, k);
                const double factor = __shfl_sync(ALL, my_factor, k);
                const float* x = data + begin; const int* g = indices + begin;
                int from = 0, to = length;
                if (genes < n_genes && length > 0) {
                    const int gene = g[(int)((long long)length * lane / WARP)];
                    const int na = __popc(__ballot_sync(ALL, gene <= first_gene));
                    const int be = __popc(__ballot_sync(ALL, gene < first_gene + genes));
                    from = (int)((long long)length * (na > 0 ? na - 1 : 0) / WARP); to = (int)((long long)length * be / WARP);
                }
                const double of_lane = log1p((lane + 1) * factor);
                const uint2 amounts = make_uint2(__double2uint_rn(of_lane * total_scale), __double2uint_rn(of_lane * of_lane * square_scale));
#if !SHFL
                small[lane] = amounts;
                __syncwarp();
#endif
                for (int s = from; s < to; s += AHEAD * WARP) {
                    float v[AHEAD]; int gene[AHEAD];
                    if (s + AHEAD * WARP <= to) {
#pragma unroll
                        for (int j = 0; j < AHEAD; ++j) { v[j] = LOAD(x[s + lane + j * WARP]); gene[j] = LOAD(g[s + lane + j * WARP]); }
                    } else {
#pragma unroll
                        for (int j = 0; j < AHEAD; ++j) { const int p = s + lane + j * WARP; v[j] = 0; gene[j] = 0; if (p < to) { v[j] = LOAD(x[p]); gene[j] = LOAD(g[p]); } }
                    }
                    bool slow = false;
#if LATE
                    unsigned tt[AHEAD], qq[AHEAD], ax_[AHEAD], ay_[AHEAD];
#endif
#pragma unroll
                    for (int j = 0; j < AHEAD; ++j) {
                        int i = gene[j] - first_gene;
                        const float shifted = v[j] + 8388608.0f;
                        const unsigned c = __float_as_int(shifted) - 0x4B000000;
                        const bool mineX = (unsigned)i < (unsigned)genes;
                        const bool quick = shifted - 8388608.0f == v[j] && c - 1 < 32u;
                        slow |= mineX && !quick && v[j] != 0;
#if NOCONFLICT
                        if (mineX && (i | 31) < genes) i = (i & ~31) | lane;
#endif
#if LATE
                        tt[j] = qq[j] = ax_[j] = ay_[j] = 0;
#endif
#if SHFL
                        uint2 a; a.x = __shfl_sync(ALL, amounts.x, c - 1); a.y = __shfl_sync(ALL, amounts.y, c - 1);
                        if (mineX && quick) {
#else
                        if (mineX && quick) {
                            const uint2 a = small[c - 1];
#endif
#if ATOMS >= 1
                            atomicAdd(&census[i], (1u << DET_SHIFT) + c);
#endif
#if LATE
                            ax_[j] = a.x; ay_[j] = a.y;
                            tt[j] = atomicAdd(&total[i], a.x); qq[j] = atomicAdd(&square[i], a.y);
#elif CARRY && ATOMS >= 3
                            const unsigned t = atomicAdd(&total[i], a.x), q = atomicAdd(&square[i], a.y);
                            const unsigned up = (t + a.x < t ? 1u << 16 : 0u) + (q + a.y < q ? 1u : 0u);
                            if (up) atomicAdd(&carry[i], up);
#else
#if ATOMS >= 2
                            atomicAdd(&total[i], a.x);
#endif
#if ATOMS >= 3
                            atomicAdd(&square[i], a.y);
#endif
#if ATOMS == 0
                            if (a.x == 12345 && a.y == 54321 && i == 77) bad = true;
#endif
#endif
                        }
                    }
#if LATE
#pragma unroll
                    for (int j = 0; j < AHEAD; ++j) {
                        const unsigned up = (tt[j] + ax_[j] < tt[j] ? 1u << 16 : 0u) + (qq[j] + ay_[j] < qq[j] ? 1u : 0u);
                        if (up) atomicAdd(&carry[gene[j] - first_gene], up);
                    }
#endif
                    if (slow) {
                        for (int j = 0; j < AHEAD; ++j) {
                            const int i = gene[j] - first_gene;
                            if ((unsigned)i >= (unsigned)genes || v[j] == 0) continue;
                            if (v[j] >= 1 && v[j] <= 32 && v[j] == (float)(int)v[j]) continue;
                            if (!(v[j] > 0 && v[j] < 2147483648.0f)) { bad = true; continue; }
                            const double e = log1p(v[j] * factor);
                            const unsigned ax = __double2uint_rn(e * total_scale), ay = __double2uint_rn(e * e * square_scale);
                            unsigned whole = (unsigned)v[j];
                            if (whole >= LARGE) { atomicAdd(tables + table_size + first_place + i, (Word)whole); whole = 0; }
                            atomicAdd(&census[i], (1u << DET_SHIFT) + whole);
                            const unsigned t = atomicAdd(&total[i], ax), q = atomicAdd(&square[i], ay);
#if CARRY
                            const unsigned up = (t + ax < t ? 1u << 16 : 0u) + (q + ay < q ? 1u : 0u);
                            if (up) atomicAdd(&carry[i], up);
#endif
                        }
                    }
                }
                __syncwarp();
            }
        }
        __syncthreads();
        Word* place = tables + first_place;
        for (int i = threadIdx.x; i < genes; i += THREADS) {
            const unsigned c = census[i];
            if (c == 0) continue;
            atomicAdd(place + i, (Word)(c >> DET_SHIFT));
            if (const unsigned whole = c & ((1u << DET_SHIFT) - 1)) atomicAdd(place + table_size + i, (Word)whole);
#if CARRY
            const unsigned up = carry[i];
            atomicAdd(place + 2 * table_size + i, (Word)(up >> 16) << 32 | total[i]);
            atomicAdd(place + 3 * table_size + i, (Word)(up & 65535u) << 32 | square[i]);
            carry[i] = 0;
#else
            atomicAdd(place + 2 * table_size + i, (Word)total[i]);
            atomicAdd(place + 3 * table_size + i, (Word)square[i]);
#endif
            census[i] = total[i] = square[i] = 0;
        }
        __syncthreads();
        first = last;
    }
    if (bad) *out_of_range = 1;
}

// library sizes and value checks: a warp a cell
extern "C" __global__ void __launch_bounds__(256)
cell_sums(const int* __restrict__ indptr, const float* __restrict__ data, long long n_cells, float large,
          double* __restrict__ library, Word* __restrict__ found) {
    const int lane = threadIdx.x % WARP;
    const long long stride = (long long)gridDim.x * (blockDim.x / WARP);
    unsigned nonzero = 0, not_finite = 0, negative = 0, fractional = 0, above = 0;
    for (long long cell = (long long)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP; cell < n_cells; cell += stride) {
        const long long begin = indptr[cell], end = indptr[cell + 1];
        double sum = 0;
        for (long long s = begin + lane; s < end; s += AHEAD * WARP) {
            float v[AHEAD];
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) { const long long p = s + j * WARP; v[j] = p < end ? LOAD(data[p]) : 0; }
#if CHECKS
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) {
                const float x = v[j];
                const bool finite = fabsf(x) <= 3.4028235e38f;
                nonzero += x != 0; not_finite += !finite; negative += x < 0; above += x > large;
                fractional += finite && x != truncf(x);
            }
#endif
#pragma unroll
            for (int j = 0; j < AHEAD; ++j) sum += v[j];
        }
        for (int d = WARP / 2; d > 0; d /= 2) sum += __shfl_xor_sync(ALL, sum, d);
        if (lane == 0) library[cell] = sum;
    }
#if CHECKS
    unsigned all[5] = {nonzero, not_finite, negative, fractional, above};
    for (int k = 0; k < 5; ++k) {
        unsigned n = all[k];
        for (int d = WARP / 2; d > 0; d /= 2) n += __shfl_xor_sync(ALL, n, d);
        if (lane == 0 && n) atomicAdd(found + k, (Word)n);
    }
#endif
}
