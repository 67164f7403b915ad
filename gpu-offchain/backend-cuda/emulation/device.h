// The kernels' machine on the CPU: enough of CUDA to run them as they are, slowly. A block's threads are fibers of one thread that take
// turns; at a barrier or an exchange within a warp each waits for the others. It finds wrong indices and wrong arithmetic, and with the
// address sanitiser accesses outside of buffers; it does not find every race, and says nothing of speed.

#include <ucontext.h>
#include <cmath>
#include <cstring>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <functional>
#include <algorithm>
struct Dim {
    int x = 1, y = 1, z = 1;
};
// Threads that came; the generation changes when all have.
struct Barrier {
    int count = 0, gen = 0;
};
struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
    Dim tid;
};
static std::vector<Fiber> fibers;
static int current, alive;
static const bool backwards = getenv("BACKWARDS");
static ucontext_t scheduler;
static Dim blockIdx, blockDim, gridDim;
static Barrier block_barrier;
static Barrier warp_barriers[32];
static int warp_alive[32];
static unsigned long long exchanged[32][32][8];
#define threadIdx (fibers[current].tid)
static void pause() {
    int me = current;
    swapcontext(&fibers[me].context, &scheduler);
}
// Lets the threads of a barrier go on once as many have come as are still running.
static void release(Barrier& b, int n) {
    if (n && b.count >= n) {
        b.count = 0;
        b.gen++;
    }
}
static void arrive(Barrier& b, int& n) {
    int g = b.gen;
    ++b.count;
    release(b, n);
    while (b.gen == g)
        pause();
}
static void __syncthreads() {
    arrive(block_barrier, alive);
}
static int warp_of() {
    return threadIdx.x >> 5;
}
static int lane_of() {
    return threadIdx.x & 31;
}
static void sync_warp() {
    arrive(warp_barriers[warp_of()], warp_alive[warp_of()]);
}
template <class T>
T __shfl_xor_sync(unsigned, T v, int m) {
    int w = warp_of(), l = lane_of();
    memcpy(exchanged[w][l], &v, sizeof v);
    sync_warp();
    T r;
    memcpy(&r, exchanged[w][l ^ m], sizeof r);
    sync_warp();
    return r;
}
static std::function<void()> body;
static void thread_main() {
    body();
    fibers[current].done = true;
    alive--;
    int w = fibers[current].tid.x >> 5;
    warp_alive[w]--;
    release(block_barrier, alive);
    release(warp_barriers[w], warp_alive[w]);
    swapcontext(&fibers[current].context, &scheduler);
}
// Runs a kernel, block after block.
static void launch(Dim grid, int threads, std::function<void()> f) {
    body = f;
    gridDim = grid;
    blockDim.x = threads;
    if ((int)fibers.size() < threads)
        fibers.resize(threads);
    for (int z = 0; z < grid.z; z++)
        for (int y = 0; y < grid.y; y++)
            for (int x = 0; x < grid.x; x++) {
                blockIdx.x = x;
                blockIdx.y = y;
                blockIdx.z = z;
                alive = threads;
                block_barrier = Barrier();
                for (int i = 0; i < 32; i++) {
                    warp_barriers[i] = Barrier();
                    warp_alive[i] = 0;
                }
                for (int t = 0; t < threads; t++) {
                    auto& f = fibers[t];
                    f.stack.resize(65536);
                    f.done = false;
                    f.tid.x = t;
                    f.tid.y = f.tid.z = 0;
                    warp_alive[t >> 5]++;
                    getcontext(&f.context);
                    f.context.uc_stack.ss_sp = f.stack.data();
                    f.context.uc_stack.ss_size = f.stack.size();
                    f.context.uc_link = &scheduler;
                    makecontext(&f.context, thread_main, 0);
                }
                int left = threads;
                while (left) {
                    left = 0;
                    for (int turn = 0; turn < threads; turn++) {
                        // A barrier that is missing shows in one of the two orders.
                        int t = backwards ? threads - 1 - turn : turn;
                        if (fibers[t].done)
                            continue;
                        current = t;
                        swapcontext(&scheduler, &fibers[t].context);
                        left += !fibers[t].done;
                    }
                }
            }
}
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
static float4 make_float4(float a, float b, float c, float d) {
    return {a, b, c, d};
}
static uint4 make_uint4(unsigned a, unsigned b, unsigned c, unsigned d) {
    return {a, b, c, d};
}
template <class A, class B>
static A same_bits(B b) {
    A a;
    memcpy(&a, &b, sizeof a);
    return a;
}
static float __int_as_float(unsigned x) {
    return same_bits<float>(x);
}
static float __uint_as_float(unsigned x) {
    return same_bits<float>(x);
}
static unsigned __float_as_uint(float x) {
    return same_bits<unsigned>(x);
}
static double __longlong_as_double(long long x) {
    return same_bits<double>(x);
}
static long long __double_as_longlong(double x) {
    return same_bits<long long>(x);
}
static unsigned __umulhi(unsigned a, unsigned b) {
    return ((unsigned long long)a * b) >> 32;
}
static int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++)
        c += (int)(signed char)(a >> 8 * i) * (int)(signed char)(b >> 8 * i);
    return c;
}
template <class T>
T __ldg(const T* p) {
    return *p;
}
template <class T>
T __ldcs(const T* p) {
    return *p;
}
using std::max;
using std::min;
// The tensor cores' product of 16 x 16 and 16 x 8 numbers, with the layout of fragments that PTX documents.
static float fragments_a[32][32][8], fragments_b[32][32][4];
static void emulated_mma(float* c, const unsigned* a, const unsigned* b) {
    int w = warp_of(), l = lane_of();
    for (int i = 0; i < 4; i++) {
        fragments_a[w][l][2 * i] = __uint_as_float(a[i] << 16);
        fragments_a[w][l][2 * i + 1] = __uint_as_float(a[i] & 0xffff0000u);
    }
    for (int i = 0; i < 2; i++) {
        fragments_b[w][l][2 * i] = __uint_as_float(b[i] << 16);
        fragments_b[w][l][2 * i + 1] = __uint_as_float(b[i] & 0xffff0000u);
    }
    sync_warp();
    int g = l >> 2, q = l & 3;
    for (int e = 0; e < 4; e++) {
        int row = g + (e / 2) * 8, col = 2 * q + e % 2;
        float s = c[e];
        for (int k = 0; k < 16; k++) {  // a[row][k]: lane (row%8)*4+(k%8)/2, reg (row/8)+(k/8)*2, half k%2
            float av = fragments_a[w][(row % 8) * 4 + (k % 8) / 2][2 * ((row / 8) + (k / 8) * 2) + k % 2];
            float bv = fragments_b[w][col * 4 + (k % 8) / 2][2 * (k / 8) + k % 2];
            s = fmaf(av, bv, s);
        }
        c[e] = s;
    }
    sync_warp();
}
