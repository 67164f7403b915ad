// Attention of many rows of a sequence at once: tiles of 32 queries by 32 keys, and its gradients. No atomics: queries' gradients are summed by
// the block that owns the queries, keys' and values' by the block that owns the keys.

// Up to 32 consecutive query rows of one sequence; row i of them sees `seen + i` keys.
struct Tile {
    int row, rows, start, seen;
};
// Up to 32 keys of one sequence and the queries that may see them: query row `q_start + i` sees `kv_len - q_len + i + 1`.
struct Keys {
    int key, keys, q_start, q_len, kv_start, kv_len;
};

#define SIDE 32
// A row of a tile: widened so that rows begin in different banks.
#define PITCH(D) ((D) + 4)

__device__ __forceinline__ i64 kv_row(const int* table, int page, int start, int j) {
    return page ? (i64)table[start + j / page] * page + j % page : (i64)start + j;
}

// `rows` rows of x, `dim` of D elements each, into a tile; the rest is zero.
template <int D>
__device__ __forceinline__ void fill(float* tile, const float* x, i64 stride, int rows, int dim) {
#pragma unroll 8
    for (int i = threadIdx.x; i < SIDE * D; i += 128) {
        int r = i / D, d = i % D;
        tile[r * PITCH(D) + d] = r < rows && d < dim ? x[r * stride + d] : 0.f;
    }
}

template <int D>
__device__ __forceinline__ void fill_keys(float* tile, const float* x, const int* table, int page, int start, int from, int n, int heads,
                                          int head, int dim) {
#pragma unroll 8
    for (int i = threadIdx.x; i < SIDE * D; i += 128) {
        int r = i / D, d = i % D;
        bool in = r < n && d < dim;
        tile[r * PITCH(D) + d] = in ? x[(kv_row(table, page, start, from + r) * heads + head) * dim + d] : 0.f;
    }
}

// The dot product of two rows of tiles.
template <int D>
__device__ __forceinline__ float product(const float* a, const float* b) {
    float sum = 0.f;
#pragma unroll 4
    for (int d = 0; d < D; d += 4) sum = dot4(load4(a + d), load4(b + d), sum);
    return sum;
}

// Grid (tiles, query heads), 128 threads: four a query row, each with eight of 32 keys and a quarter of the output.
template <int D>
__device__ __forceinline__ void flash(const Tile* tiles, const int* table, int page, int q_heads, int kv_heads, int dim, float scale,
                                      const float* q, const float* k, const float* v, float* out, float* lse) {
    __shared__ float queries[SIDE * PITCH(D)], keys[SIDE * PITCH(D)], probs[SIDE][SIDE + 1];
    Tile own = tiles[blockIdx.x];
    int head = blockIdx.y, kv = head / (q_heads / kv_heads);
    int r = threadIdx.x >> 2, c = threadIdx.x & 3, all = own.seen + own.rows - 1;
    fill<D>(queries, q + ((i64)own.row * q_heads + head) * dim, (i64)q_heads * dim, own.rows, dim);
    float4 acc[D / 16];
#pragma unroll
    for (int i = 0; i < D / 16; i++) acc[i] = zero4();
    float top = LOWEST, total = 0.f;
    for (int from = 0; from < all; from += SIDE) {
        int n = min(SIDE, all - from);
        __syncthreads();
        fill_keys<D>(keys, k, table, page, own.start, from, n, kv_heads, kv, dim);
        __syncthreads();
        float s[8], high = top;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            int j = c + 4 * i;
            s[i] = product<D>(queries + r * PITCH(D), keys + j * PITCH(D)) * scale;
            if (from + j >= own.seen + r) s[i] = LOWEST;
            high = fmaxf(high, s[i]);
        }
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
        high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2));
        float keep = exponential(top - high), sum = 0.f;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float p = s[i] == LOWEST ? 0.f : exponential(s[i] - high);
            probs[r][c + 4 * i] = p;
            sum += p;
        }
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        total = fmaf(total, keep, sum);
        top = high;
        __syncthreads();
        fill_keys<D>(keys, v, table, page, own.start, from, n, kv_heads, kv, dim);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < D / 16; i++) acc[i] = make_float4(acc[i].x * keep, acc[i].y * keep, acc[i].z * keep, acc[i].w * keep);
#pragma unroll 4
        for (int j = 0; j < n; j++) {
            float p = probs[r][j];
#pragma unroll
            for (int i = 0; i < D / 16; i++) acc[i] = axpy4(p, load4(keys + j * PITCH(D) + 16 * i + 4 * c), acc[i]);
        }
    }
    if (r >= own.rows) return;
    i64 at = (i64)(own.row + r) * q_heads + head;
    float inverse = 1.0f / total;
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int d = 16 * i + 4 * c;
        if (d < dim)
            *(float4*)(out + at * dim + d) =
                make_float4(acc[i].x * inverse, acc[i].y * inverse, acc[i].z * inverse, acc[i].w * inverse);
    }
    if (c == 0) lse[at] = top + logf(total);
}

// mean[row, head] = dout · out: a warp each.
KERNEL flash_mean(const float* dout, const float* out, i64 rows, int dim, float* mean) {
    i64 at = blockIdx.x * (i64)(blockDim.x >> 5) + (threadIdx.x >> 5);
    if (at >= rows) return;
    float sum = 0.f;
    for (int d = threadIdx.x & 31; d < dim; d += 32) sum = fmaf(dout[at * dim + d], out[at * dim + d], sum);
    sum = warp_sum(sum);
    if ((threadIdx.x & 31) == 0) mean[at] = sum;
}

// dq. Grid (tiles, query heads), 128 threads; four tiles in dynamic shared memory.
template <int D>
__device__ __forceinline__ void flash_queries(const Tile* tiles, int q_heads, int kv_heads, int dim, float scale, const float* q,
                                              const float* k, const float* v, const float* lse, const float* mean, const float* dout,
                                              float* dq) {
    extern __shared__ float4 memory[];
    __shared__ float grads[SIDE][SIDE + 1];
    float *queries = (float*)memory, *douts = queries + SIDE * PITCH(D), *keys = douts + SIDE * PITCH(D), *values = keys + SIDE * PITCH(D);
    Tile own = tiles[blockIdx.x];
    int head = blockIdx.y, kv = head / (q_heads / kv_heads);
    int r = threadIdx.x >> 2, c = threadIdx.x & 3, all = own.seen + own.rows - 1;
    i64 first = ((i64)own.row * q_heads + head) * dim, stride = (i64)q_heads * dim;
    fill<D>(queries, q + first, stride, own.rows, dim);
    fill<D>(douts, dout + first, stride, own.rows, dim);
    i64 at = (i64)(own.row + r) * q_heads + head;
    float l = r < own.rows ? lse[at] : 0.f, m = r < own.rows ? mean[at] : 0.f;
    float4 acc[D / 16];
#pragma unroll
    for (int i = 0; i < D / 16; i++) acc[i] = zero4();
    for (int from = 0; from < all; from += SIDE) {
        int n = min(SIDE, all - from);
        __syncthreads();
        fill_keys<D>(keys, k, 0, 0, own.start, from, n, kv_heads, kv, dim);
        fill_keys<D>(values, v, 0, 0, own.start, from, n, kv_heads, kv, dim);
        __syncthreads();
#pragma unroll 2
        for (int i = 0; i < 8; i++) {
            int j = c + 4 * i;
            float s = product<D>(queries + r * PITCH(D), keys + j * PITCH(D)) * scale;
            float dp = product<D>(douts + r * PITCH(D), values + j * PITCH(D));
            float p = from + j < own.seen + r ? exponential(s - l) : 0.f;
            grads[r][j] = p * (dp - m) * scale;
        }
        __syncthreads();
#pragma unroll 4
        for (int j = 0; j < n; j++) {
            float g = grads[r][j];
#pragma unroll
            for (int i = 0; i < D / 16; i++) acc[i] = axpy4(g, load4(keys + j * PITCH(D) + 16 * i + 4 * c), acc[i]);
        }
    }
    if (r >= own.rows) return;
#pragma unroll
    for (int i = 0; i < D / 16; i++)
        if (16 * i + 4 * c < dim) *(float4*)(dq + at * dim + 16 * i + 4 * c) = acc[i];
}

// dk and dv. Grid (tiles of keys, key heads), 128 threads, four a key; four tiles in dynamic shared memory. Query heads of the group, and their
// rows, are added in their order.
template <int D>
__device__ __forceinline__ void flash_keys(const Keys* tiles, int q_heads, int kv_heads, int dim, float scale, const float* q, const float* k,
                                           const float* v, const float* lse, const float* mean, const float* dout, float* dk, float* dv) {
    extern __shared__ float4 memory[];
    __shared__ float probs[SIDE][SIDE + 1], grads[SIDE][SIDE + 1];
    float *queries = (float*)memory, *douts = queries + SIDE * PITCH(D), *keys = douts + SIDE * PITCH(D), *values = keys + SIDE * PITCH(D);
    Keys own = tiles[blockIdx.x];
    int kv = blockIdx.y, group = q_heads / kv_heads, r = threadIdx.x >> 2, c = threadIdx.x & 3;
    i64 row0 = (i64)own.kv_start + own.key, stride = (i64)q_heads * dim;
    fill<D>(keys, k + (row0 * kv_heads + kv) * dim, (i64)kv_heads * dim, own.keys, dim);
    fill<D>(values, v + (row0 * kv_heads + kv) * dim, (i64)kv_heads * dim, own.keys, dim);
    float4 acck[D / 16], accv[D / 16];
#pragma unroll
    for (int i = 0; i < D / 16; i++) acck[i] = accv[i] = zero4();
    // The first row that sees the first key of the tile, in whole tiles.
    int offset = own.kv_len - own.q_len, begin = max(0, own.key - offset) / SIDE * SIDE;
    for (int head = kv * group; head < (kv + 1) * group; head++) {
        for (int from = begin; from < own.q_len; from += SIDE) {
            int n = min(SIDE, own.q_len - from);
            i64 row = (i64)own.q_start + from;
            __syncthreads();
            fill<D>(queries, q + (row * q_heads + head) * dim, stride, n, dim);
            fill<D>(douts, dout + (row * q_heads + head) * dim, stride, n, dim);
            __syncthreads();
#pragma unroll 2
            for (int i = 0; i < 8; i++) {
                int j = c + 4 * i;
                float p = 0.f, g = 0.f;
                if (j < n && r < own.keys && own.key + r < offset + from + j + 1) {
                    i64 at = (row + j) * q_heads + head;
                    float s = product<D>(queries + j * PITCH(D), keys + r * PITCH(D)) * scale;
                    float dp = product<D>(douts + j * PITCH(D), values + r * PITCH(D));
                    p = exponential(s - lse[at]);
                    g = p * (dp - mean[at]) * scale;
                }
                probs[r][j] = p;
                grads[r][j] = g;
            }
            __syncthreads();
            for (int j = 0; j < n; j++) {
                float p = probs[r][j], g = grads[r][j];
#pragma unroll
                for (int i = 0; i < D / 16; i++) {
                    accv[i] = axpy4(p, load4(douts + j * PITCH(D) + 16 * i + 4 * c), accv[i]);
                    acck[i] = axpy4(g, load4(queries + j * PITCH(D) + 16 * i + 4 * c), acck[i]);
                }
            }
        }
    }
    if (r >= own.keys) return;
    i64 at = ((row0 + r) * kv_heads + kv) * dim;
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int d = 16 * i + 4 * c;
        if (d < dim) {
            *(float4*)(dk + at + d) = acck[i];
            *(float4*)(dv + at + d) = accv[i];
        }
    }
}

#define FLASH(D)                                                                                                                        \
    KERNEL __launch_bounds__(128, 3) flash_##D(const Tile* tiles, const int* table, int page, int q_heads, int kv_heads, int dim,          \
                                            float scale, const float* q, const float* k, const float* v, float* out, float* lse) {      \
        flash<D>(tiles, table, page, q_heads, kv_heads, dim, scale, q, k, v, out, lse);                                                 \
    }                                                                                                                                   \
    KERNEL __launch_bounds__(128, 3) flash_queries_##D(const Tile* tiles, int q_heads, int kv_heads, int dim, float scale, const float* q, \
                                                    const float* k, const float* v, const float* lse, const float* mean,                \
                                                    const float* dout, float* dq) {                                                     \
        flash_queries<D>(tiles, q_heads, kv_heads, dim, scale, q, k, v, lse, mean, dout, dq);                                           \
    }                                                                                                                                   \
    KERNEL __launch_bounds__(128, 3) flash_keys_##D(const Keys* tiles, int q_heads, int kv_heads, int dim, float scale, const float* q,    \
                                                 const float* k, const float* v, const float* lse, const float* mean,                   \
                                                 const float* dout, float* dk, float* dv) {                                             \
        flash_keys<D>(tiles, q_heads, kv_heads, dim, scale, q, k, v, lse, mean, dout, dk, dv);                                          \
    }
FLASH(32)
FLASH(64)
FLASH(128)
