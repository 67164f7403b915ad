// The kernels' machine on the CPU: enough of CUDA to run them as they are, slowly. A block's threads are fibers of one thread that take
// turns; at a barrier or an exchange within a warp each waits for the others. It finds wrong indices and wrong arithmetic, and with the
// address sanitiser accesses outside of buffers; it does not find every race, and says nothing of speed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <sys/mman.h>
// Where there is no switch written for it, and under the sanitiser, which has to know of stacks.
#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__)
#define SLOW_SWITCH
#include <ucontext.h>
#endif
struct Dim {
    int x = 1, y = 1, z = 1;
};
static Dim blockIdx, blockDim, gridDim, threadIdx{0, 0, 0};
static const bool backwards = getenv("BACKWARDS");

// One fiber's place to go on: what a call must keep lies on its own stack.
struct Context {
#ifdef SLOW_SWITCH
    ucontext_t kept;
#else
    void* top;
#endif
};
static void fiber_main();
#ifdef SLOW_SWITCH
static void go(Context& from, Context& to) {
    swapcontext(&from.kept, &to.kept);
}
static void prepare(Context& c, char* stack, size_t bytes) {
    getcontext(&c.kept);
    c.kept.uc_stack.ss_sp = stack;
    c.kept.uc_stack.ss_size = bytes;
    c.kept.uc_link = nullptr;
    makecontext(&c.kept, fiber_main, 0);
}
#else
// swapcontext asks the system for the signal mask at every switch, which is most of what a barrier takes.
extern "C" __attribute__((visibility("hidden"))) void emulation_go(void** from, void* to);
asm(R"(
    .text
    .hidden emulation_go
    .globl emulation_go
    .type emulation_go, @function
emulation_go:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulation_go, .-emulation_go
)");
static void go(Context& from, Context& to) {
    emulation_go(&from.top, to.top);
}
static void prepare(Context& c, char* stack, size_t bytes) {
    // The six registers, the function to return into, and its own return address, which is never used.
    void** top = (void**)((size_t)(stack + bytes) & ~(size_t)15) - 8;
    memset(top, 0, 64);
    top[6] = (void*)fiber_main;
    c.top = top;
}
#endif

// Fibers are kept from block to block. One runs threads that never wait one after another; a thread that waits holds its own.
struct Fiber {
    Context context;
};
static std::vector<Fiber*> idle;
static Fiber* running;
static Context scheduler;
static const size_t STACK = 64 << 10;
static Fiber* fiber() {
    if (!idle.empty()) {
        Fiber* f = idle.back();
        idle.pop_back();
        return f;
    }
    static size_t made = 0;
    // The lowest page stays closed, so that a stack that grows too far is noticed. Tops lie eleven cache lines further in each page than in the
    // one before, or a warp's would all share the same few places of the cache.
    char* stack = (char*)mmap(nullptr, STACK + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        abort();
    mprotect(stack, 4096, PROT_NONE);
    Fiber* f = new Fiber;
    prepare(f->context, stack + 4096, STACK + 4096 - made++ * 704 % 4096);
    return f;
}

// Threads by warp, a bit a lane.
static const int WARPS = 32;
static unsigned ready[WARPS], started[WARPS], at_warp[WARPS], at_block[WARPS], present[WARPS];
static unsigned ready_warps;
static int alive, arrived;
static Fiber* fiber_of[WARPS * 32];
static unsigned exchanges[WARPS * 32];
static void (*body)(void*);
static void* body_data;
// What happens where the threads that are left wait for each other for ever.
static void (*stuck)() = [] {
    printf("FAIL threads wait for others that never come\n");
    exit(1);
};

static int warp_of() {
    return threadIdx.x >> 5;
}
static int lane_of() {
    return threadIdx.x & 31;
}
static int lowest(unsigned bits, int from) {
    unsigned above = bits & (~0u << from);
    return __builtin_ctz(above ? above : bits);
}
static int highest(unsigned bits, int from) {
    unsigned below = bits & (~0u >> (31 - from));
    return 31 - __builtin_clz(below ? below : bits);
}
// The thread whose turn it is: of the same warp while one can run. A barrier that is missing shows in one of the two orders.
static inline __attribute__((always_inline)) int choose() {
    if (!ready_warps)
        stuck();
    int w = warp_of(), l = lane_of();
    if (!ready[w]) {
        w = backwards ? highest(ready_warps, w) : lowest(ready_warps, w);
        l = backwards ? 31 : 0;
    }
    l = backwards ? highest(ready[w], l) : lowest(ready[w], l);
    ready[w] &= ~(1u << l);
    if (!ready[w])
        ready_warps &= ~(1u << w);
    return w * 32 + l;
}
static void wake(int w, unsigned lanes) {
    ready[w] |= lanes;
    if (lanes)
        ready_warps |= 1u << w;
}
static void wait() {
    Fiber* own = fiber_of[threadIdx.x] = running;
    int next = choose();
    threadIdx.x = next;
    unsigned bit = 1u << (next & 31);
    if (started[next >> 5] & bit) {
        running = fiber_of[next];
    } else {
        started[next >> 5] |= bit;
        running = fiber();
    }
    go(own->context, running->context);
}
static void open_block() {
    arrived = 0;
    for (int w = 0; w < WARPS; w++) {
        unsigned lanes = at_block[w];
        at_block[w] = 0;
        wake(w, lanes);
    }
}
static void __syncthreads() {
    if (++arrived == alive)
        return open_block();
    at_block[warp_of()] |= 1u << lane_of();
    wait();
}
// Waits for all lanes of the warp; the one that comes last does `last` for all of them.
template <class F>
static void meet(F last) {
    int w = warp_of();
    unsigned own = 1u << lane_of();
    if ((at_warp[w] | own) == present[w]) {
        last();
        unsigned lanes = at_warp[w];
        at_warp[w] = 0;
        wake(w, lanes);
    } else {
        at_warp[w] |= own;
        wait();
    }
}
// Every other exchange has other places, so that none is written to before everybody has read it: who writes there again has met all others
// in between.
static unsigned turn() {
    return exchanges[threadIdx.x]++ & 1;
}
static unsigned long long exchanged[2][WARPS][32];
template <class T>
T __shfl_xor_sync(unsigned, T v, int m) {
    int w = warp_of(), l = lane_of();
    auto& places = exchanged[turn()][w];
    memcpy(&places[l], &v, sizeof v);
    meet([] {});
    T r;
    memcpy(&r, &places[l ^ m], sizeof r);
    return r;
}
static void fiber_main() {
    for (;;) {
        body(body_data);
        int w = warp_of();
        present[w] &= ~(1u << lane_of());
        if (--alive && arrived == alive)
            open_block();
        if (at_warp[w] && at_warp[w] == present[w]) {
            unsigned lanes = at_warp[w];
            at_warp[w] = 0;
            wake(w, lanes);
        }
        Fiber* own = running;
        Context* to = &scheduler;
        if (alive) {
            int next = threadIdx.x = choose();
            unsigned bit = 1u << (next & 31);
            if (!(started[next >> 5] & bit)) {
                started[next >> 5] |= bit;
                continue;
            }
            running = fiber_of[next];
            to = &running->context;
        }
        idle.push_back(own);
        go(own->context, *to);
    }
}

// Dynamic shared memory: its bytes, and how many of them are filled with NaN before each block.
static char dynamic_default[131072] __attribute__((aligned(16)));
static char* dynamic_shared = dynamic_default;
static size_t dynamic_bytes = 0;

// Runs a kernel, block after block.
template <class F>
static void launch(Dim grid, int threads, F f) {
    body_data = &f;
    body = [](void* f) { (*(F*)f)(); };
    gridDim = grid;
    blockDim.x = threads;
    for (int z = 0; z < grid.z; z++)
        for (int y = 0; y < grid.y; y++)
            for (int x = 0; x < grid.x; x++) {
                blockIdx.x = x;
                blockIdx.y = y;
                blockIdx.z = z;
                alive = threads;
                arrived = 0;
                memset(dynamic_shared, 0xff, dynamic_bytes);
                for (int w = 0; w < WARPS; w++) {
                    int lanes = std::min(std::max(threads - 32 * w, 0), 32);
                    ready[w] = 0;
                    present[w] = lanes ? ~0u >> (32 - lanes) : 0;
                    at_warp[w] = at_block[w] = started[w] = 0;
                    wake(w, present[w]);
                }
                memset(exchanges, 0, threads * sizeof *exchanges);
                threadIdx.x = backwards ? threads - 1 : 0;
                threadIdx.x = choose();
                started[warp_of()] |= 1u << lane_of();
                running = fiber();
                go(scheduler, running->context);
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
// The tensor cores' product of 16 x 16 and 16 x 8 numbers, with the layout of fragments that PTX documents; each sum one term after another.
struct Fragments {
    // Pairs of bf16 as they come; B turned, so that a row is what one term of A meets.
    unsigned a[16][8];
    float b[16][8], c[16][8];
};
static Fragments fragments[2][WARPS];
static void emulated_mma(float* c, const unsigned* a, const unsigned* b) {
    Fragments& all = fragments[turn()][warp_of()];
    int g = lane_of() >> 2, q = lane_of() & 3;
    for (int i = 0; i < 4; i++)
        all.a[g + i % 2 * 8][q + i / 2 * 4] = a[i];
    for (int i = 0; i < 2; i++) {
        all.b[2 * q + 8 * i][g] = __uint_as_float(b[i] << 16);
        all.b[2 * q + 8 * i + 1][g] = __uint_as_float(b[i] & 0xffff0000u);
    }
    for (int i = 0; i < 2; i++)
        memcpy(&all.c[g + 8 * i][2 * q], c + 2 * i, 8);
    meet([&] {
        for (int from = 0; from < 16; from += 4) {
            float sums[4][8];
            memcpy(sums, all.c[from], sizeof sums);
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++)
#pragma GCC unroll 4
                for (int row = 0; row < 4; row++) {
                    unsigned two = all.a[from + row][k / 2];
                    float x = __uint_as_float(k % 2 ? two & 0xffff0000u : two << 16);
#pragma GCC unroll 8
                    for (int column = 0; column < 8; column++)
                        sums[row][column] = fmaf(x, all.b[k][column], sums[row][column]);
                }
            memcpy(all.c[from], sums, sizeof sums);
        }
    });
    for (int i = 0; i < 2; i++)
        memcpy(c + 2 * i, &all.c[g + 8 * i][2 * q], 8);
}
