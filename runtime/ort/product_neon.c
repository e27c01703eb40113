//go:build cgo

// The products of ARM processors with dot products of bytes (optional from Armv8.2 on, always there from 8.4
// on).
#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#include "attention_portable.h"
#include "attention_vector.h"
#include "product.h"

static inline vi larger(vi a, vi b) { return (vi)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
static inline int32_t largest_lane(vi v) { return vmaxvq_s32((int32x4_t)v); }

static inline int32_t narrow(const vi q[LS_BLOCK / LS_W], int8_t *codes) {
  int32_t sum = 0;
  for (int i = 0; i < LS_BLOCK / LS_W; i += 4) {
    int16x8_t low = vcombine_s16(vmovn_s32((int32x4_t)q[i]), vmovn_s32((int32x4_t)q[i + 1]));
    int16x8_t high = vcombine_s16(vmovn_s32((int32x4_t)q[i + 2]), vmovn_s32((int32x4_t)q[i + 3]));
    int8x16_t c = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
    vst1q_s8(codes + i * LS_W, c);
    sum += vaddlvq_s8(c);
  }
  return sum;
}

#include "product_float.h"
#include "product_row.h"

typedef int32x4_t vw;
// Volatile: GCC moves loads ahead on this processor, until sums spill.
static inline __attribute__((always_inline)) void hold(vw *v) { __asm__ volatile("" : "+w"(*v)); }

// As signed numbers: 0 to 15, and with 8 bits without the 128.
static inline __attribute__((always_inline)) void load_codes(const uint8_t *w, int bits, int apart, int i,
                                                             vw *even, vw *odd) {
  (void)apart;
  if (bits == 8) {
    *even = (vw)veorq_u8(vld1q_u8(w + 64 * i), vdupq_n_u8(128));
    *odd = (vw)veorq_u8(vld1q_u8(w + 64 * (i + 1)), vdupq_n_u8(128));
  } else {
    uint8x16_t both = vld1q_u8(w + 32 * i);
    *even = (vw)vandq_u8(both, vdupq_n_u8(15)), *odd = (vw)vshrq_n_u8(both, 4);
  }
  hold(even), hold(odd);
}

// A lane is part of the instruction: i is a constant wherever loops are unrolled.
static inline __attribute__((always_inline)) vw multiply_add(vw sum, int bits, vw codes, const ls_qblock *x,
                                                             int i) {
  (void)bits;
  int8x16_t inputs = vld1q_s8(x->codes + i / 4 * 16);
  switch (i % 4) {
    case 0:
      return vdotq_laneq_s32(sum, (int8x16_t)codes, inputs, 0);
    case 1:
      return vdotq_laneq_s32(sum, (int8x16_t)codes, inputs, 1);
    case 2:
      return vdotq_laneq_s32(sum, (int8x16_t)codes, inputs, 2);
    default:
      return vdotq_laneq_s32(sum, (int8x16_t)codes, inputs, 3);
  }
}

#define LS_LOAD_UINT8(p) load_uint8(p)
static inline vf load_uint8(const uint8_t *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return (vf)vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four)))));
}

#define LS_BIASED 0
#define LS_HOLD_SUMS 1
#define LS_UNROLL _Pragma("GCC unroll 4")
#define LS_TILE 4
#define LS_NAME ls_product_neon
#include "product_codes.h"
#endif
