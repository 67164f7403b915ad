// Exact dot products of a query of bytes with rows of bytes, block by block. Integers add up to the same in any order.

// Lanes [from, from + lanes) of a row.
struct Part {
    int from, lanes;
};

__device__ __forceinline__ int dot16(uint4 a, uint4 b, int sum) {
    sum = __dp4a((int)a.x, (int)b.x, sum);
    sum = __dp4a((int)a.y, (int)b.y, sum);
    sum = __dp4a((int)a.z, (int)b.z, sum);
    return __dp4a((int)a.w, (int)b.w, sum);
}

// Four rows a block of 256 threads, so that a piece of the query is read once for four; all lanes in sixteens. Grid (rows / 4, parts).
KERNEL __launch_bounds__(256) dots(const signed char* lanes, i64 width, i64 rows, const signed char* query, const Part* parts, int* out) {
    __shared__ int sums[4][8];
    Part part = parts[blockIdx.y];
    i64 row0 = blockIdx.x * 4ll;
    int some = (int)min(4ll, rows - row0), sum[4] = {0, 0, 0, 0};
    const uint4* q = (const uint4*)(query + part.from);
    const uint4* x[4];
#pragma unroll
    for (int r = 0; r < 4; r++) x[r] = (const uint4*)(lanes + (row0 + min(r, some - 1)) * width + part.from);
#pragma unroll 2
    for (int i = threadIdx.x; i < part.lanes / 16; i += 256) {
        uint4 own = __ldg(q + i), a = __ldcs(x[0] + i), b = __ldcs(x[1] + i), c = __ldcs(x[2] + i), d = __ldcs(x[3] + i);
        sum[0] = dot16(own, a, sum[0]);
        sum[1] = dot16(own, b, sum[1]);
        sum[2] = dot16(own, c, sum[2]);
        sum[3] = dot16(own, d, sum[3]);
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
        int all = warp_sum(sum[r]);
        if ((threadIdx.x & 31) == 0) sums[r][threadIdx.x >> 5] = all;
    }
    __syncthreads();
    if (threadIdx.x < some) {
        int all = 0;
        for (int w = 0; w < 8; w++) all += sums[threadIdx.x][w];
        out[(row0 + threadIdx.x) * gridDim.y + blockIdx.y] = all;
    }
}

// Any width: byte by byte, a warp a row and part. Grid (rows / 8, parts), 256 threads.
KERNEL dots_odd(const signed char* lanes, i64 width, i64 rows, const signed char* query, const Part* parts, int* out) {
    Part part = parts[blockIdx.y];
    i64 row = blockIdx.x * 8ll + (threadIdx.x >> 5);
    if (row >= rows) return;
    int sum = 0;
    for (int i = threadIdx.x & 31; i < part.lanes; i += 32) sum += (int)lanes[row * width + part.from + i] * (int)query[part.from + i];
    sum = warp_sum(sum);
    if ((threadIdx.x & 31) == 0) out[row * gridDim.y + blockIdx.y] = sum;
}
