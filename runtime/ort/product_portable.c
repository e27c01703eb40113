//go:build cgo

// The products in plain C, for processors without the vectors of the others.
#include "attention_portable.h"
#include "attention_vector.h"
#include "product.h"

static inline vi larger(vi a, vi b) { return (vi)choose(a > b, (vf)a, (vf)b); }

static inline int32_t largest_lane(vi v) {
  int32_t most = v[0];
  for (int i = 1; i < LS_W; i++) most = v[i] > most ? v[i] : most;
  return most;
}

static inline int32_t narrow(const vi q[LS_BLOCK / LS_W], int8_t *codes) {
  int32_t sum = 0;
  for (int i = 0; i < LS_BLOCK; i++) sum += codes[i] = (int8_t)q[i / LS_W][i % LS_W];
  return sum;
}

#include "product_float.h"
#include "product_row.h"

static float half(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31,
           bits = sign | (exponent + 112) << 23 | (uint32_t)(h & 1023) << 13;
  if (exponent == 31) bits |= 0x7f800000;
  float f;
  memcpy(&f, &bits, sizeof f);
  if (exponent == 0) f = (sign ? -1.0f : 1.0f) * (float)(h & 1023) * 0x1p-24f;
  return f;
}

static void multiply4(const ls_product_part *p) {
  const uint8_t *w = p->w;
  memset(p->y, 0, (size_t)(p->groups * p->rows) * LS_GROUP * sizeof *p->y);
  for (int64_t b = 0; b < p->groups * p->blocks; b++, w += LS_BLOCK_BYTES_4) {
    const uint8_t *scales = w + LS_BLOCK * LS_GROUP / 2;
    for (int64_t r = 0; r < p->rows; r++) {
      const ls_qblock *in = (const ls_qblock *)p->x + r * p->blocks + b % p->blocks;
      for (int c = 0; c < LS_GROUP; c++) {
        int32_t products = 0;
        for (int i = 0; i < LS_BLOCK; i++) {
          int code = w[i / 8 * 64 + 4 * c + i % 4] >> (i & 4) & 15;
          products += code * in->codes[i];
        }
        p->y[(b / p->blocks * p->rows + r) * LS_GROUP + c] +=
            (float)products * in->scale * half(scales + 2 * c) +
            half(scales + 2 * (LS_GROUP + c)) * in->sum.weighed;
      }
    }
  }
}

static void multiply8(const ls_product_part *p) {
  const uint8_t *w = p->w;
  memset(p->y, 0, (size_t)(p->groups * p->rows) * LS_GROUP * sizeof *p->y);
  for (int64_t b = 0; b < p->groups * p->blocks; b++, w += LS_BLOCK_BYTES_8) {
    const uint8_t *scales = w + LS_BLOCK * LS_GROUP;
    for (int64_t r = 0; r < p->rows; r++) {
      const ls_qblock *in = (const ls_qblock *)p->x + r * p->blocks + b % p->blocks;
      for (int c = 0; c < LS_GROUP; c++) {
        int32_t products = in->sum.bias;
        for (int i = 0; i < LS_BLOCK; i++) products += w[i / 4 * 64 + 4 * c + i % 4] * in->codes[i];
        p->y[(b / p->blocks * p->rows + r) * LS_GROUP + c] +=
            (float)products * in->scale * half(scales + 2 * c);
      }
    }
  }
}

const ls_product_kernels ls_product_portable = {
    .of = {{quantize, multiply4, 4},
           {quantize, multiply8, 4},
           {prepare_floats, multiply16, LS_FLOAT_TILE},
           {prepare_floats, multiply32, LS_FLOAT_TILE}},
    .swiglu = swiglu,
};
