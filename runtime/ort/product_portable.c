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

// What the codes of a block come to: with 4 bits Σ code·input, with 8 bits Σ (code − 128)·input.
static inline int32_t multiply_codes(const uint8_t *w, int bits, int column, const ls_qblock *in) {
  int32_t sum = bits == 4 ? 0 : in->sum.bias;
  for (int i = 0; i < LS_BLOCK; i++) {
    int at = 4 * column + i % 4;
    sum += in->codes[i] * (bits == 4 ? w[i / 8 * 64 + at] >> (i & 4) & 15 : w[i / 4 * 64 + at]);
  }
  return sum;
}

static inline void multiply(const ls_product_part *p, int bits) {
  const size_t codes = LS_BLOCK * LS_GROUP * (size_t)bits / 8,
               bytes = bits == 4 ? LS_BLOCK_BYTES_4 : LS_BLOCK_BYTES_8;
  for (int64_t i = 0; i < p->groups * p->rows; i++) {
    const uint8_t *w = p->w + (size_t)(i / p->rows * p->blocks) * bytes;
    const ls_qblock *in = (const ls_qblock *)p->x + i % p->rows;
    float y[LS_GROUP] = {0};
    const int64_t share = bits == 4 ? LS_SHARE_4 : 1;
    for (int64_t b = 0, end; b < p->blocks;) {
      float scaled[LS_GROUP] = {0};
      for (end = b + share < p->blocks ? b + share : p->blocks; b < end; b++, w += bytes, in += p->rows)
        for (int c = 0; c < LS_GROUP; c++) {
          const uint8_t *scale = w + codes + 2 * c;
          scaled[c] += (float)multiply_codes(w, bits, c, in) * half(scale);
          if (bits == 4) scaled[c] += half(scale + 2 * LS_GROUP) * in->sum.codes;
        }
      for (int c = 0; c < LS_GROUP; c++) y[c] += scaled[c] * in[-p->rows].scale;
    }
    for (int part = 0; part < PARTS; part++)
      put(&p->to, i / p->rows, i % p->rows, part, load(y + part * LS_W));
  }
}

static void multiply4B(const ls_product_part *p) {
  const size_t group = ls_group_bytes(p->blocks, LS_BITS_4B);
  for (int64_t i = 0; i < p->groups * p->rows; i++) {
    const uint8_t *first = p->w + (size_t)(i / p->rows) * group;
    const ls_qblock *in = (const ls_qblock *)p->x + i % p->rows;
    float y[LS_GROUP] = {0}, columns[LS_GROUP];
    for (int64_t b = 0; b < p->blocks; b++, in += p->rows) {
      const uint8_t *pair = first + (size_t)(b / 2) * 2 * LS_BLOCK_BYTES_4B, *w = pair + b % 2 * LS_CODES_4,
                    *scales = pair + 2 * LS_CODES_4 + b % 2 * 2 * LS_GROUP;
      for (int c = 0; c < LS_GROUP; c++) {
        y[c] += (float)scales[LS_GROUP + c] * in->sum.codes;
        y[c] += (float)(multiply_codes(w, 4, c, in) * scales[c]) * in->scale;
      }
    }
    memcpy(columns, first + group - sizeof columns, sizeof columns);
    for (int c = 0; c < LS_GROUP; c++) y[c] *= columns[c];
    for (int part = 0; part < PARTS; part++)
      put(&p->to, i / p->rows, i % p->rows, part, load(y + part * LS_W));
  }
}

static void multiply4(const ls_product_part *p) { multiply(p, 4); }
static void multiply8(const ls_product_part *p) { multiply(p, 8); }

const ls_product_kernels ls_product_portable = {
    .of = {{quantize, multiply4, 4},
           {quantize, multiply8, 4},
           {prepare_floats, multiply16, LS_FLOAT_TILE},
           {prepare_floats, multiply32, LS_FLOAT_TILE},
           {quantize, multiply4B, 4}},
    .swiglu = swiglu,
};
