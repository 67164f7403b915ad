// Every kernel on the CPU, beside a naive computation in f64 on random values: the largest relative error ‖a − b‖ / ‖b‖ that is printed
// must stay below what f32 sums need. Where the same bits are promised, nothing may differ.

#include "device.h"
#include "kernels.inc"

using std::vector;
typedef vector<float> Floats;
typedef vector<double> Doubles;
static unsigned long long state = 88172645463325252ull;
static float random_value() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int)(state >> 33) / 1073741824.0f - 1.0f;
}
static Floats random_values(size_t n) {
    Floats v(n);
    for (auto& x : v)
        x = random_value();
    return v;
}
static double distance(const Floats& a, const Doubles& b) {
    double s = 0, t = 0;
    for (size_t i = 0; i < b.size(); i++) {
        double d = a[i] - b[i];
        if (!(d == d))
            return 1e9;
        s += d * d;
        t += b[i] * b[i];
    }
    return sqrt(s / (t + 1e-300));
}
// Notes a result; more than `tol` is a failure.
static int failed = 0;
static void expect(const char* n, double d, double tol) {
    bool o = d <= tol;
    failed += !o;
    printf("%s %s %.2e\n", o ? "ok  " : "FAIL", n, d);
}
static bf16 to_half(float x) {
    return narrow(x);
}
// Query rows and keys of one sequence.
struct Segment {
    int q_start, q_len, kv_start, kv_len;
};
static void softmax_average(int qh, int kh, int dim, vector<Segment> S, Floats& q, Floats& k, Floats& v, Doubles& o, Doubles& l) {
    float sc = 1 / sqrtf(dim);
    for (auto s : S)
        for (int i = 0; i < s.q_len; i++)
            for (int h = 0; h < qh; h++) {
                int n = s.kv_len - s.q_len + i + 1, g = h / (qh / kh);
                Doubles p(n);
                double m = -1e30, t = 0;
                for (int j = 0; j < n; j++) {
                    double x = 0;
                    for (int d = 0; d < dim; d++)
                        x += (double)q[((s.q_start + i) * qh + h) * dim + d] * k[((s.kv_start + j) * kh + g) * dim + d];
                    p[j] = x * sc;
                    m = max(m, p[j]);
                }
                for (auto& x : p) {
                    x = exp(x - m);
                    t += x;
                }
                for (int d = 0; d < dim; d++) {
                    double x = 0;
                    for (int j = 0; j < n; j++)
                        x += p[j] * v[((s.kv_start + j) * kh + g) * dim + d];
                    o[((s.q_start + i) * qh + h) * dim + d] = x / t;
                }
                l[(s.q_start + i) * qh + h] = m + log(t);
            }
}
// Single rows over chunks, over pages, and short ones alone.
template <class K>
static void check_rows(const char* nm, K kern, int G, int qh, int kh, int dim) {
    vector<Segment> S = {{0, 1, 0, 1}, {1, 1, 3, 700}, {2, 2, 710, 256}, {4, 1, 970, 257}};
    int rows = 5, keys = 1227;
    Floats q = random_values(rows * qh * dim), k = random_values(keys * kh * dim), v = random_values(keys * kh * dim),
           o(rows * qh * dim, NAN), l(rows * qh, NAN);
    Doubles wo(o.size()), wl(l.size());
    softmax_average(qh, kh, dim, S, q, k, v, wo, wl);
    // pages of 16
    vector<int> table;
    vector<k_attention::Row> rw, rp;
    int pages = 0;
    for (auto& s : S)
        pages += (s.kv_len + 15) / 16;
    Floats kp(pages * 16 * kh * dim), vp = kp;
    for (auto s : S) {
        int ts = table.size();
        for (int p = 0; p < (s.kv_len + 15) / 16; p++)
            table.push_back(pages - 1 - (int)table.size());
        for (int j = 0; j < s.kv_len; j++) {
            size_t slot = table[ts + j / 16] * 16 + j % 16;
            memcpy(&kp[slot * kh * dim], &k[(s.kv_start + j) * kh * dim], kh * dim * 4);
            memcpy(&vp[slot * kh * dim], &v[(s.kv_start + j) * kh * dim], kh * dim * 4);
        }
        for (int i = 0; i < s.q_len; i++) {
            rw.push_back({s.q_start + i, s.kv_start, s.kv_len - s.q_len + i + 1});
            rp.push_back({s.q_start + i, ts, s.kv_len - s.q_len + i + 1});
        }
    }
    int ch = 3, g = qh / kh;
    Floats part(rows * qh * ch * (dim + 4), NAN);
    Dim gr;
    gr.x = rows;
    gr.y = kh * ((g + G - 1) / G);
    gr.z = ch;
    float sc = 1 / sqrtf(dim);
    launch(gr, 128, [&] { kern(rw.data(), 0, 0, qh, kh, dim, sc, q.data(), k.data(), v.data(), o.data(), l.data(), part.data()); });
    Dim g2;
    g2.x = rows;
    g2.y = qh;
    launch(g2, 128, [&] { k_attention::attend_join(rw.data(), qh, dim, ch, part.data(), o.data(), l.data()); });
    char b[80];
    sprintf(b, "%s dim %d out", nm, dim);
    expect(b, distance(o, wo), 2e-6);
    expect("  lse", distance(l, wl), 2e-6);
    Floats o2(o.size(), NAN), l2(l.size(), NAN);
    launch(gr, 128,
           [&] { kern(rp.data(), table.data(), 16, qh, kh, dim, sc, q.data(), kp.data(), vp.data(), o2.data(), l2.data(), part.data()); });
    launch(g2, 128, [&] { k_attention::attend_join(rp.data(), qh, dim, ch, part.data(), o2.data(), l2.data()); });
    expect("  pages same bits", memcmp(o.data(), o2.data(), o.size() * 4) || memcmp(l.data(), l2.data(), l.size() * 4), 0);
    // alone, short rows: one chunk gives the same bits as joined
    Floats o3(o.size(), NAN), l3(l.size(), NAN);
    vector<k_attention::Row> short_rows = {rw[0], rw[2], rw[3]};
    gr.x = 3;
    gr.z = 1;
    launch(gr, 128, [&] { kern(short_rows.data(), 0, 0, qh, kh, dim, sc, q.data(), k.data(), v.data(), o3.data(), l3.data(), 0); });
    int w = 0;
    for (auto r : short_rows)
        w |= memcmp(&o[r.row * qh * dim], &o3[r.row * qh * dim], qh * dim * 4);
    expect("  alone same bits", w, 0);
}
// Tiles of rows and their gradients.
template <class K, class Q, class KK>
static void check_tiles(int D, K kern, Q kq, KK kk, int qh, int kh, int dim) {
    vector<Segment> S = {{0, 70, 0, 70}, {70, 33, 70, 33}, {103, 1, 103, 1}, {104, 40, 104, 77}};
    int rows = 144, keys = 181;
    Floats q = random_values(rows * qh * dim), k = random_values(keys * kh * dim), v = random_values(keys * kh * dim), o(q.size(), NAN),
           l(rows * qh, NAN);
    Doubles wo(o.size()), wl(l.size());
    softmax_average(qh, kh, dim, S, q, k, v, wo, wl);
    vector<k_flash::Tile> T;
    vector<k_flash::Keys> KT;
    for (auto s : S) {
        for (int i = 0; i < s.q_len; i += 32)
            T.push_back({s.q_start + i, min(32, s.q_len - i), s.kv_start, s.kv_len - s.q_len + i + 1});
        for (int i = 0; i < s.kv_len; i += 32)
            KT.push_back({i, min(32, s.kv_len - i), s.q_start, s.q_len, s.kv_start, s.kv_len});
    }
    float sc = 1 / sqrtf(dim);
    Dim g;
    g.x = T.size();
    g.y = qh;
    launch(g, 128, [&] { kern(T.data(), 0, 0, qh, kh, dim, sc, q.data(), k.data(), v.data(), o.data(), l.data()); });
    char b[80];
    sprintf(b, "flash_%d dim %d out", D, dim);
    expect(b, distance(o, wo), 2e-6);
    expect("  lse", distance(l, wl), 2e-6);
    Floats dout = random_values(o.size()), mean(rows * qh, NAN), dq(o.size(), NAN), dk(k.size(), NAN), dv(v.size(), NAN);
    Doubles wq(dq.size()), wk(dk.size()), wv(dv.size());
    for (auto s : S)
        for (int i = 0; i < s.q_len; i++)
            for (int h = 0; h < qh; h++) {
                int gg = h / (qh / kh), n = s.kv_len - s.q_len + i + 1;
                size_t a = ((s.q_start + i) * qh + h);
                double mn = 0;
                for (int d = 0; d < dim; d++)
                    mn += dout[a * dim + d] * wo[a * dim + d];
                for (int j = 0; j < n; j++) {
                    size_t c = ((s.kv_start + j) * kh + gg);
                    double x = 0, dp = 0;
                    for (int d = 0; d < dim; d++) {
                        x += (double)q[a * dim + d] * k[c * dim + d];
                        dp += (double)dout[a * dim + d] * v[c * dim + d];
                    }
                    double p = exp(x * sc - wl[a]), ds = p * (dp - mn) * sc;
                    for (int d = 0; d < dim; d++) {
                        wq[a * dim + d] += ds * k[c * dim + d];
                        wk[c * dim + d] += ds * q[a * dim + d];
                        wv[c * dim + d] += p * dout[a * dim + d];
                    }
                }
            }
    Dim gm;
    gm.x = (rows * qh + 7) / 8;
    launch(gm, 256, [&] { k_flash::flash_mean(dout.data(), o.data(), rows * qh, dim, mean.data()); });
    launch(g, 128, [&] { kq(T.data(), qh, kh, dim, sc, q.data(), k.data(), v.data(), l.data(), mean.data(), dout.data(), dq.data()); });
    Dim gk;
    gk.x = KT.size();
    gk.y = kh;
    launch(gk, 128,
           [&] { kk(KT.data(), qh, kh, dim, sc, q.data(), k.data(), v.data(), l.data(), mean.data(), dout.data(), dk.data(), dv.data()); });
    expect("  dq", distance(dq, wq), 5e-6);
    expect("  dk", distance(dk, wk), 5e-6);
    expect("  dv", distance(dv, wv), 5e-6);
}
// Every product of one shape; kernels for few rows give the bits of those for many.
static void check_products(int m, int n, int k) {
    using namespace k_gemm;
    Floats a = random_values(m * k), b = random_values(n * k), c0 = random_values(m * n);
    vector<bf16> bh(n * k);
    Floats br(n * k), ar(m * k);
    for (int i = 0; i < n * k; i++) {
        bh[i] = to_half(b[i]);
        br[i] = widen(bh[i]);
    }
    for (int i = 0; i < m * k; i++)
        ar[i] = widen(to_half(a[i]));
    Product op{m, n, k, 0.75f, 1};
    auto want = [&](int lay, Floats& A, Floats& B) {
        Doubles w(m * n);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
                double s = 0;
                for (int p = 0; p < k; p++)
                    s += (double)(lay == 2 ? A[p * m + i] : A[i * k + p]) * (lay ? B[p * n + j] : B[j * k + p]);
                w[i * n + j] = 0.75 * s + c0[i * n + j];
            }
        return w;
    };
    Dim g;
    g.x = (n + 63) / 64;
    g.y = (m + 63) / 64;
    char nm[80];
    auto run = [&](const char* s, auto f, int th, int lay, bool h) {
        Floats c = c0;
        launch(g, th, [&] { f(c); });
        sprintf(nm, "%s %dx%dx%d", s, m, n, k);
        expect(nm, distance(c, h ? want(lay, ar, br) : want(lay, a, b)), 2e-6);
        return c;
    };
    Floats f1 = run("forward_f32", [&](Floats& c) { gemm_forward_f32(op, a.data(), b.data(), c.data()); }, 256, 0, 0);
    run("input_f32", [&](Floats& c) { gemm_input_f32(op, a.data(), b.data(), c.data()); }, 256, 1, 0);
    run("weight_f32", [&](Floats& c) { gemm_weight_f32(op, a.data(), b.data(), c.data()); }, 256, 2, 0);
    Floats h1 = run("forward_bf16", [&](Floats& c) { gemm_forward_bf16(op, a.data(), bh.data(), c.data()); }, 128, 0, 1);
    run("input_bf16", [&](Floats& c) { gemm_input_bf16(op, a.data(), bh.data(), c.data()); }, 128, 1, 1);
    int ch = (k + 255) / 256;
    Floats part((size_t)ch * m * n, NAN);
    Dim gf;
    gf.x = (n + 63) / 64;
    gf.z = ch;
    Dim gj;
    gj.x = 3;
    auto few = [&](const char* s, int rows, int th, auto f, Floats& ref) {
        Floats c = c0;
        gf.y = (m + rows - 1) / rows;
        launch(gf, th, f);
        launch(gj, 256, [&] { gemm_join(op, ch, part.data(), c.data()); });
        expect(s, memcmp(c.data(), ref.data(), c.size() * 4) != 0, 0);
    };
    few("  few_f32 same bits", 16, 256, [&] { gemm_few_f32(op, a.data(), b.data(), part.data()); }, f1);
    few("  few_bf16_16 same bits", 16, 128, [&] { gemm_few_bf16_16(op, a.data(), bh.data(), part.data()); }, h1);
    few("  few_bf16_64 same bits", 64, 128, [&] { gemm_few_bf16_64(op, a.data(), bh.data(), part.data()); }, h1);
    // Weights of 8 bits with a factor a row.
    vector<w8> b8(n * k);
    Floats factors(n), bq(n * k), wide(n * k, NAN);
    for (int j = 0; j < n; j++) {
        float most = 0;
        for (int p = 0; p < k; p++)
            most = max(most, fabsf(b[j * k + p]));
        factors[j] = most / 127;
        for (int p = 0; p < k; p++) {
            b8[j * k + p] = (w8)lrintf(b[j * k + p] / factors[j]);
            bq[j * k + p] = b8[j * k + p] * factors[j];
        }
    }
    launch(gj, 256, [&] { from_w8(b8.data(), factors.data(), n * k, k, wide.data()); });
    expect("  from_w8", memcmp(wide.data(), bq.data(), wide.size() * 4) != 0, 0);
    Floats q1 = c0;
    launch(g, 128, [&] { gemm_forward_w8(op, a.data(), b8.data(), factors.data(), q1.data()); });
    sprintf(nm, "forward_w8 %dx%dx%d", m, n, k);
    expect(nm, distance(q1, want(0, ar, bq)), 2e-6);
    auto few8 = [&](const char* s, int rows, auto f) {
        Floats c = c0;
        gf.y = (m + rows - 1) / rows;
        launch(gf, 128, f);
        launch(gj, 256, [&] { gemm_join_w8(op, ch, part.data(), factors.data(), c.data()); });
        expect(s, memcmp(c.data(), q1.data(), c.size() * 4) != 0, 0);
    };
    few8("  few_w8_16 same bits", 16, [&] { gemm_few_w8_16(op, a.data(), b8.data(), part.data()); });
    few8("  few_w8_64 same bits", 64, [&] { gemm_few_w8_64(op, a.data(), b8.data(), part.data()); });
}
// Four adapters of different ranks, in tasks of four rows and of one.
static void check_adapters(int din, int dout, bool half) {
    using namespace k_lora;
    int stride = 80, rows = 60;
    int ranks[4] = {16, 5, 72, 3};
    vector<Floats> A, B;
    vector<vector<bf16>> Ah(4), Bh(4);
    vector<Pair> P;
    for (int i = 0; i < 4; i++) {
        A.push_back(random_values(ranks[i] * din));
        B.push_back(random_values(ranks[i] * dout));
        for (auto& x : A[i]) {
            Ah[i].push_back(to_half(x));
            if (half)
                x = widen(to_half(x));
        }
        for (auto& x : B[i]) {
            Bh[i].push_back(to_half(x));
            if (half)
                x = widen(to_half(x));
        }
    }
    for (int i = 0; i < 4; i++)
        P.push_back(half ? Pair{Ah[i].data(), Bh[i].data(), ranks[i], 0.5f + i} : Pair{A[i].data(), B[i].data(), ranks[i], 0.5f + i});
    vector<Task> T, T1;
    int own[60];
    int r = 0, cnt[4] = {13, 1, 6, 40};
    for (int i = 0; i < 4; i++) {
        for (int s = 0; s < cnt[i]; s += 4)
            T.push_back({r + s, min(4, cnt[i] - s), i});
        for (int s = 0; s < cnt[i]; s++) {
            own[r + s] = i;
            T1.push_back({r + s, 1, i});
        }
        r += cnt[i];
    }
    Floats x = random_values(rows * din), u(rows * stride, 0), y0 = random_values(rows * dout);
    Floats y = y0;
    Doubles wu(u.size()), wy(y.size());
    for (int i = 0; i < rows; i++) {
        int o = own[i];
        for (int q = 0; q < ranks[o]; q++) {
            double s = 0;
            for (int d = 0; d < din; d++)
                s += (double)A[o][q * din + d] * x[i * din + d];
            wu[i * stride + q] = s;
        }
        for (int j = 0; j < dout; j++) {
            double s = 0;
            for (int q = 0; q < ranks[o]; q++)
                s += B[o][j * ranks[o] + q] * wu[i * stride + q];
            wy[i * dout + j] = y[i * dout + j] + (0.5 + o) * s;
        }
    }
    auto go = [&](vector<Task>& T, Floats& u, Floats& y) {
        Dim g;
        g.x = T.size();
        g.y = 9;
        launch(g, 256, [&] {
            half ? lora_shrink_bf16(P.data(), T.data(), din, x.data(), stride, u.data())
                 : lora_shrink_f32(P.data(), T.data(), din, x.data(), stride, u.data());
        });
        g.y = (dout + 255) / 256;
        launch(g, 256, [&] {
            half ? lora_expand_bf16(P.data(), T.data(), dout, u.data(), stride, y.data())
                 : lora_expand_f32(P.data(), T.data(), dout, u.data(), stride, y.data());
        });
    };
    go(T, u, y);
    expect(half ? "lora bf16 u" : "lora f32 u", distance(u, wu), 2e-6);
    expect("  y", distance(y, wy), 2e-6);
    Floats u1(u.size(), 0), y1 = y0;
    go(T1, u1, y1);
    expect("  row by row same bits", memcmp(y.data(), y1.data(), y.size() * 4) != 0, 0);
}
int main() {
    check_rows("attend_1", k_attention::attend_1, 1, 4, 4, 32);
    check_rows("attend_4", k_attention::attend_4, 4, 8, 2, 64);
    check_rows("attend_8", k_attention::attend_8, 8, 14, 2, 64);
    check_rows("attend_4g3", k_attention::attend_4, 4, 6, 2, 12);
    check_rows("attend_2", k_attention::attend_2, 2, 4, 2, 256);
    check_rows("attend_8g10", k_attention::attend_8, 8, 10, 1, 20);
    check_tiles(32, k_flash::flash_32, k_flash::flash_queries_32, k_flash::flash_keys_32, 4, 2, 32);
    check_tiles(32, k_flash::flash_32, k_flash::flash_queries_32, k_flash::flash_keys_32, 3, 3, 20);
    check_tiles(64, k_flash::flash_64, k_flash::flash_queries_64, k_flash::flash_keys_64, 4, 1, 64);
    check_tiles(128, k_flash::flash_128, k_flash::flash_queries_128, k_flash::flash_keys_128, 2, 1, 128);
    check_products(1, 1, 1);
    check_products(5, 70, 33);
    check_products(16, 64, 264);
    check_products(33, 70, 129);
    check_products(70, 130, 600);
    check_products(65, 64, 512);
    check_adapters(516, 301, false);
    check_adapters(516, 301, true);
    check_adapters(131, 64, false);
    {
        using namespace k_rows;
        int rows = 7, d = 300;
        Floats x = random_values(rows * d), w = random_values(d), dy = random_values(rows * d), y(rows * d), inv(rows),
               dx0 = random_values(rows * d), dx = dx0, dw(d, 0.f);
        Doubles wy(y.size()), wdx(y.size()), wdw(d);
        for (int i = 0; i < rows; i++) {
            double s = 0;
            for (int j = 0; j < d; j++)
                s += (double)x[i * d + j] * x[i * d + j];
            double r = 1 / sqrt(s / d + 1e-5), m = 0;
            for (int j = 0; j < d; j++) {
                wy[i * d + j] = x[i * d + j] * r * w[j];
                m += (double)dy[i * d + j] * w[j] * x[i * d + j];
            }
            m *= r * r / d;
            for (int j = 0; j < d; j++) {
                wdx[i * d + j] = dx0[i * d + j] + r * (dy[i * d + j] * w[j] - x[i * d + j] * m);
                wdw[j] += x[i * d + j] * r * dy[i * d + j];
            }
        }
        Dim g;
        g.x = rows;
        launch(g, 256, [&] { rmsnorm(x.data(), w.data(), 1e-5f, d, y.data(), inv.data()); });
        launch(g, 256, [&] { rmsnorm_backward(x.data(), w.data(), inv.data(), dy.data(), d, dx.data()); });
        g.x = 2;
        launch(g, 256, [&] { rmsnorm_backward_weight(x.data(), inv.data(), dy.data(), rows, d, dw.data()); });
        expect("rmsnorm", distance(y, wy), 1e-6);
        expect("rmsnorm dx", distance(dx, wdx), 1e-6);
        expect("rmsnorm dw", distance(dw, wdw), 1e-6);
    }
    {
        using namespace k_choose;
        int rows = 3, vocab = 1001;
        Floats l = random_values(rows * vocab);
        for (auto& x : l)
            x *= 9;
        Floats o = l;
        vector<unsigned> t = {5, 0xffffffffu, 1000};
        vector<double> loss(3);
        Doubles w(l.size()), wl(3);
        for (int i = 0; i < 3; i++) {
            if (t[i] == 0xffffffffu)
                continue;
            double s = 0;
            for (int j = 0; j < vocab; j++)
                s += exp((double)l[i * vocab + j]);
            wl[i] = log(s) - l[i * vocab + t[i]];
            for (int j = 0; j < vocab; j++)
                w[i * vocab + j] = 0.25 * (exp((double)l[i * vocab + j]) / s - (j == (int)t[i]));
        }
        Dim g;
        g.x = 3;
        launch(g, 256, [&] { cross_entropy(vocab, t.data(), 0.25f, o.data(), loss.data()); });
        expect("cross_entropy grad", distance(o, w), 2e-6);
        expect("  loss", fabs(loss[0] - wl[0]) + fabs(loss[1]) + fabs(loss[2] - wl[2]), 1e-5);
        Floats x = random_values(100003);
        double s = 0;
        for (auto v : x)
            s += (double)v * v;
        vector<double> p(512);
        g.x = 512;
        launch(g, 256, [&] { sum_squares(x.data(), x.size(), p.data()); });
        double q = 0;
        for (auto v : p)
            q += v;
        expect("sum_squares", fabs(q - s) / s, 1e-12);
        vector<double> lg;
        double worst = 0;
        for (int i = 0; i < 100000; i++) {
            double u = ((double)(unsigned)(state >> 20) + 0.5) / 4294967296.0;
            random_value();
            worst = max(worst, fabs(logarithm(u) - log(u)) / fabs(log(u)));
        }
        expect("logarithm", worst, 3e-16);
        expect("philox", philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0) != 0xd16cfe09u, 0);
        Floats lo = random_values(4 * 1003);
        for (auto& v : lo)
            v = floorf(v * 32) / 8;
        vector<Draw> dr = {{0, 3, 1, 2}, {0.7f, 4, 5, 6}, {1.f, 9, 7, 0}, {1.3f, 2, 2, 2}};
        vector<unsigned> id(4);
        Floats lp(4);
        g.x = 4;
        launch(g, 512, [&] { sample(lo.data(), 1003, dr.data(), id.data(), lp.data()); });
        int wr = 0;
        for (int i = 0; i < 4; i++) {
            float* r = &lo[i * 1003];
            int b = 0;
            for (int j = 0; j < 1003; j++)
                if (r[j] > r[b])
                    b = j;
            float top = r[b];
            if (dr[i].temperature > 0) {
                double bv = -INFINITY;
                for (int j = 0; j < 1003; j++) {
                    double u = ((double)philox(dr[i].position, j, 0, 0, dr[i].seed_low, dr[i].seed_high) + 0.5) / 4294967296.0;
                    double z = (double)(r[j] - top) / (double)dr[i].temperature - logarithm(-logarithm(u));
                    if (z > bv) {
                        bv = z;
                        b = j;
                    }
                }
            }
            wr += b != (int)id[i];
        }
        expect("sample ids", wr, 0);
    }
    {
        using namespace k_score;
        for (int c = 0; c < 2; c++) {
            vector<Part> p = c ? vector<Part>{{0, 100}, {100, 7}, {107, 33}} : vector<Part>{{0, 512}, {512, 1024}};
            int width = c ? 140 : 1536, rows = 10;
            vector<signed char> L(rows * width + 16), Q(width + 16);
            signed char* l = L.data();
            l += (16 - (size_t)l % 16) % 16;
            signed char* q = Q.data();
            q += (16 - (size_t)q % 16) % 16;
            for (int i = 0; i < rows * width; i++)
                l[i] = (signed char)(state >> 20), random_value();
            for (int i = 0; i < width; i++)
                q[i] = i % 3 ? -128 : (signed char)(state >> 21), random_value();
            vector<int> o(rows * p.size(), -1);
            Dim g;
            g.x = c ? 2 : 3;
            g.y = p.size();
            launch(g, 256, [&] { c ? dots_odd(l, width, rows, q, p.data(), o.data()) : dots(l, width, rows, q, p.data(), o.data()); });
            int w = 0;
            for (int r = 0; r < rows; r++)
                for (size_t b = 0; b < p.size(); b++) {
                    int s = 0;
                    for (int i = 0; i < p[b].lanes; i++)
                        s += l[r * width + p[b].from + i] * q[p[b].from + i];
                    w += s != o[r * p.size() + b];
                }
            expect(c ? "dots_odd" : "dots", w, 0);
        }
    }
    printf("%d failed\n", failed);
    return failed != 0;
}
