// The arithmetic that the inner loops share, over GCC's vector extension. The including attention_<isa>.h
// defines LS_W (floats of a vector), LS_MAX(a, b) (of each lane) and LS_MADD(a, b, c), LS_MADD1(a, b, c):
// a·b + c of vectors and of numbers, both with one rounding or both with two. They stand wherever two kernels
// must round alike, so that no compiler decides.
#ifndef LOOPSERVE_ATTENTION_VECTOR_H
#define LOOPSERVE_ATTENTION_VECTOR_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef float vf __attribute__((vector_size(LS_W * 4)));
typedef int32_t vi __attribute__((vector_size(LS_W * 4)));
typedef float vfu __attribute__((vector_size(LS_W * 4), aligned(4), may_alias));
typedef float quad __attribute__((vector_size(16)));

static inline vf load(const float *p) { return *(const vfu *)p; }
static inline void store(float *p, vf v) { *(vfu *)p = v; }
static inline vf choose(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }
// Not by +, which would make 0 of -0 and so take an addition.
static inline vf splat(float x) { return x - (vf){}; }

// The four sums over every fourth lane.
static inline quad fold(vf v) {
  quad part[LS_W / 4];
  memcpy(part, &v, sizeof v);
#if LS_W == 16
  return (part[0] + part[2]) + (part[1] + part[3]);
#elif LS_W == 8
  return part[0] + part[1];
#else
  return part[0];
#endif
}

static inline float sum(vf v) {
  quad q = fold(v);
  return (q[0] + q[2]) + (q[1] + q[3]);
}

// Each quarter of a vector of four floats shuffled alike; indices from LS_W on are of the second vector.
#if LS_W == 16
#define QUARTERS(a, b, c, d) \
  (vi) { a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12 }
#elif LS_W == 8
#define QUARTERS(a, b, c, d) \
  (vi) { a, b, c, d, a + 4, b + 4, c + 4, d + 4 }
#else
#define QUARTERS(a, b, c, d) \
  (vi) { a, b, c, d }
#endif

// The sums of four vectors, by transposition: in each four lanes the first and third, the second and fourth,
// then these two, and fold adds the rest.
static inline quad sum4(vf a, vf b, vf c, vf d) {
  vf ab = __builtin_shuffle(a, b, QUARTERS(0, LS_W, 1, LS_W + 1)) +
          __builtin_shuffle(a, b, QUARTERS(2, LS_W + 2, 3, LS_W + 3));
  vf cd = __builtin_shuffle(c, d, QUARTERS(0, LS_W, 1, LS_W + 1)) +
          __builtin_shuffle(c, d, QUARTERS(2, LS_W + 2, 3, LS_W + 3));
  return fold(__builtin_shuffle(ab, cd, QUARTERS(0, 1, LS_W, LS_W + 1)) +
              __builtin_shuffle(ab, cd, QUARTERS(2, 3, LS_W + 2, LS_W + 3)));
}

static inline float largest(vf v) {
  float s[LS_W];
  memcpy(s, &v, sizeof v);
  for (int half = LS_W / 2; half; half /= 2)
    for (int i = 0; i < half; i++) s[i] = s[i] > s[i + half] ? s[i] : s[i + half];
  return s[0];
}

// 2^x for x <= 0: a minimax polynomial of degree 5 on [-1/2, 1/2] (relative error 7e-8 before rounding).
// Below -125 it is 0, which no sum of float32 can tell from 2^-125 beside the 1 of the largest score: so a
// key that is masked with -∞ counts for exactly nothing.
static inline vf exp2_neg(vf x) {
  const vf magic =
      splat(12582912.0f);  // 1.5·2^23: adding it rounds to an integer, which stands in the low bits
  vi nothing = x < -125.0f;
  x = LS_MAX(x, splat(-125.0f));
  vf t = x + magic;
  vf r = x - (t - magic);
  vf p = LS_MADD(splat(0.001327647198f), r, splat(0.009675541334f));
  p = LS_MADD(p, r, splat(0.05550713274f));
  p = LS_MADD(p, r, splat(0.2402211972f));
  p = LS_MADD(p, r, splat(0.6931469671f));
  p = LS_MADD(p, r, splat(1.000000072f));
  return (vf)(((vi)p + ((vi)t << 23)) & ~nothing);
}

// By what a sum is multiplied when the largest score grows from `before` to `now`: exactly 1 where it stays.
static inline vf shrink(vf before, vf now) { return choose(before == now, splat(1), exp2_neg(before - now)); }

// tanh by 2^x, and by its series where the quotient would lose digits.
static inline vf tanh_of(vf x) {
  vi negative = x < 0.0f;
  vf y = choose(negative, -x, x), z = x * x;
  vf e = exp2_neg(y * -2.885390081777927f);  // e^-2y
  vf far = (1.0f - e) / (1.0f + e);
  vf series = LS_MADD(z, splat(62.0f / 2835), splat(-17.0f / 315));
  series = LS_MADD(z, LS_MADD(z, series, splat(2.0f / 15)), splat(-1.0f / 3));
  vf near = LS_MADD(x * z, series, x);
  return choose(y < 0.25f, near, choose(negative, -far, far));
}

// Scores are kept in units of log 2 until the softmax, so that 2^x serves for e^x.
static const float log2e = 1.44269504088896341f;

// softcap·tanh(x/softcap) of scores that are still in their own units.
static inline vf cap(vf x, float softcap) { return softcap * log2e * tanh_of(x / softcap); }

#endif
