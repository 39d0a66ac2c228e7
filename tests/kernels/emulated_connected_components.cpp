// The kernels of connected_components.cu as C functions that run them on emulated CUDA threads.
#include "cuda_emulation.hpp"

#define OTHERS_MAY_RUN() emulation::maybe_give_way()
#include "connected_components.cu"

extern "C" void emulated_connected_components(
    const unsigned char* images, int* labels, int* areas, int image_count, int height, int width, int block_rows,
    int most_grid_rows, int most_grid_images, int threads, unsigned seed) {
    const int quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const size_t quads_needed = (size_t)image_count * quad_rows * quad_columns;
    // Filled with rubbish: the kernels have to initialise all they read.
    std::vector<unsigned char> quads(quads_needed, 0xA5);
    std::vector<int> parents(quads_needed, -77), sums(quads_needed, -77);
    const int wanted_rows = (quad_rows + block_rows - 1) / block_rows;
    const dim3 block{32, (unsigned)block_rows, 1};
    const dim3 grid{
        (unsigned)(quad_columns + 31) / 32, (unsigned)std::min(wanted_rows, most_grid_rows),
        (unsigned)std::min(image_count, most_grid_images)};
    const auto run = [&](unsigned step, const std::function<void()>& body) {
        emulation::launch(grid, block, threads, seed * 4 + step, body);
    };
    run(0, [&] { start_runs(images, quads.data(), parents.data(), sums.data(), image_count, height, width); });
    run(1, [&] { merge_runs(quads.data(), parents.data(), image_count, height, width); });
    run(2, [&] { sum_areas(quads.data(), parents.data(), sums.data(), image_count, height, width); });
    run(3, [&] { write_labels(quads.data(), parents.data(), sums.data(), labels, areas, image_count, height, width); });
}

// sum_areas alone, on a forest of the caller's: the merging before it seldom leaves trees as deep as they could be.
extern "C" void emulated_sum_areas(
    const unsigned char* quads, int* parents, int* sums, int height, int width, int block_rows, int threads,
    unsigned seed) {
    const unsigned quad_rows = (height + 1) / 2, quad_columns = (width + 1) / 2;
    const dim3 block{32, (unsigned)block_rows, 1};
    const dim3 grid{(quad_columns + 31) / 32, (quad_rows + block_rows - 1) / block_rows, 1};
    emulation::launch(
        grid, block, threads, seed, [&] { sum_areas(quads, parents, sums, 1, height, width); });
}
