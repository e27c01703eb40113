// What a number of the KV cache is: float32, float16, or int8 with a scale. The including file defines LS_KV;
// the set of instructions may define LS_LOAD_F16, LS_STORE_F16 and LS_LOAD_INT8. A head is what one token has
// of one KV head: kv_row elements of kv_t. Values outside of float16's range become its largest; a NaN stays
// one.
//
// int8: head_dim numbers in -127…127, then the scale as bfloat16: the largest absolute value by 127, rounded
// up, so that nothing is cut off and each number is off by half a scale at most. Heads below 1e-30 are zeros.
#ifndef LOOPSERVE_ATTENTION_KV_H
#define LOOPSERVE_ATTENTION_KV_H

#include "attention.h"
#include "attention_vector.h"

#define F16_MAX 65504.0f

enum { LINE_BYTES = 64 };  // of a cache line

static inline uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static inline float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

#if LS_KV == LS_KV_F32

typedef float kv_t;
static inline int64_t kv_row(int64_t hd) { return hd; }
static inline vf load_kv(const kv_t *p) { return load(p); }
static inline float one_kv(const kv_t *p) { return *p; }

#elif LS_KV == LS_KV_F16

typedef uint16_t kv_t;
static inline int64_t kv_row(int64_t hd) { return hd; }

static inline float one_kv(const kv_t *p) {
  uint32_t h = *p, sign = (h & 0x8000) << 16, rest = (h & 0x7fff) << 13;
  if (rest >= 0x0f800000) return float_of(sign | rest | 0x7f800000);
  return float_of(sign | bits_of(float_of(rest) * 0x1p112f));  // exact, also where the half is not normal
}

static inline kv_t half_of(float x) {
  uint32_t u = bits_of(x), sign = u >> 16 & 0x8000;
  float size = float_of(u & 0x7fffffff);
  if (size != size) return (kv_t)(sign | 0x7e00);
  if (size > F16_MAX) size = F16_MAX;
  if (size < 0x1p-14f) return (kv_t)(sign | (bits_of(size + 0.5f) - 0x3f000000));  // 0.5's last bit is 2^-24
  u = bits_of(size);
  u += 0xfff + (u >> 13 & 1);
  return (kv_t)(sign | (u - (112u << 23)) >> 13);
}

static inline vf load_kv(const kv_t *p) {
#ifdef LS_LOAD_F16
  return LS_LOAD_F16(p);
#else
  typedef uint16_t halves __attribute__((vector_size(LS_W * 2)));
  halves raw;
  memcpy(&raw, p, sizeof raw);
  vi h = __builtin_convertvector(raw, vi), sign = (h & 0x8000) << 16, rest = (h & 0x7fff) << 13;
  vf x = (vf)rest * 0x1p112f;
  return (vf)(sign | (vi)choose(rest >= 0x0f800000, (vf)(rest | 0x7f800000), x));
#endif
}

static inline void put_kv(kv_t *to, const float *x, int64_t hd) {
  int64_t d = 0;
#ifdef LS_STORE_F16
  for (; d + LS_W <= hd; d += LS_W) {
    vf v = LS_MAX((vf){} - F16_MAX, load(x + d));
    LS_STORE_F16(to + d, -LS_MAX((vf){} - F16_MAX, -v));
  }
#endif
  for (; d < hd; d++) to[d] = half_of(x[d]);
}

#elif LS_KV == LS_KV_INT8

typedef int8_t kv_t;
static inline int64_t kv_row(int64_t hd) { return hd + LS_KV_SCALE; }
static inline float one_kv(const kv_t *p) { return *p; }

static inline float kv_scale(const kv_t *head, int64_t hd) {
  uint16_t s;
  memcpy(&s, head + hd, sizeof s);
  return float_of((uint32_t)s << 16);
}

static inline vf load_kv(const kv_t *p) {
#ifdef LS_LOAD_INT8
  return LS_LOAD_INT8(p);
#else
  typedef int8_t bytes __attribute__((vector_size(LS_W)));
  bytes raw;
  memcpy(&raw, p, sizeof raw);
  return __builtin_convertvector(__builtin_convertvector(raw, vi), vf);
#endif
}

static inline void put_kv(kv_t *to, const float *x, int64_t hd) {
  typedef int8_t bytes __attribute__((vector_size(LS_W)));
  vf most = {}, wrong = {};
  float high = 0, odd = 0;
  int64_t d = 0;
  for (; d + LS_W <= hd; d += LS_W) {
    vf v = load(x + d);
    most = LS_MAX(most, LS_MAX(v, -v));
    wrong += v * 0.0f;  // NaN where v is infinite or none
  }
  high = largest(most), odd = sum(wrong);
  for (int64_t e = d; e < hd; e++) {
    high = fabsf(x[e]) > high ? fabsf(x[e]) : high;
    odd += x[e] * 0.0f;
  }
  uint16_t scale = high < 1e-30f ? 0 : (uint16_t)((bits_of(high / 127) + 0xffff) >> 16);
  float inverse = high < 1e-30f ? 0 : 1 / float_of((uint32_t)scale << 16);
  if (odd != 0) scale = 0x7fc0, inverse = 0;
  memcpy(to + hd, &scale, sizeof scale);
  if (inverse == 0) {
    memset(to, 0, (size_t)hd);
    return;
  }
  const float magic = 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, which stands in the low bits
  for (d = 0; d + LS_W <= hd; d += LS_W) {
    bytes b = __builtin_convertvector((vi)(load(x + d) * inverse + magic) - (int32_t)0x4b400000, bytes);
    memcpy(to + d, &b, sizeof b);
  }
  for (; d < hd; d++) to[d] = (kv_t)(bits_of(x[d] * inverse + magic) - 0x4b400000);
}

#endif

// int8 is multiplied as it is: a score is then multiplied by its key's scale, and a weight by its value's.
#define LS_SCALED (LS_KV == LS_KV_INT8)
#if !LS_SCALED
static inline float kv_scale(const kv_t *head, int64_t hd) { return 1; }
#endif

// Scores of four keys, whose heads these are, in the keys' own units.
static inline quad scaled4(quad x, const kv_t *const *head, int64_t hd) {
  if (!LS_SCALED) return x;
  return x *
         (quad){kv_scale(head[0], hd), kv_scale(head[1], hd), kv_scale(head[2], hd), kv_scale(head[3], hd)};
}

// Multiplies the weights of n values, whose heads these are at `at`, by the values' scales.
static inline void scale_weights(float *p, const kv_t *const *v, int64_t at, int64_t n, int64_t hd) {
  for (int64_t j = 0; LS_SCALED && j < n; j++) p[j] *= kv_scale(v[j] + at, hd);
}

// Where many queries share a block of n keys or values, their heads are put side by side as float32, [n, hd],
// int8 without its scale, which goes to `scale`. In a cache they are a power of two apart, and so share few
// sets of the first-level cache.
static void widen(const kv_t *const *heads, int64_t n, int64_t hd, float *wide, float *scale) {
  for (int64_t j = 0; j < n; j++, wide += hd) {
    int64_t d = 0;
    for (; d + LS_W <= hd; d += LS_W) store(wide + d, load_kv(heads[j] + d));
    for (; d < hd; d++) wide[d] = one_kv(heads[j] + d);
    if (LS_SCALED) scale[j] = kv_scale(heads[j], hd);
  }
}

#endif
