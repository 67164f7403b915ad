// Low-rank modules of many adapters in one launch. The table of tasks has up to four consecutive rows of one adapter each; a decode step with
// an adapter a row has tasks of one row, a prompt tasks of four, and a row's bits are the same in both.

struct Pair {
    const void *a, *b;
    int rank;
    float scale;
};
struct Task {
    int row, rows, pair;
};

#define ROWS 4

// u[row, r] = A[r] · x[row]: a warp a component. Grid (tasks, components / 8), 256 threads.
template <class T>
__device__ __forceinline__ void shrink(const Pair* pairs, const Task* tasks, int d_in, const float* x, int stride, float* u) {
    Task task = tasks[blockIdx.x];
    Pair pair = pairs[task.pair];
    int r = blockIdx.y * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (r >= pair.rank) return;
    const T* a = (const T*)pair.a + (i64)r * d_in;
    const float* own = x + (i64)task.row * d_in;
    float acc[ROWS] = {0.f, 0.f, 0.f, 0.f};
    if (d_in % 4 == 0) {
#pragma unroll 4
        for (int d = 4 * lane; d < d_in; d += 128) {
            float4 w = load4(a + d);
#pragma unroll
            for (int i = 0; i < ROWS; i++)
                if (i < task.rows) acc[i] = dot4(w, load4(own + (i64)i * d_in + d), acc[i]);
        }
    } else {
        for (int d = lane; d < d_in; d += 32)
#pragma unroll
            for (int i = 0; i < ROWS; i++)
                if (i < task.rows) acc[i] = fmaf(widen(a[d]), own[(i64)i * d_in + d], acc[i]);
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        float sum = warp_sum(acc[i]);
        if (i < task.rows && lane == 0) u[(i64)(task.row + i) * stride + r] = sum;
    }
}
KERNEL __launch_bounds__(256, 4) lora_shrink_f32(const Pair* pairs, const Task* tasks, int d_in, const float* x, int stride, float* u) {
    shrink<float>(pairs, tasks, d_in, x, stride, u);
}
KERNEL __launch_bounds__(256, 4) lora_shrink_bf16(const Pair* pairs, const Task* tasks, int d_in, const float* x, int stride, float* u) {
    shrink<bf16>(pairs, tasks, d_in, x, stride, u);
}

// y[row, j] += scale · B[j] · u[row]: a thread an output. Grid (tasks, outputs / 256), 256 threads; u passes through shared memory in parts.
template <class T>
__device__ __forceinline__ void expand(const Pair* pairs, const Task* tasks, int d_out, const float* u, int stride, float* y) {
    __shared__ float own[ROWS][64];
    Task task = tasks[blockIdx.x];
    Pair pair = pairs[task.pair];
    int j = blockIdx.y * 256 + threadIdx.x;
    const T* b = (const T*)pair.b + (i64)j * pair.rank;
    float acc[ROWS] = {0.f, 0.f, 0.f, 0.f};
    for (int from = 0; from < pair.rank; from += 64) {
        int n = min(64, pair.rank - from);
        __syncthreads();
        for (int e = threadIdx.x; e < ROWS * 64; e += 256) {
            int i = e / 64, r = e % 64;
            own[i][r] = i < task.rows && r < n ? u[(i64)(task.row + i) * stride + from + r] : 0.f;
        }
        __syncthreads();
        if (j >= d_out) continue;
        int whole = pair.rank % 4 == 0 ? n : 0;
#pragma unroll 4
        for (int r = 0; r < whole; r += 4) {
            float4 w = load4(b + from + r);
#pragma unroll
            for (int i = 0; i < ROWS; i++) acc[i] = dot4(w, load4(&own[i][r]), acc[i]);
        }
        for (int r = whole; r < n; r++)
#pragma unroll
            for (int i = 0; i < ROWS; i++) acc[i] = fmaf(widen(b[from + r]), own[i][r], acc[i]);
    }
    if (j >= d_out) return;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
        if (i < task.rows) {
            float* to = y + (i64)(task.row + i) * d_out + j;
            *to = fmaf(pair.scale, acc[i], *to);
        }
}
KERNEL __launch_bounds__(256, 3) lora_expand_f32(const Pair* pairs, const Task* tasks, int d_out, const float* u, int stride, float* y) {
    expand<float>(pairs, tasks, d_out, u, stride, y);
}
KERNEL __launch_bounds__(256, 3) lora_expand_bf16(const Pair* pairs, const Task* tasks, int d_out, const float* u, int stride, float* y) {
    expand<bf16>(pairs, tasks, d_out, u, stride, y);
}
