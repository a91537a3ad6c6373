// Runs CUDA C++ kernels on the CPU: a fiber per CUDA thread, thread blocks one after another. Tests only.
// Blocks come in an order shuffled by a seed, and so do the threads of a block between barriers; a warp is held back now
// and then, so that warps drift apart. It stops at what a GPU hides: barriers that only some threads reach, lanes missing
// in a warp's exchange, a partial mask.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <tuple>
#include <type_traits>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(place, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(place, bytes)
#endif

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ thread_local  // of the host: one per block, as blocks take turns

using std::max;
using std::min;

struct Index {
    unsigned x = 0;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

constexpr int SHARED_BYTES = 232448;
__attribute__((aligned(16))) thread_local unsigned char shared_memory[SHARED_BYTES];

namespace emu {

constexpr int LANES = 32, STACK_BYTES = 64 * 1024;
enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    State state;
    double slot;  // eight bytes offered to the other lanes
};

inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline int current, n_threads;
inline void (*run_thread)();

[[noreturn]] inline void fail(const char* complaint) {
    std::fprintf(stderr, "shim: %s (block %u, thread %d)\n", complaint, blockIdx.x, current);
    std::_Exit(3);
}

inline void wait(State state) {
    fibers[current].state = state;
    swapcontext(&fibers[current].context, &scheduler);
}

inline void whole_life() {
    run_thread();
    wait(DONE);
}

inline void prepare(int thread) {
    Fiber& fiber = fibers[thread];
    fiber.stack.resize(STACK_BYTES);
    fiber.state = READY;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber.context, whole_life, 0);
}

inline int count(int first, int last, State state) {
    return std::count_if(fibers.begin() + first, fibers.begin() + last, [&](Fiber& f) { return f.state == state; });
}

inline void release(int first, int last, State state) {
    for (int t = first; t < last; ++t)
        if (fibers[t].state == state) fibers[t].state = READY;
}

inline bool open_barriers() {
    bool opened = false;
    for (int first = 0; first < n_threads; first += LANES) {
        const int last = min(first + LANES, n_threads);
        if (count(first, last, AT_WARP) == 0) continue;
        if (count(first, last, DONE) > 0 || last - first < LANES) fail("a lane is missing in an exchange of its warp");
        if (count(first, last, AT_WARP) == LANES) release(first, last, AT_WARP), opened = true;
    }
    const int waiting = count(0, n_threads, AT_BLOCK);
    if (waiting > 0 && waiting + count(0, n_threads, DONE) == n_threads) release(0, n_threads, AT_BLOCK), opened = true;
    return opened;
}

inline void run_block(std::mt19937& random) {
    for (int t = 0; t < n_threads; ++t) prepare(t);
    std::vector<int> turn(n_threads);
    std::iota(turn.begin(), turn.end(), 0);
    while (count(0, n_threads, DONE) < n_threads) {
        std::shuffle(turn.begin(), turn.end(), random);
        const unsigned held_back = random() & random();  // a bit a warp
        for (int t : turn) {
            if (fibers[t].state != READY || held_back >> t / LANES & 1) continue;
            current = threadIdx.x = t;
            swapcontext(&scheduler, &fibers[t].context);
        }
        if (!open_barriers() && count(0, n_threads, READY) == 0 && count(0, n_threads, DONE) < n_threads)
            fail("threads wait for each other at different barriers");
    }
}

template <typename... Parameters>
struct Launch {
    static inline void (*kernel)(Parameters...);
    static inline std::tuple<std::decay_t<Parameters>...> values;

    static void thread() { std::apply(kernel, values); }

    template <size_t... I>
    static void read(void** arguments, std::index_sequence<I...>) {
        ((std::memcpy(&std::get<I>(values), arguments[I], sizeof(std::get<I>(values)))), ...);
    }
};

// `arguments` point to the values of the kernel's parameters.
template <typename... Parameters>
void launch(void (*kernel)(Parameters...), unsigned grid, unsigned block, int bytes, unsigned seed, void** arguments) {
    using Call = Launch<Parameters...>;
    Call::kernel = kernel;
    Call::read(arguments, std::index_sequence_for<Parameters...>{});
    run_thread = Call::thread;
    if (block == 0 || block > 1024 || grid == 0 || bytes > SHARED_BYTES) fail("no device would launch this");
    n_threads = blockDim.x = block;
    gridDim.x = grid;
    if (fibers.size() < block) fibers.resize(block);
    std::mt19937 random(seed);
    std::vector<unsigned> blocks(grid);
    std::iota(blocks.begin(), blocks.end(), 0u);
    std::shuffle(blocks.begin(), blocks.end(), random);
    ASAN_POISON_MEMORY_REGION(shared_memory + bytes, SHARED_BYTES - bytes);
    for (unsigned b : blocks) {
        blockIdx.x = b;
        std::memset(shared_memory, 0xCD, bytes);
        run_block(random);
    }
    ASAN_UNPOISON_MEMORY_REGION(shared_memory, SHARED_BYTES);
}

template <typename T>
T exchange(unsigned mask, T value, int lane) {
    static_assert(sizeof(T) <= sizeof(double));
    if (mask != 0xffffffffu) fail("only whole warps exchange values");
    const int warp = current / LANES * LANES;
    std::memcpy(&fibers[current].slot, &value, sizeof(T));
    wait(AT_WARP);
    std::memcpy(&value, &fibers[warp + lane].slot, sizeof(T));
    wait(AT_WARP);
    return value;
}

}  // namespace emu

inline void __syncthreads() { emu::wait(emu::AT_BLOCK); }
inline void __syncwarp() { emu::wait(emu::AT_WARP); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int distance) {
    return emu::exchange(mask, value, emu::current % emu::LANES ^ distance);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
    return emu::exchange(mask, value, (lane % emu::LANES + emu::LANES) % emu::LANES);
}

inline unsigned __ballot_sync(unsigned mask, int vote) {
    unsigned votes = 0;
    for (int lane = 0; lane < emu::LANES; ++lane) {
        const int rotated = (emu::current + lane) % emu::LANES;
        votes |= static_cast<unsigned>(emu::exchange(mask, vote, rotated) != 0) << rotated;
    }
    return votes;
}

template <typename T>
T atomicAdd(T* sum, T amount) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long> ||
                      std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "CUDA has no atomicAdd for this type");
    const T before = *sum;
    *sum += amount;
    return before;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline long long __double2ll_rn(double x) { return std::llrint(x); }
inline unsigned __double2uint_rn(double x) {
    return static_cast<unsigned>(std::min(std::max(std::nearbyint(x), 0.0), 4294967295.0));
}
template <typename To, typename From>
To same_bits(From x) {
    To bits;
    std::memcpy(&bits, &x, sizeof(To));
    return bits;
}
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
struct uint2 {
    unsigned x, y;
};
struct float4 {
    float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
