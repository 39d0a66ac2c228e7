// Just enough of CUDA C to compile connected_components.cu as C++ and run it on the CPU, for the tests.
//
// A warp is 32 fibers (ucontext) of one operating-system thread; the warp intrinsics meet at a rendezvous. Warps run on
// several std::threads at once, in a random order, and a fiber gives way to another of its warp at random before it touches
// shared state (atomics, OTHERS_MAY_RUN): interleavings differ from run to run, and the atomics are real ones. Lanes may
// diverge and return early; a full-warp intrinsic after that is refused, as it would be undefined on a GPU.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__ __restrict

struct dim3 {
    unsigned x, y, z;
};
struct int2 {
    int x, y;
};
static inline int2 make_int2(int x, int y) { return {x, y}; }

namespace emulation {

constexpr int LANES = 32;
constexpr size_t STACK_BYTES = 64 * 1024;

struct Warp {
    ucontext_t scheduler;
    ucontext_t fibers[LANES];
    std::unique_ptr<char[]> stacks{new char[LANES * STACK_BYTES]};
    bool finished[LANES];
    bool waiting[LANES];
    uint64_t offered[LANES];  // what each lane brings to the rendezvous
    dim3 thread_index[LANES], block_index;
    int current = -1;
    std::minstd_rand random;
    const std::function<void()>* body = nullptr;
};

inline thread_local Warp* warp = nullptr;
inline dim3 block_size, grid_size;

[[noreturn]] inline void fail(const char* message) {
    std::fprintf(stderr, "cuda emulation: %s\n", message);
    std::abort();
}

inline void give_way() {
    Warp* own = warp;
    swapcontext(&own->fibers[own->current], &own->scheduler);
}

// Mostly a short pause, now and then a long sleep: a value read before it is stale by the time it is used.
inline void maybe_give_way() {
    if (warp->random() % 4 == 0) give_way();
    if (warp->random() % 64 == 0)
        for (int turn = 0; turn < 200; ++turn) give_way();
}

// Every lane sleeps; the scheduler wakes all of them once the last one has arrived.
inline void rendezvous() {
    warp->waiting[warp->current] = true;
    give_way();
}

inline void fiber_main() {
    (*warp->body)();
    warp->finished[warp->current] = true;
    give_way();
}

inline void run_warp(Warp& own) {
    warp = &own;
    for (int lane = 0; lane < LANES; ++lane) {
        own.finished[lane] = own.waiting[lane] = false;
        getcontext(&own.fibers[lane]);
        own.fibers[lane].uc_stack.ss_sp = own.stacks.get() + lane * STACK_BYTES;
        own.fibers[lane].uc_stack.ss_size = STACK_BYTES;
        own.fibers[lane].uc_link = nullptr;
        makecontext(&own.fibers[lane], fiber_main, 0);
    }
    for (;;) {
        int ready[LANES], ready_count = 0, waiting_count = 0;
        for (int lane = 0; lane < LANES; ++lane) {
            if (own.finished[lane]) continue;
            if (own.waiting[lane]) ++waiting_count;
            else ready[ready_count++] = lane;
        }
        if (ready_count == 0) {
            if (waiting_count == 0) return;
            if (waiting_count != LANES) fail("a full-warp intrinsic was called after some lanes had returned");
            for (bool& waiting : own.waiting) waiting = false;
            continue;
        }
        own.current = ready[own.random() % ready_count];
        swapcontext(&own.scheduler, &own.fibers[own.current]);
    }
}

// The values of all lanes, the same for each of them. The second rendezvous keeps a fast lane from offering its next value
// before the others have read this one.
inline void exchange(unsigned mask, uint64_t value, uint64_t (&all)[LANES]) {
    if (mask != 0xffffffffu) fail("only full-warp intrinsics are emulated");
    warp->offered[warp->current] = value;
    rendezvous();
    for (int lane = 0; lane < LANES; ++lane) all[lane] = warp->offered[lane];
    rendezvous();
}

// Runs every warp of the grid once, on `threads` operating-system threads, in a random order.
inline void launch(dim3 grid, dim3 block, int threads, unsigned seed, const std::function<void()>& body) {
    if (block.x != LANES || block.z != 1) fail("blockDim has to be (32, n, 1)");
    grid_size = grid;
    block_size = block;
    struct Place {
        dim3 block;
        unsigned y;
    };
    std::vector<Place> places;
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x)
                for (unsigned row = 0; row < block.y; ++row) places.push_back({{x, y, z}, row});
    std::minstd_rand random(seed + 1);
    for (size_t i = places.size(); i > 1; --i) std::swap(places[i - 1], places[random() % i]);
    std::atomic<size_t> next{0};
    auto work = [&](unsigned worker) {
        Warp own;
        own.random.seed(seed * 977 + worker + 1);
        own.body = &body;
        for (size_t i = next++; i < places.size(); i = next++) {
            own.block_index = places[i].block;
            for (unsigned lane = 0; lane < LANES; ++lane) own.thread_index[lane] = {lane, places[i].y, 0};
            run_warp(own);
        }
    };
    std::vector<std::thread> workers;
    for (int worker = 0; worker < threads; ++worker) workers.emplace_back(work, worker);
    for (std::thread& worker : workers) worker.join();
}

}  // namespace emulation

#define threadIdx (emulation::warp->thread_index[emulation::warp->current])
#define blockIdx (emulation::warp->block_index)
#define blockDim (emulation::block_size)
#define gridDim (emulation::grid_size)

static inline int __popc(unsigned value) { return __builtin_popcount(value); }
static inline int __clz(unsigned value) { return value ? __builtin_clz(value) : 32; }
static inline int __ffs(unsigned value) { return __builtin_ffs((int)value); }

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    uint64_t all[emulation::LANES];
    emulation::exchange(mask, predicate != 0, all);
    unsigned result = 0;
    for (int lane = 0; lane < emulation::LANES; ++lane) result |= (unsigned)all[lane] << lane;
    return result;
}

static inline unsigned __match_any_sync(unsigned mask, int value) {
    uint64_t all[emulation::LANES];
    emulation::exchange(mask, (uint32_t)value, all);
    unsigned result = 0;
    for (int lane = 0; lane < emulation::LANES; ++lane) result |= (unsigned)(all[lane] == (uint32_t)value) << lane;
    return result;
}

static inline int atomicMin(int* address, int value) {
    emulation::maybe_give_way();
    int before = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (value < before && !__atomic_compare_exchange_n(address, &before, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before;
}

static inline int atomicAdd(int* address, int value) {
    emulation::maybe_give_way();
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
