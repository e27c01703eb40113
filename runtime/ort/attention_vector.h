// The arithmetic that the inner loops share, over GCC's vector extension. The including attention_<isa>.c
// defines LS_W (floats of a vector) and LS_MAX(a, b) (of each lane).
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

// The sums of four vectors, by transposition: a third of the work of four sums.
static inline quad sum4(vf a, vf b, vf c, vf d) {
  typedef int32_t index __attribute__((vector_size(16)));
  quad p = fold(a), q = fold(b), r = fold(c), s = fold(d);
  quad pq = __builtin_shuffle(p, q, (index){0, 4, 1, 5}) + __builtin_shuffle(p, q, (index){2, 6, 3, 7});
  quad rs = __builtin_shuffle(r, s, (index){0, 4, 1, 5}) + __builtin_shuffle(r, s, (index){2, 6, 3, 7});
  return __builtin_shuffle(pq, rs, (index){0, 1, 4, 5}) + __builtin_shuffle(pq, rs, (index){2, 3, 6, 7});
}

static inline float largest(vf v) {
  float s[LS_W];
  memcpy(s, &v, sizeof v);
  for (int half = LS_W / 2; half; half /= 2)
    for (int i = 0; i < half; i++) s[i] = s[i] > s[i + half] ? s[i] : s[i + half];
  return s[0];
}

// 2^x for x <= 0: a minimax polynomial of degree 5 on [-1/2, 1/2] (relative error 7e-8 before rounding).
// Below -125 it stays at 2^-125, which no sum of float32 can tell from 0 beside the 1 of the largest score,
// and is not denormal.
static inline vf exp2_neg(vf x) {
  const vf magic =
      (vf){} + 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, which stands in the low bits
  x = LS_MAX(x, (vf){} - 125.0f);
  vf t = x + magic;
  vf r = x - (t - magic);
  vf p = r * 0.001327647198f + 0.009675541334f;
  p = p * r + 0.05550713274f;
  p = p * r + 0.2402211972f;
  p = p * r + 0.6931469671f;
  p = p * r + 1.000000072f;
  return (vf)((vi)p + ((vi)t << 23));
}

// tanh by 2^x, and by its series where the quotient would lose digits.
static inline vf tanh_of(vf x) {
  vi negative = x < 0.0f;
  vf y = choose(negative, -x, x), z = x * x;
  vf e = exp2_neg(y * -2.885390081777927f);  // e^-2y
  vf far = (1.0f - e) / (1.0f + e);
  vf near = x + x * z * (-1.0f / 3 + z * (2.0f / 15 + z * (-17.0f / 315 + z * (62.0f / 2835))));
  return choose(y < 0.25f, near, choose(negative, -far, far));
}

// Scores are kept in units of log 2 until the softmax, so that 2^x serves for e^x.
static const float log2e = 1.44269504088896341f;

// softcap·tanh(x/softcap) of scores that are still in their own units.
static inline vf cap(vf x, float softcap) { return softcap * log2e * tanh_of(x / softcap); }

#endif
