// Tables, norms, biases and gates: memory-bound operations over rows and elements.

#define EACH(i, n) \
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < (n); i += gridDim.x * (i64)blockDim.x)

// out[i] = table[ids[i]], d wide.
template <class T>
__device__ __forceinline__ void gather(const T* table, const u32* ids, i64 rows, i64 d, float* out) {
    EACH(i, rows * d) out[i] = widen(table[ids[i / d] * d + i % d]);
}
KERNEL gather_f32(const float* table, const u32* ids, i64 rows, i64 d, float* out) { gather(table, ids, rows, d, out); }
KERNEL gather_bf16(const bf16* table, const u32* ids, i64 rows, i64 d, float* out) { gather(table, ids, rows, d, out); }

// table[ids[i]] += rows[i] in the order of i: a thread owns a column, so that nothing races.
KERNEL scatter_add(const float* rows, const u32* ids, i64 n, i64 d, float* table) {
    i64 c = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (c >= d) return;
    for (i64 i = 0; i < n; i++) table[ids[i] * d + c] += rows[i * d + c];
}

KERNEL add(const float* x, i64 n, float* y) { EACH(i, n) y[i] += x[i]; }

KERNEL add_bias(const float* bias, i64 rows, i64 d, float* y) { EACH(i, rows * d) y[i] += bias[i % d]; }

KERNEL add_bias_backward(const float* dy, i64 rows, i64 d, float* dbias) {
    i64 c = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (c >= d) return;
    float sum = dbias[c];
    for (i64 i = 0; i < rows; i++) sum += dy[i * d + c];
    dbias[c] = sum;
}

KERNEL to_bf16(const float* x, i64 n, bf16* y) { EACH(i, n) y[i] = narrow(x[i]); }
KERNEL to_f32(const bf16* x, i64 n, float* y) { EACH(i, n) y[i] = widen(x[i]); }

// y = x · w / rms(x); a block of 256 threads a row.
KERNEL rmsnorm(const float* x, const float* w, float eps, int d, float* y, float* inv) {
    __shared__ float room[32];
    const float* own = x + blockIdx.x * (i64)d;
    float sum = 0.f;
    for (int i = threadIdx.x; i < d; i += blockDim.x) sum = fmaf(own[i], own[i], sum);
    sum = block_sum(sum, room);
    float r = 1.0f / sqrtf(sum / (float)d + eps);
    if (threadIdx.x == 0) inv[blockIdx.x] = r;
    float* out = y + blockIdx.x * (i64)d;
    for (int i = threadIdx.x; i < d; i += blockDim.x) out[i] = own[i] * r * w[i];
}

// dx += inv · (dy · w − x · mean); a block of 256 threads a row.
KERNEL rmsnorm_backward(const float* x, const float* w, const float* inv, const float* dy, int d, float* dx) {
    __shared__ float room[32];
    i64 at = blockIdx.x * (i64)d;
    float sum = 0.f, r = inv[blockIdx.x];
    for (int i = threadIdx.x; i < d; i += blockDim.x) sum = fmaf(dy[at + i] * w[i], x[at + i], sum);
    float mean = block_sum(sum, room) * r * r / (float)d;
    for (int i = threadIdx.x; i < d; i += blockDim.x) dx[at + i] += r * (dy[at + i] * w[i] - x[at + i] * mean);
}

KERNEL rmsnorm_backward_weight(const float* x, const float* inv, const float* dy, i64 rows, i64 d, float* dw) {
    i64 c = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (c >= d) return;
    float sum = dw[c];
    for (i64 i = 0; i < rows; i++) sum = fmaf(x[i * d + c] * inv[i], dy[i * d + c], sum);
    dw[c] = sum;
}

KERNEL silu_mul(const float* gate, const float* up, i64 n, float* out) {
    EACH(i, n) out[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
}

KERNEL silu_mul_backward(const float* gate, const float* up, const float* dout, i64 n, float* dgate, float* dup) {
    EACH(i, n) {
        float g = gate[i], s = 1.0f / (1.0f + exponential(-g));
        dup[i] = dout[i] * g * s;
        dgate[i] = dout[i] * up[i] * s * (1.0f + g * (1.0f - s));
    }
}

// Rotates the pairs (i, i + dim/2) of q in place and of k on its way into the cache; v goes along. Grid (rows, 1), any block.
KERNEL rope_kv(const float* table, const u32* positions, const u32* slots, int q_heads, int kv_heads, int dim, float* q,
               const float* k, const float* v, float* k_cache, float* v_cache) {
    i64 row = blockIdx.x, kd = (i64)kv_heads * dim, slot = slots[row];
    int half = dim / 2;
    const float* line = table + positions[row] * (i64)dim;
    for (int i = threadIdx.x; i < q_heads * half; i += blockDim.x) {
        float* head = q + (row * q_heads + i / half) * dim;
        int at = i % half;
        float a = head[at], b = head[at + half], c = line[at], s = line[at + half];
        head[at] = a * c - b * s;
        head[at + half] = b * c + a * s;
    }
    for (int i = threadIdx.x; i < kv_heads * half; i += blockDim.x) {
        const float* head = k + row * kd + i / half * dim;
        float* to = k_cache + slot * kd + i / half * dim;
        int at = i % half;
        float a = head[at], b = head[at + half], c = line[at], s = line[at + half];
        to[at] = a * c - b * s;
        to[at + half] = b * c + a * s;
    }
    for (int i = threadIdx.x; i < kd; i += blockDim.x) v_cache[slot * kd + i] = v[row * kd + i];
}

KERNEL rope_backward(const float* table, const u32* positions, int heads, int dim, float* grad) {
    i64 row = blockIdx.x;
    int half = dim / 2;
    const float* line = table + positions[row] * (i64)dim;
    for (int i = threadIdx.x; i < heads * half; i += blockDim.x) {
        float* head = grad + (row * heads + i / half) * dim;
        int at = i % half;
        float a = head[at], b = head[at + half], c = line[at], s = -line[at + half];
        head[at] = a * c - b * s;
        head[at + half] = b * c + a * s;
    }
}
