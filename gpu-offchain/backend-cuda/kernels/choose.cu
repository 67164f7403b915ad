// What ends a pass: losses with their gradients, chosen tokens, optimiser steps, norms of gradients.

// -ln softmax(logits)[target]; the row becomes `scale` times its gradient. A block of 256 threads a row; target 2^32 - 1 does not count.
KERNEL cross_entropy(int vocab, const u32* targets, float scale, float* logits, double* losses) {
    __shared__ float room[32];
    __shared__ float own_logit;
    float* row = logits + blockIdx.x * (i64)vocab;
    u32 target = targets[blockIdx.x];
    if (target == 0xffffffffu) {
        for (int i = threadIdx.x; i < vocab; i += blockDim.x) row[i] = 0.f;
        if (threadIdx.x == 0) losses[blockIdx.x] = 0.0;
        return;
    }
    float top = LOWEST;
    for (int i = threadIdx.x; i < vocab; i += blockDim.x) top = fmaxf(top, row[i]);
    top = block_max(top, room);
    if (threadIdx.x == 0) own_logit = row[target] - top;
    __syncthreads();
    float logit = own_logit, own = exponential(logit), sum = 0.f;
    for (int i = threadIdx.x; i < vocab; i += blockDim.x) {
        float e = exponential(row[i] - top);
        row[i] = e;
        if (i != (int)target) sum += e;
    }
    float others = block_sum(sum, room), inverse = 1.0f / (own + others);
    for (int i = threadIdx.x; i < vocab; i += blockDim.x)
        row[i] = i == (int)target ? -(others * inverse * scale) : row[i] * inverse * scale;
    if (threadIdx.x == 0)
        losses[blockIdx.x] = own > others ? log1p((double)(others / own)) : log((double)(own + others)) - (double)logit;
}

// The natural logarithm as the engine's mathematics library computes it, operation by operation (FreeBSD's e_log: x = 2^k (1 + f), then a
// polynomial in f / (2 + f)), so that noise has the same bits. For normal positive numbers.
__device__ __forceinline__ double logarithm(double x) {
    u64 bits = (u64)__double_as_longlong(x);
    u32 high = (u32)(bits >> 32), low = (u32)bits;
    int k = 0;
    if (high == 0x3ff00000u && low == 0) return 0.0;
    high += 0x3ff00000u - 0x3fe6a09eu;
    k += (int)(high >> 20) - 0x3ff;
    high = (high & 0x000fffffu) + 0x3fe6a09eu;
    double f = __longlong_as_double((i64)(((u64)high << 32) | low)) - 1.0;
    double half = 0.5 * f * f, s = f / (2.0 + f), z = s * s, w = z * z;
    double t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double t2 = z * (6.666666666666735130e-01 +
                     w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    double r = t2 + t1, dk = (double)k;
    return s * (half + r) + dk * 1.90821492927058770002e-10 - half + f + dk * 6.93147180369123816490e-01;
}

// The first word of Philox 4x32 with ten rounds.
__device__ __forceinline__ u32 philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        if (round > 0) {
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        u32 a_high = __umulhi(c0, 0xD2511F53u), a_low = c0 * 0xD2511F53u;
        u32 b_high = __umulhi(c2, 0xCD9E8D57u), b_low = c2 * 0xCD9E8D57u;
        c0 = b_high ^ c1 ^ k0;
        c1 = b_low;
        c2 = a_high ^ c3 ^ k1;
        c3 = a_low;
    }
    return c0;
}

struct Draw {
    float temperature;
    u32 position;
    u32 seed_low, seed_high;
};

// The largest value of a block and the lowest id that has it; thread 0 gets them. `values` and `ids` hold 32.
__device__ __forceinline__ void block_best(double& value, int& id, double* values, int* ids) {
#pragma unroll
    for (int at = 16; at > 0; at >>= 1) {
        double other = __shfl_xor_sync(0xffffffffu, value, at);
        int other_id = __shfl_xor_sync(0xffffffffu, id, at);
        if (other > value || (other == value && other_id < id)) {
            value = other;
            id = other_id;
        }
    }
    __syncthreads();
    if ((threadIdx.x & 31) == 0) {
        values[threadIdx.x >> 5] = value;
        ids[threadIdx.x >> 5] = id;
    }
    __syncthreads();
    value = values[0];
    id = ids[0];
    for (int w = 1; w < (int)(blockDim.x >> 5); w++)
        if (values[w] > value || (values[w] == value && ids[w] < id)) {
            value = values[w];
            id = ids[w];
        }
}

// The largest logit / temperature + noise; id and logarithm of its probability. A block of 512 threads a row.
KERNEL __launch_bounds__(512) sample(const float* logits, int vocab, const Draw* draws, u32* chosen, float* logprob) {
    __shared__ double values[32];
    __shared__ int ids[32];
    const float* row = logits + blockIdx.x * (i64)vocab;
    Draw draw = draws[blockIdx.x];
    double value = __longlong_as_double(0xfff0000000000000ll);
    int id = 0x7fffffff;
    for (int i = threadIdx.x; i < vocab; i += blockDim.x)
        if ((double)row[i] > value) {
            value = row[i];
            id = i;
        }
    block_best(value, id, values, ids);
    if (id == 0x7fffffff) id = 0;
    float top = row[id];
    double sum = 0.0;
    for (int i = threadIdx.x; i < vocab; i += blockDim.x) sum += exp((double)(row[i] - top));
    sum = block_sum(sum, values);
    if (draw.temperature > 0.f) {
        value = __longlong_as_double(0xfff0000000000000ll);
        id = 0x7fffffff;
        for (int i = threadIdx.x; i < vocab; i += blockDim.x) {
            u32 word = philox(draw.position, (u32)i, 0, 0, draw.seed_low, draw.seed_high);
            double uniform = ((double)word + 0.5) / 4294967296.0;
            double noisy = (double)(row[i] - top) / (double)draw.temperature + -logarithm(-logarithm(uniform));
            if (noisy > value) {
                value = noisy;
                id = i;
            }
        }
        block_best(value, id, values, ids);
        if (id == 0x7fffffff) id = 0;
    }
    if (threadIdx.x == 0) {
        chosen[blockIdx.x] = id;
        logprob[blockIdx.x] = (float)((double)(row[id] - top) - log(sum));
    }
}

struct Adam {
    float beta1, beta2, rest1, rest2, eps, grad_scale, keep, lr, correction2;
};

KERNEL adamw(Adam s, const float* grad, i64 n, float* m, float* v, float* param) {
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (i64)blockDim.x) {
        float g = grad[i] * s.grad_scale;
        float first = s.beta1 * m[i] + s.rest1 * g, second = s.beta2 * v[i] + s.rest2 * g * g;
        m[i] = first;
        v[i] = second;
        param[i] = param[i] * s.keep - s.lr * first / (sqrtf(second * s.correction2) + s.eps);
    }
}

// A partial sum of squares a block, of elements that depend on the grid alone; the host adds them in order.
KERNEL sum_squares(const float* x, i64 n, double* partial) {
    __shared__ double room[32];
    double sum = 0.0;
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (i64)blockDim.x) sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
