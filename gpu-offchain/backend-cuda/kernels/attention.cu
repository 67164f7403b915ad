// Attention of single rows over keys and values in pages or in a row: decoding, and every row in verifiable mode. A row's keys are cut into
// chunks of 256 wherever they lie and whatever else is in the batch, so that its bits depend on nothing but its own keys.

// One query row: where its keys begin (a row of the cache, or a place in the table of pages) and how many it sees.
struct Row {
    int row, start, seen;
};

#define CHUNK 256
#define WIDEST 256

__device__ __forceinline__ i64 kv_row(const int* table, int page, int start, int j) {
    return page ? (i64)table[start + j / page] * page + j % page : (i64)start + j;
}

// A block of 128 threads does up to G query heads of one key head for one chunk. Grid (rows, key heads · tiles, chunks).
template <int G>
__device__ __forceinline__ void attend(const Row* rows, const int* table, int page, int q_heads, int kv_heads, int dim, float scale,
                                       const float* q, const float* k, const float* v, float* out, float* lse, float* part) {
    __shared__ float queries[G][WIDEST];
    __shared__ float scores[G][CHUNK];
    __shared__ float tops[G], sums[G];
    __shared__ float4 room[128];
    Row own = rows[blockIdx.x];
    int from = blockIdx.z * CHUNK, n = min(own.seen - from, CHUNK);
    if (n <= 0) return;
    int group = q_heads / kv_heads, tiles = (group + G - 1) / G;
    int kv = blockIdx.y / tiles, first = kv * group + blockIdx.y % tiles * G;
    int heads = min(G, (kv + 1) * group - first);
    int t = threadIdx.x, quads = dim / 4;
#pragma unroll 1
    for (int i = t; i < G * dim; i += 128) {
        int g = i / dim;
        queries[g][i % dim] = g < heads ? q[((i64)own.row * q_heads + first + g) * dim + i % dim] : 0.f;
    }
    __syncthreads();
    // Scores: eight lanes a key.
#pragma unroll 2
    for (int base = 0; base < n; base += 16) {
        int j = base + (t >> 3), lane = t & 7;
        float acc[G];
#pragma unroll
        for (int g = 0; g < G; g++) acc[g] = 0.f;
        if (j < n) {
            const float* key = k + (kv_row(table, page, own.start, from + j) * kv_heads + kv) * dim;
#pragma unroll 2
            for (int d = lane; d < quads; d += 8) {
                float4 x = load4(key + 4 * d);
#pragma unroll
                for (int g = 0; g < G; g++) acc[g] = dot4(load4(&queries[g][4 * d]), x, acc[g]);
            }
        }
#pragma unroll
        for (int g = 0; g < G; g++) {
            acc[g] += __shfl_xor_sync(0xffffffffu, acc[g], 4);
            acc[g] += __shfl_xor_sync(0xffffffffu, acc[g], 2);
            acc[g] += __shfl_xor_sync(0xffffffffu, acc[g], 1);
            if (lane == 0 && j < n) scores[g][j] = acc[g] * scale;
        }
    }
    __syncthreads();
    // Softmax within the chunk: a warp a head.
#pragma unroll
    for (int from_head = 0; from_head < G; from_head += 4) {
        int g = from_head + (t >> 5), lane = t & 31;
        if (g >= heads) break;
        float top = LOWEST, sum = 0.f;
#pragma unroll 2
        for (int j = lane; j < n; j += 32) top = fmaxf(top, scores[g][j]);
        top = warp_max(top);
#pragma unroll 2
        for (int j = lane; j < n; j += 32) {
            float p = exponential(scores[g][j] - top);
            scores[g][j] = p;
            sum += p;
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            tops[g] = top;
            sums[g] = sum;
        }
    }
    __syncthreads();
    // Values: four elements of the head a thread, as many keys side by side as there are threads for.
    int subs = 128 / quads, sub = t / quads, d = t % quads;
    float4 acc[G];
#pragma unroll
    for (int g = 0; g < G; g++) acc[g] = zero4();
    if (sub < subs) {
#pragma unroll 4
        for (int j = sub; j < n; j += subs) {
            float4 x = load4(v + (kv_row(table, page, own.start, from + j) * kv_heads + kv) * dim + 4 * d);
#pragma unroll
            for (int g = 0; g < G; g++) acc[g] = axpy4(scores[g][j], x, acc[g]);
        }
    }
    bool alone = gridDim.z == 1;
#pragma unroll
    for (int g = 0; g < G; g++) {
        __syncthreads();
        room[t] = acc[g];
        __syncthreads();
        if (g < heads && t < quads) {
            float4 sum = room[t];
#pragma unroll 1
            for (int s = 1; s < subs; s++) sum = axpy4(1.f, room[s * quads + t], sum);
            i64 at = (i64)own.row * q_heads + first + g;
            if (alone) {
                float inverse = 1.0f / sums[g];
                float4 o = make_float4(sum.x * inverse, sum.y * inverse, sum.z * inverse, sum.w * inverse);
                *(float4*)(out + at * dim + 4 * t) = o;
                if (t == 0) lse[at] = tops[g] + logf(sums[g]);
            } else {
                float* to = part + (((i64)blockIdx.x * q_heads + first + g) * gridDim.z + blockIdx.z) * (dim + 4);
                *(float4*)(to + 4 + 4 * t) = sum;
                if (t == 0) {
                    to[0] = tops[g];
                    to[1] = sums[g];
                }
            }
        }
    }
}

#define ATTEND(G)                                                                                                                  \
    KERNEL __launch_bounds__(128, 5) attend_##G(const Row* rows, const int* table, int page, int q_heads, int kv_heads, int dim,      \
                                             float scale, const float* q, const float* k, const float* v, float* out, float* lse, \
                                             float* part) {                                                                       \
        attend<G>(rows, table, page, q_heads, kv_heads, dim, scale, q, k, v, out, lse, part);                                     \
    }
ATTEND(1)
ATTEND(2)
ATTEND(4)
ATTEND(8)

// Puts a row's chunks together in their order. Grid (rows, query heads); a single chunk gives the bits it gives alone.
KERNEL attend_join(const Row* rows, int q_heads, int dim, int chunks, const float* part, float* out, float* lse) {
    Row own = rows[blockIdx.x];
    int n = (own.seen + CHUNK - 1) / CHUNK;
    const float* from = part + ((i64)blockIdx.x * q_heads + blockIdx.y) * chunks * (dim + 4);
    float top = LOWEST, sum = 0.f;
    for (int c = 0; c < n; c++) top = fmaxf(top, from[c * (dim + 4)]);
    for (int c = 0; c < n; c++) sum = fmaf(from[c * (dim + 4) + 1], exponential(from[c * (dim + 4)] - top), sum);
    i64 at = (i64)own.row * q_heads + blockIdx.y;
    float inverse = 1.0f / sum;
    for (int d = threadIdx.x; d < dim; d += blockDim.x) {
        float o = 0.f;
        for (int c = 0; c < n; c++) o = fmaf(from[c * (dim + 4) + 4 + d], exponential(from[c * (dim + 4)] - top), o);
        out[at * dim + d] = o * inverse;
    }
    if (threadIdx.x == 0) lse[at] = top + logf(sum);
}
