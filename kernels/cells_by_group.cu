// cells_by_group.cu: the numbers of the cells of a block, sorted by group. It runs twice: it counts, and then it places.
//
//   indptr, indices, data   of the block; not read
//   group (cells)           the group of each cell; one with a negative group is in none
//   left (groups + 1)       initially zero; then, from place 1 on, the cells of each group that are not in `order` yet
//   start (groups + 1)      null while counting; else where each group starts in `order`, and where the last one ends
//   order (cells)           the cells of the first group, of the second, and so on, in any order within a group
//   shared_bytes            4 per group, or 0 where so many do not fit
//   grid                    a thread block per `CELLS_PER_BLOCK` cells
//
// Why this way. A sort of CuPy's waits for the device and needs another pass for the starts; this is two launches and a
// running sum between them. A thread block counts its cells in shared memory and takes a place for all of a group at
// once, so that two groups of a million cells do not mean a million atomics on two addresses. Without room for that
// there are tens of thousands of groups, and few cells for each address.
// Memory traffic: 8 bytes per cell, and 4 per cell for the result.
//
// Determinism: the order within a group differs between runs. Sums of integers over it, as in group_stats.cu, do not.
//
// Twin: ops.cells_by_group. Launch: cuda.cells_by_group.

constexpr int CELLS_PER_BLOCK = 1024;

template <typename T, typename I>
__global__ void cells_by_group(const I* __restrict__ indptr, const I* __restrict__ indices, const T* __restrict__ data,
                               const int* __restrict__ group, int n_cells, int n_groups, int has_room,
                               int* __restrict__ left, const long long* __restrict__ start, int* __restrict__ order) {
    extern __shared__ __align__(16) unsigned char shared_memory[];
    int* here = reinterpret_cast<int*>(shared_memory);
    const int first = blockIdx.x * CELLS_PER_BLOCK + threadIdx.x;
    const int end = min(n_cells, static_cast<int>(blockIdx.x + 1) * CELLS_PER_BLOCK);
    const bool counting = start == nullptr;
    if (has_room == 0) {
        for (int cell = first; cell < end; cell += blockDim.x) {
            const int g = group[cell];
            if (g < 0) continue;
            const int before = atomicAdd(&left[g + 1], counting ? 1 : -1);
            if (!counting) order[start[g + 1] - before] = cell;
        }
        return;
    }
    for (int g = threadIdx.x; g < n_groups; g += blockDim.x) here[g] = 0;
    __syncthreads();
    for (int cell = first; cell < end; cell += blockDim.x) {
        if (group[cell] >= 0) atomicAdd(&here[group[cell]], 1);
    }
    __syncthreads();
    for (int g = threadIdx.x; g < n_groups; g += blockDim.x) {
        const int cells = here[g];
        if (cells == 0) continue;
        const int before = atomicAdd(&left[g + 1], counting ? cells : -cells);
        if (!counting) here[g] = static_cast<int>(start[g + 1]) - before;
    }
    if (counting) return;
    __syncthreads();
    for (int cell = first; cell < end; cell += blockDim.x) {
        if (group[cell] >= 0) order[atomicAdd(&here[group[cell]], 1)] = cell;
    }
}
