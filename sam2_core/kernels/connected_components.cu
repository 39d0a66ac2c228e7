// 8-connected component labels and areas of a batch of binary masks, by union-find over 2x2 quads.
//
// All foreground pixels of a 2x2 quad touch each other under 8-connectivity, so a quad carries one label and the
// union-find works on a quarter of the pixels: S. Allegretti, F. Bolelli, C. Grana, "Optimized Block-Based Algorithms to
// Label Connected Components on GPUs", IEEE TPDS 31(2), 2020 (their BUF: initialise, merge, compress, label). The merge
// by atomicMin on roots is D. P. Playne, K. Hawick, "A New Algorithm for Parallel Connected-Component Labelling on
// GPUs", IEEE TPDS 29(6), 2018, section 3; starting from the row runs of a warp, found with one ballot, follows
// A. Hennequin, L. Lacassagne, L. Cabaret, Q. Meunier, "A new Direct Connected Component Labeling and Analysis
// Algorithms for GPUs", DASIP 2018.
//
// Layout: images (B, H, W), uint8, nonzero is foreground; scratch per quad (B, ceil(H/2), ceil(W/2)):
//   quads    uint8  which of the four pixels are foreground (bit 0 top left, 1 top right, 2 bottom left, 3 bottom right)
//   parents  int32  union-find forest; a parent never has a larger index than its child, a root is its own parent
//   sums     int32  foreground pixels of the component, at its root
// Launch: blockDim (32, n, 1), a warp being 32 quads of one row; grid (ceil(W/2 / 32), rows, images), where rows and
// images may be fewer than there are (the kernels stride over them). The four kernels run one after the other on one
// stream: the end of each launch is the barrier the next one needs. Nothing outside CUDA C's builtins is used, so that
// NVRTC needs no headers and tests/kernels can compile this same file as C++ and run it on emulated threads.

#define FULL_WARP 0xffffffffu
#define TOP_LEFT 1u
#define TOP_RIGHT 2u
#define BOTTOM_LEFT 4u
#define BOTTOM_RIGHT 8u
#define TOP (TOP_LEFT | TOP_RIGHT)
#define BOTTOM (BOTTOM_LEFT | BOTTOM_RIGHT)
#define LEFT (TOP_LEFT | BOTTOM_LEFT)
#define RIGHT (TOP_RIGHT | BOTTOM_RIGHT)

// Do two quads touch, the second lying to the right of / below the first?
static __device__ __forceinline__ bool touch_sideways(unsigned left, unsigned right) {
    return (left & RIGHT) && (right & LEFT);
}
static __device__ __forceinline__ bool touch_downwards(unsigned upper, unsigned lower) {
    return (upper & BOTTOM) && (lower & TOP);
}

static __device__ __forceinline__ unsigned quad_at(
    const unsigned char* quads, int row, int column, int quad_columns) {
    if (row < 0 || column < 0 || column >= quad_columns) return 0u;
    return quads[row * quad_columns + column];
}

#ifndef OTHERS_MAY_RUN
#define OTHERS_MAY_RUN()  // the emulation in tests/kernels changes threads here
#endif

// Other threads write parents meanwhile: every access has to go to memory.
static __device__ __forceinline__ int parent_of(const int* parents, int node) {
    OTHERS_MAY_RUN();
    return *(const volatile int*)(parents + node);
}
static __device__ __forceinline__ void set_parent(int* parents, int node, int parent) {
    OTHERS_MAY_RUN();
    *(volatile int*)(parents + node) = parent;
}

// The root above `node`, halving the path on the way; for merging alone. The store races with other stores and with
// atomicMin, harmlessly: it only ever replaces a parent by an ancestor, and whoever finds by atomicMin that a node had
// stopped being a root unites its old parent as well (see `unite`). So all parents a node ever had end up in one tree,
// whose root is its smallest index, whatever the order.
static __device__ __forceinline__ int find_root(int* parents, int node) {
    int parent = parent_of(parents, node);
    while (parent != node) {
        const int grandparent = parent_of(parents, parent);
        if (grandparent == parent) return parent;
        set_parent(parents, node, grandparent);
        node = grandparent;
        parent = parent_of(parents, node);
    }
    return node;
}

// The root above `node`, for the pass in which every quad is hung directly below its root. Only the thread of a quad may
// write its parent there: by halving, another thread could put an ancestor it had read before back over the root, and
// labels and areas would be those of an inner node. The shortcut is written at every step, so that threads which pass
// through `node` meanwhile have less to walk.
static __device__ __forceinline__ int hang_below_root(int* parents, int node) {
    int above = parent_of(parents, node), parent = parent_of(parents, above);
    while (parent != above) {
        set_parent(parents, node, parent);
        above = parent;
        parent = parent_of(parents, above);
    }
    return above;
}

static __device__ __forceinline__ void unite(int* parents, int first, int second) {
    for (;;) {
        first = find_root(parents, first);
        second = find_root(parents, second);
        if (first == second) return;
        const int upper = first < second ? first : second;
        const int lower = first < second ? second : first;
        const int before = atomicMin(parents + lower, upper);
        if (before == lower) return;  // it was still a root, and now hangs below `upper`
        first = before;               // somebody hung it elsewhere meanwhile: that tree has to join as well
        second = upper;
    }
}

// Packs the pixels into quads and hangs each quad below the first of its run within the warp's 32 quads.
extern "C" __global__ void start_runs(
    const unsigned char* __restrict__ images, unsigned char* __restrict__ quads, int* __restrict__ parents,
    int* __restrict__ sums, int image_count, int height, int width) {
    const int quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const long long pixels = (long long)height * width, quad_count = (long long)quad_rows * quad_columns;
    const int lane = threadIdx.x, column = blockIdx.x * 32 + lane;
    for (int image = blockIdx.z; image < image_count; image += gridDim.z) {
        const unsigned char* source = images + image * pixels;
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < quad_rows; row += gridDim.y * blockDim.y) {
            unsigned quad = 0u;
            if (column < quad_columns) {
                const unsigned char* pixel = source + (long long)(2 * row) * width + 2 * column;
                const bool has_right = 2 * column + 1 < width, has_lower = 2 * row + 1 < height;
                if (pixel[0]) quad |= TOP_LEFT;
                if (has_right && pixel[1]) quad |= TOP_RIGHT;
                if (has_lower && pixel[width]) quad |= BOTTOM_LEFT;
                if (has_lower && has_right && pixel[width + 1]) quad |= BOTTOM_RIGHT;
            }
            const unsigned right_open = __ballot_sync(FULL_WARP, (quad & RIGHT) != 0u);
            const unsigned left_open = __ballot_sync(FULL_WARP, (quad & LEFT) != 0u);
            // bit i: the quad of lane i does not touch that of lane i - 1; lane 0 always begins a run
            const unsigned begins = ~((right_open << 1) & left_open) | 1u;
            const int run_lane = 31 - __clz(begins & (FULL_WARP >> (31 - lane)));
            if (column < quad_columns) {
                const long long here = image * quad_count + (long long)row * quad_columns + column;
                quads[here] = (unsigned char)quad;
                parents[here] = row * quad_columns + column - (lane - run_lane);
                sums[here] = 0;
            }
        }
    }
}

// Unites each quad with its neighbours above and to the left where they touch. A contact that follows from others is
// left out: above, when left neighbour, upper-left and upper already form the path; the diagonals, when one of their
// two common neighbours does. Contacts to the left are never left out, so the implied ones rest on firm ground
// (induction over the columns).
extern "C" __global__ void merge_runs(
    const unsigned char* __restrict__ all_quads, int* __restrict__ all_parents, int image_count, int height, int width) {
    const int quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const long long quad_count = (long long)quad_rows * quad_columns;
    const int column = blockIdx.x * 32 + threadIdx.x;
    if (column >= quad_columns) return;
    for (int image = blockIdx.z; image < image_count; image += gridDim.z) {
        const unsigned char* quads = all_quads + image * quad_count;
        int* parents = all_parents + image * quad_count;
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < quad_rows; row += gridDim.y * blockDim.y) {
            const unsigned quad = quad_at(quads, row, column, quad_columns);
            if (!quad) continue;
            const unsigned left = quad_at(quads, row, column - 1, quad_columns);
            const unsigned above = quad_at(quads, row - 1, column, quad_columns);
            const unsigned above_left = quad_at(quads, row - 1, column - 1, quad_columns);
            const unsigned above_right = quad_at(quads, row - 1, column + 1, quad_columns);
            const int here = row * quad_columns + column;
            const bool to_left = touch_sideways(left, quad), to_above = touch_downwards(above, quad);
            if (to_left && threadIdx.x == 0) unite(parents, here, here - 1);  // within the warp it is one run already
            if (to_above && !(to_left && touch_downwards(above_left, left) && touch_sideways(above_left, above)))
                unite(parents, here, here - quad_columns);
            if ((quad & TOP_LEFT) && (above_left & BOTTOM_RIGHT) && !(to_above && touch_sideways(above_left, above)) &&
                !(to_left && touch_downwards(above_left, left)))
                unite(parents, here, here - quad_columns - 1);
            if ((quad & TOP_RIGHT) && (above_right & BOTTOM_LEFT) && !(to_above && touch_sideways(above, above_right)))
                unite(parents, here, here - quad_columns + 1);
        }
    }
}

// Hangs every quad directly below its root and counts the pixels there: one addition per warp and component, or a large
// component would queue all its additions at one address.
extern "C" __global__ void sum_areas(
    const unsigned char* __restrict__ quads, int* __restrict__ all_parents, int* __restrict__ sums, int image_count,
    int height, int width) {
    const int quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const long long quad_count = (long long)quad_rows * quad_columns;
    const int lane = threadIdx.x, column = blockIdx.x * 32 + lane;
    for (int image = blockIdx.z; image < image_count; image += gridDim.z) {
        int* parents = all_parents + image * quad_count;
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < quad_rows; row += gridDim.y * blockDim.y) {
            const int here = row * quad_columns + column;
            const unsigned quad = column < quad_columns ? quads[image * quad_count + here] : 0u;
            int root = -1;
            if (quad) root = hang_below_root(parents, here);
            const int area = __popc(quad);
            const unsigned peers = __match_any_sync(FULL_WARP, root);
            const unsigned ones = __ballot_sync(FULL_WARP, area & 1);
            const unsigned twos = __ballot_sync(FULL_WARP, area & 2);
            const unsigned fours = __ballot_sync(FULL_WARP, area & 4);
            if (quad && lane == __ffs(peers) - 1) {
                const int sum = __popc(ones & peers) + 2 * __popc(twos & peers) + 4 * __popc(fours & peers);
                atomicAdd(sums + image * quad_count + root, sum);
            }
        }
    }
}

// Spreads label and area over the pixels. The label is the root's index + 1, so that 0 stays background: that of the
// component's first quad in reading order, the same on every run.
extern "C" __global__ void write_labels(
    const unsigned char* __restrict__ quads, const int* __restrict__ parents, const int* __restrict__ sums,
    int* __restrict__ labels, int* __restrict__ areas, int image_count, int height, int width) {
    const int quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const long long pixels = (long long)height * width, quad_count = (long long)quad_rows * quad_columns;
    const int column = blockIdx.x * 32 + threadIdx.x;
    if (column >= quad_columns) return;
    const bool even = (width & 1) == 0;  // then both pixels of a quad's row go out in one aligned store
    for (int image = blockIdx.z; image < image_count; image += gridDim.z) {
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < quad_rows; row += gridDim.y * blockDim.y) {
            const long long here = image * quad_count + (long long)row * quad_columns + column;
            const unsigned quad = quads[here];
            int label = 0, area = 0;
            if (quad) {
                const int root = parents[here];
                label = root + 1;
                area = sums[image * quad_count + root];
            }
            for (int lower = 0; lower < 2 && 2 * row + lower < height; ++lower) {
                const long long pixel = image * pixels + (long long)(2 * row + lower) * width + 2 * column;
                const bool at_left = quad & (TOP_LEFT << (2 * lower)), at_right = quad & (TOP_RIGHT << (2 * lower));
                if (even) {
                    *(int2*)(labels + pixel) = make_int2(at_left ? label : 0, at_right ? label : 0);
                    *(int2*)(areas + pixel) = make_int2(at_left ? area : 0, at_right ? area : 0);
                } else {
                    labels[pixel] = at_left ? label : 0;
                    areas[pixel] = at_left ? area : 0;
                    if (2 * column + 1 < width) {
                        labels[pixel + 1] = at_right ? label : 0;
                        areas[pixel + 1] = at_right ? area : 0;
                    }
                }
            }
        }
    }
}
