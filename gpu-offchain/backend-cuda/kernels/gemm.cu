// Matrix products whose bits depend on no other row or column: an element is summed in chunks of 256 terms, each chunk one after another, the
// chunks in their order. Kernels for few rows give each chunk a block of its own and add the chunks afterwards; kernels for many rows go
// through the chunks themselves. Both do the same operations on an element.

#define TERMS 256

struct Product {
    int m, n, k;
    float alpha;
    int accumulate;
};

__device__ __forceinline__ void put(const Product& op, float sum, float* c) {
    *c = op.accumulate ? fmaf(op.alpha, sum, *c) : op.alpha * sum;
}

// A is [m, k], or [k, m] if AT; B is [n, k], or [k, n] if BT. 64 × 64 elements a block of 256 threads, 4 × 4 each.
template <bool AT, bool BT, class T>
__device__ __forceinline__ void tiled(Product op, const float* a, const T* b, float* c) {
    __shared__ float as[16][68], bs[16][68];
    int t = threadIdx.x, row0 = blockIdx.y * 64, col0 = blockIdx.x * 64, ty = t / 16, tx = t % 16;
    float total[4][4], acc[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) total[i][j] = acc[i][j] = 0.f;
    for (int p0 = 0; p0 < op.k; p0 += 16) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            int at = t + e * 256;
            int i = AT ? at % 64 : at / 16, p = AT ? at / 64 : at % 16;
            bool in = row0 + i < op.m && p0 + p < op.k;
            as[p][i] = in ? a[AT ? (i64)(p0 + p) * op.m + row0 + i : (i64)(row0 + i) * op.k + p0 + p] : 0.f;
            int j = BT ? at % 64 : at / 16, r = BT ? at / 64 : at % 16;
            in = col0 + j < op.n && p0 + r < op.k;
            bs[r][j] = in ? widen(b[BT ? (i64)(p0 + r) * op.n + col0 + j : (i64)(col0 + j) * op.k + p0 + r]) : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int p = 0; p < 16; p++) {
            float4 x = load4(&as[p][4 * ty]), y = load4(&bs[p][4 * tx]);
            float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = fmaf(xs[i], ys[j], acc[i][j]);
        }
        __syncthreads();
        if ((p0 + 16) % TERMS == 0 || p0 + 16 >= op.k) {
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    total[i][j] += acc[i][j];
                    acc[i][j] = 0.f;
                }
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int row = row0 + 4 * ty + i, col = col0 + 4 * tx + j;
            if (row < op.m && col < op.n) put(op, total[i][j], c + (i64)row * op.n + col);
        }
}

#define TILED(NAME, AT, BT, T) \
    KERNEL __launch_bounds__(256) NAME(Product op, const float* a, const T* b, float* c) { tiled<AT, BT, T>(op, a, b, c); }
TILED(gemm_forward_f32, false, false, float)
TILED(gemm_input_f32, false, true, float)
TILED(gemm_weight_f32, true, true, float)

// Up to 16 rows by 64 columns by one chunk; part[chunk, m, n]. Grid (columns, rows, chunks), 256 threads, four elements of a column each.
KERNEL __launch_bounds__(256) gemm_few_f32(Product op, const float* a, const float* b, float* part) {
    __shared__ float as[16][33], bs[64][33];
    int t = threadIdx.x, row0 = blockIdx.y * 16, col0 = blockIdx.x * 64, from = blockIdx.z * TERMS;
    int end = min(op.k, from + TERMS), j = t % 64, i0 = t / 64 * 4;
    float acc[4] = {0.f, 0.f, 0.f, 0.f};
    for (int p0 = from; p0 < end; p0 += 32) {
        for (int e = t; e < 16 * 32; e += 256) {
            int i = e / 32, p = e % 32;
            as[i][p] = row0 + i < op.m && p0 + p < end ? a[(i64)(row0 + i) * op.k + p0 + p] : 0.f;
        }
#pragma unroll
        for (int e = t; e < 64 * 32; e += 256) {
            int i = e / 32, p = e % 32;
            bs[i][p] = col0 + i < op.n && p0 + p < end ? b[(i64)(col0 + i) * op.k + p0 + p] : 0.f;
        }
        __syncthreads();
#pragma unroll
        for (int p = 0; p < 32; p++)
#pragma unroll
            for (int i = 0; i < 4; i++) acc[i] = fmaf(as[i0 + i][p], bs[j][p], acc[i]);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (row0 + i0 + i < op.m && col0 + j < op.n)
            part[((i64)blockIdx.z * op.m + row0 + i0 + i) * op.n + col0 + j] = acc[i];
}

// Adds the chunks in their order.
KERNEL gemm_join(Product op, int chunks, const float* part, float* c) {
    i64 size = (i64)op.m * op.n;
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < size; i += gridDim.x * (i64)blockDim.x) {
        float total = 0.f;
        for (int s = 0; s < chunks; s++) total += part[s * size + i];
        put(op, total, c + i);
    }
}

// Tensor cores: 16 × 8 sums of 16 products of bf16, in f32.
__device__ __forceinline__ void mma(float* c, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ u32 pair(const bf16* x) { return *(const u32*)x; }

// The fragments of 16 rows and 16 terms, and of 8 columns and 16 terms, from tiles with `pitch` elements a row.
__device__ __forceinline__ void fragment_a(u32* a, const bf16* tile, int pitch) {
    int g = (threadIdx.x & 31) >> 2, c = 2 * (threadIdx.x & 3);
    a[0] = pair(tile + g * pitch + c);
    a[1] = pair(tile + (g + 8) * pitch + c);
    a[2] = pair(tile + g * pitch + c + 8);
    a[3] = pair(tile + (g + 8) * pitch + c + 8);
}
__device__ __forceinline__ void fragment_b(u32* b, const bf16* tile, int pitch) {
    int g = (threadIdx.x & 31) >> 2, c = 2 * (threadIdx.x & 3);
    b[0] = pair(tile + g * pitch + c);
    b[1] = pair(tile + g * pitch + c + 8);
}

__device__ __forceinline__ void copy16(void* to, const void* from) {
    u32 at = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
}

// Weights of 8 bits have one factor a row of B. Where they are multiplied they are bf16, which holds each of them exactly; the factor is taken
// once a sum.
typedef signed char w8;

__device__ __forceinline__ bf16 exact(bf16 x) { return x; }
__device__ __forceinline__ bf16 exact(w8 x) { return (bf16)(__float_as_uint((float)x) >> 16); }
__device__ __forceinline__ u32 exact2(u32 x) {
    return __float_as_uint((float)(w8)x) >> 16 | (__float_as_uint((float)(w8)(x >> 8)) & 0xffff0000u);
}
__device__ __forceinline__ void exact16(bf16* to, const w8* from) {
    uint4 x = *(const uint4*)from;
    ((uint4*)to)[0] = make_uint4(exact2(x.x), exact2(x.x >> 16), exact2(x.y), exact2(x.y >> 16));
    ((uint4*)to)[1] = make_uint4(exact2(x.z), exact2(x.z >> 16), exact2(x.w), exact2(x.w >> 16));
}
__device__ __forceinline__ float factor(const bf16*, const float*, int) { return 1.f; }
__device__ __forceinline__ float factor(const w8*, const float* factors, int col) { return factors[col]; }

#define FEW_PITCH (TERMS + 8)
// 64 rows of B and a chunk of terms, fetched by 128 threads.
__device__ __forceinline__ void fetch_few(Product op, const bf16* b, int col0, int from, int terms, bf16* bs) {
    if (op.k % 8 == 0) {
#pragma unroll 4
        for (int e = threadIdx.x; e < 64 * TERMS / 8; e += 128) {
            int j = e / (TERMS / 8), p = e % (TERMS / 8) * 8;
            if (col0 + j < op.n && p < terms)
                copy16(bs + j * FEW_PITCH + p, b + (i64)(col0 + j) * op.k + from + p);
            else
                *(uint4*)(bs + j * FEW_PITCH + p) = make_uint4(0, 0, 0, 0);
        }
    } else {
        for (int e = threadIdx.x; e < 64 * TERMS; e += 128) {
            int j = e / TERMS, p = e % TERMS;
            bs[j * FEW_PITCH + p] = col0 + j < op.n && p < terms ? b[(i64)(col0 + j) * op.k + from + p] : (bf16)0;
        }
    }
}
__device__ __forceinline__ void fetch_few(Product op, const w8* b, int col0, int from, int terms, bf16* bs) {
    bool wide = op.k % 16 == 0;
#pragma unroll 4
    for (int e = threadIdx.x; e < 64 * TERMS / 16; e += 128) {
        int j = e / (TERMS / 16), p = e % (TERMS / 16) * 16;
        const w8* row = b + (i64)(col0 + j) * op.k + from;
        bf16* to = bs + j * FEW_PITCH + p;
        if (wide && col0 + j < op.n && p < terms)
            exact16(to, row + p);
        else
            for (int i = p; i < p + 16; i++) to[i - p] = col0 + j < op.n && i < terms ? exact(row[i]) : (bf16)0;
    }
}

// Few rows, B [n, k] in bf16 or 8 bits: a block of 128 threads has 16·MT rows, 64 columns and one chunk, fetched whole before anything is
// multiplied. Grid (columns, rows, chunks); (16·MT + 64) rows of 264 elements of dynamic shared memory.
template <int MT, class T>
__device__ __forceinline__ void few(Product op, const float* a, const T* b, float* part) {
    const int PITCH = FEW_PITCH;
    extern __shared__ uint4 memory[];
    bf16 *bs = (bf16*)memory, *as = bs + 64 * PITCH;
    int t = threadIdx.x, row0 = blockIdx.y * 16 * MT, col0 = blockIdx.x * 64, from = blockIdx.z * TERMS;
    int terms = min(TERMS, op.k - from);
    fetch_few(op, b, col0, from, terms, bs);
    asm volatile("cp.async.commit_group;" ::: "memory");
    for (int e = t; e < 16 * MT * TERMS; e += 128) {
        int i = e / TERMS, p = e % TERMS;
        as[i * PITCH + p] = row0 + i < op.m && p < terms ? narrow(a[(i64)(row0 + i) * op.k + from + p]) : (bf16)0;
    }
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    int warp = t >> 5, g = (t & 31) >> 2, c2 = 2 * (t & 3);
    float acc[MT][2][4];
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) acc[i][j / 4][j % 4] = 0.f;
    for (int p = 0; p < terms; p += 16) {
        u32 bf[2][2];
        fragment_b(bf[0], bs + (warp * 16) * PITCH + p, PITCH);
        fragment_b(bf[1], bs + (warp * 16 + 8) * PITCH + p, PITCH);
#pragma unroll
        for (int i = 0; i < MT; i++) {
            u32 af[4];
            fragment_a(af, as + i * 16 * PITCH + p, PITCH);
            mma(acc[i][0], af, bf[0]);
            mma(acc[i][1], af, bf[1]);
        }
    }
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int e = 0; e < 8; e++) {
            int row = row0 + i * 16 + g + (e % 4 / 2) * 8, col = col0 + warp * 16 + e / 4 * 8 + c2 + e % 2;
            if (row < op.m && col < op.n) part[((i64)blockIdx.z * op.m + row) * op.n + col] = acc[i][e / 4][e % 4];
        }
}
KERNEL __launch_bounds__(128) gemm_few_bf16_16(Product op, const float* a, const bf16* b, float* part) { few<1>(op, a, b, part); }
KERNEL __launch_bounds__(128) gemm_few_bf16_64(Product op, const float* a, const bf16* b, float* part) { few<4>(op, a, b, part); }
KERNEL __launch_bounds__(128) gemm_few_w8_16(Product op, const float* a, const w8* b, float* part) { few<1>(op, a, b, part); }
KERNEL __launch_bounds__(128) gemm_few_w8_64(Product op, const float* a, const w8* b, float* part) { few<4>(op, a, b, part); }

// Adds the chunks in their order, then takes the factor of the column.
KERNEL gemm_join_w8(Product op, int chunks, const float* part, const float* factors, float* c) {
    i64 size = (i64)op.m * op.n;
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < size; i += gridDim.x * (i64)blockDim.x) {
        float total = 0.f;
        for (int s = 0; s < chunks; s++) total += part[s * size + i];
        put(op, total * factors[i % op.n], c + i);
    }
}

// The weights themselves, of rows of k.
KERNEL from_w8(const w8* b, const float* factors, i64 size, int k, float* out) {
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < size; i += gridDim.x * (i64)blockDim.x) out[i] = (float)b[i] * factors[i / k];
}

__device__ __forceinline__ void fetch_many(Product op, const bf16* b, int col0, int p0, bf16* bs, int pitch) {
#pragma unroll
    for (int e = 0; e < 2; e++) {
        int at = threadIdx.x + e * 128, j = at / 4, p = at % 4 * 8;
        uint4 x = make_uint4(0, 0, 0, 0);
        if (col0 + j < op.n && p0 + p < op.k) x = *(const uint4*)(b + (i64)(col0 + j) * op.k + p0 + p);
        *(uint4*)(bs + j * pitch + p) = x;
    }
}
__device__ __forceinline__ void fetch_many(Product op, const w8* b, int col0, int p0, bf16* bs, int pitch) {
    int j = threadIdx.x / 2, p = threadIdx.x % 2 * 16;
    bf16* to = bs + j * pitch + p;
    if (col0 + j < op.n && p0 + p < op.k)
        exact16(to, b + (i64)(col0 + j) * op.k + p0 + p);
    else
        ((uint4*)to)[0] = ((uint4*)to)[1] = make_uint4(0, 0, 0, 0);
}

// Many rows, B in bf16 or 8 bits, [n, k] or [k, n] if BT: 64 × 64 elements a block of four warps, 32 × 32 each.
template <bool BT, class T>
__device__ __forceinline__ void many(Product op, const float* a, const T* b, const float* factors, float* c) {
    const int PITCH = 40;
    __shared__ __align__(16) bf16 as[64 * PITCH], bs[64 * PITCH];
    int t = threadIdx.x, row0 = blockIdx.y * 64, col0 = blockIdx.x * 64;
    int warp = t >> 5, wm = warp / 2 * 32, wn = warp % 2 * 32, g = (t & 31) >> 2, c2 = 2 * (t & 3);
    bool wide = op.k % (16 / (int)sizeof(T)) == 0;
    float total[2][4][4], acc[2][4][4];
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) total[i][j][e] = acc[i][j][e] = 0.f;
    for (int p0 = 0; p0 < op.k; p0 += 32) {
#pragma unroll
        for (int e = 0; e < 16; e++) {
            int at = t + e * 128, i = at / 32, p = at % 32;
            as[i * PITCH + p] = row0 + i < op.m && p0 + p < op.k ? narrow(a[(i64)(row0 + i) * op.k + p0 + p]) : (bf16)0;
        }
        if (BT) {
#pragma unroll
            for (int e = 0; e < 16; e++) {
                int at = t + e * 128, j = at % 64, p = at / 64;
                bs[j * PITCH + p] = col0 + j < op.n && p0 + p < op.k ? exact(b[(i64)(p0 + p) * op.n + col0 + j]) : (bf16)0;
            }
        } else if (wide) {
            fetch_many(op, b, col0, p0, bs, PITCH);
        } else {
            for (int e = t; e < 64 * 32; e += 128) {
                int j = e / 32, p = e % 32;
                bs[j * PITCH + p] = col0 + j < op.n && p0 + p < op.k ? exact(b[(i64)(col0 + j) * op.k + p0 + p]) : (bf16)0;
            }
        }
        __syncthreads();
#pragma unroll
        for (int p = 0; p < 32; p += 16) {
            if (p0 + p >= op.k) break;
            u32 af[2][4], bf[4][2];
#pragma unroll
            for (int i = 0; i < 2; i++) fragment_a(af[i], as + (wm + 16 * i) * PITCH + p, PITCH);
#pragma unroll
            for (int j = 0; j < 4; j++) fragment_b(bf[j], bs + (wn + 8 * j) * PITCH + p, PITCH);
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) mma(acc[i][j], af[i], bf[j]);
        }
        __syncthreads();
        if ((p0 + 32) % TERMS == 0 || p0 + 32 >= op.k) {
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        total[i][j][e] += acc[i][j][e];
                        acc[i][j][e] = 0.f;
                    }
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int row = row0 + wm + 16 * i + g + e / 2 * 8, col = col0 + wn + 8 * j + c2 + e % 2;
                if (row < op.m && col < op.n) put(op, total[i][j][e] * factor(b, factors, col), c + (i64)row * op.n + col);
            }
}
KERNEL __launch_bounds__(128) gemm_forward_bf16(Product op, const float* a, const bf16* b, float* c) { many<false>(op, a, b, 0, c); }
KERNEL __launch_bounds__(128) gemm_input_bf16(Product op, const float* a, const bf16* b, float* c) { many<true>(op, a, b, 0, c); }
KERNEL __launch_bounds__(128) gemm_forward_w8(Product op, const float* a, const w8* b, const float* factors, float* c) {
    many<false>(op, a, b, factors, c);
}
