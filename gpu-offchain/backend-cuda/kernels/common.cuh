// What every kernel file begins with; NVRTC has no headers to include, so this text is put in front of each. Products and sums are fused only
// where fmaf stands (the compiler is told not to): the same operation in two kernels gives the same bits, and element-wise operations give
// those of the CPU backend.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define KERNEL extern "C" __global__ void
#define LOWEST __int_as_float(0xff800000)

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((u32)x << 16); }

// To the nearest, ties to even; not for NaN.
__device__ __forceinline__ bf16 narrow(float x) {
    u32 bits = __float_as_uint(x);
    return (bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ __forceinline__ float4 zero4() { return make_float4(0.f, 0.f, 0.f, 0.f); }
__device__ __forceinline__ float4 load4(const float* x) { return *(const float4*)x; }
__device__ __forceinline__ float4 load4(const bf16* x) {
    uint2 two = *(const uint2*)x;
    return make_float4(__uint_as_float(two.x << 16), __uint_as_float(two.x & 0xffff0000u), __uint_as_float(two.y << 16),
                       __uint_as_float(two.y & 0xffff0000u));
}
__device__ __forceinline__ float dot4(float4 a, float4 b, float sum) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}
__device__ __forceinline__ float4 axpy4(float s, float4 x, float4 y) {
    return make_float4(fmaf(s, x.x, y.x), fmaf(s, x.y, y.y), fmaf(s, x.z, y.z), fmaf(s, x.w, y.w));
}

// The engine's exponential: a polynomial of fused multiply-adds, the same bits as on the CPU.
__device__ __forceinline__ float exponential(float x) {
    const float round = 12582912.0f;
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
    float shifted = fmaf(x, 1.44269504088896340736f, round);
    float n = shifted - round;
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.1219444e-4f, r);
    float p = 1.0f / 5040.0f;
    p = fmaf(p, r, 1.0f / 720.0f);
    p = fmaf(p, r, 1.0f / 120.0f);
    p = fmaf(p, r, 1.0f / 24.0f);
    p = fmaf(p, r, 1.0f / 6.0f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    u32 power = (__float_as_uint(shifted) - __float_as_uint(round) + 127u) << 23;
    return p * __uint_as_float(power);
}

// A sum over a warp, the same tree for every lane.
template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int at = 16; at > 0; at >>= 1) x = x + __shfl_xor_sync(0xffffffffu, x, at);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int at = 16; at > 0; at >>= 1) {
        float other = __shfl_xor_sync(0xffffffffu, x, at);
        x = other > x ? other : x;
    }
    return x;
}

// A sum over a block of whole warps, at most 32; every thread gets it. `room` holds 32 numbers.
template <class T>
__device__ __forceinline__ T block_sum(T x, T* room) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) room[warp] = x;
    __syncthreads();
    x = lane < warps ? room[lane] : (T)0;
    return warp_sum(x);
}

__device__ __forceinline__ float block_max(float x, float* room) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) room[warp] = x;
    __syncthreads();
    return warp_max(lane < warps ? room[lane] : LOWEST);
}
