// Products of float rows with packed weights: y = norm(x)·Wᵀ and what stands around it in a layer, on the
// CPU. docs/bundle-format.md is the contract of the operator loopserve.PackedLinear, which product_op.c makes
// of it.
//
// A row's floats are added in one order whatever the other rows of the call, the threads and the tile: with
// weights of 4 and 8 bits in that of its blocks, whose integer sums are exact, and with float weights in that
// of its inputs. A row's result is the same to the bit in any company.
#ifndef LOOPSERVE_PRODUCT_H
#define LOOPSERVE_PRODUCT_H
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

// Weights are packed in groups of 16 columns (rows of W), each a run of blocks of 32 inputs. With 32 bits a
// block is 32 vectors of 16 float32, one for each input; with 16 it is 16 vectors of 16 pairs of bfloat16, of
// inputs 2i and 2i + 1; what is beyond n and k is zero. With 4 and 8 bits it is 32·16 codes, then 16 scales
// (float16), then, with 4 bits, 16 minima (float16): w = scale·code + minimum with 4 bits, and scale·(code −
// 128) with 8. With 4 bits and scales of 8 these are a byte each, scales at most 68, and a group has 16
// float32 at its end: w = float·(scale·code − 4·minimum). There two blocks are together, the codes of both
// and then the rest of the first and of the second, so that codes lie in whole lines; a last one that is
// alone has the room of two. Codes stand in vectors of 64 bytes, 4 neighbouring inputs of column 0, then of
// column 1 …; with 4 bits a vector holds inputs 8i … 8i+3 in its low and 8i+4 … 8i+7 in its high nibbles.
// What a group or a block has beyond n and k is ignored, as long as its scales and minima are zeros.
enum {
  LS_GROUP = 16,
  LS_BLOCK = 32,
  LS_CODES_4 = LS_BLOCK * LS_GROUP / 2,
  LS_BLOCK_BYTES_4 = LS_CODES_4 + 4 * LS_GROUP,
  LS_BLOCK_BYTES_4B = LS_CODES_4 + 2 * LS_GROUP,
  LS_BLOCK_BYTES_8 = LS_BLOCK * LS_GROUP + 2 * LS_GROUP,
  LS_BLOCK_BYTES_16 = LS_BLOCK * LS_GROUP * 2,
  LS_BLOCK_BYTES_32 = LS_BLOCK * LS_GROUP * 4,
};

enum { LS_BITS_4, LS_BITS_8, LS_BITS_16, LS_BITS_32, LS_BITS_4B, LS_FORMATS };  // 4B: scales of 8 bits
enum { LS_PLAIN, LS_SWIGLU };  // what is done with the columns

typedef struct {
  int64_t rows, k, n;  // x is [rows, k]; n counts the columns of W
  int bits;            // 4, 8, 16 (bfloat16) or 32 (float32)
  int scale_bits;      // 8, with 4 bits, or 16
  int activation;      // LS_SWIGLU: groups of gate and up take turns, out is silu(gate)·up, [rows, n/2]
  float weight_scale;  // of all scales and minima; with 4 and 8 bits
  const float *x;
  const float *gain;  // [k], or NULL: x enters as x/rms(x)·gain
  float epsilon;      // of that norm
  const uint8_t *weights;
  const float *bias;      // [n], or NULL; not with LS_SWIGLU
  const float *residual;  // [rows, n], added to the result, or NULL; not with LS_SWIGLU
  float *out;
} ls_product_args;

// Bytes that the weights of n columns and k inputs take; with LS_SWIGLU n/2 columns are rounded up to groups
// twice.
size_t ls_product_weights(int64_t n, int64_t k, int bits, int scale_bits, int activation);
// Bytes of scratch that a call needs.
size_t ls_product_scratch(const ls_product_args *a);
// Computes out. scratch has ls_product_scratch(a) bytes, aligned to 64.
void ls_product(const ls_product_args *a, void *scratch, const ls_pool *pool);

enum {
  LS_PRODUCT_PORTABLE,
  LS_PRODUCT_AVX2,
  LS_PRODUCT_AVXVNNI,
  LS_PRODUCT_AVX512VNNI,
  LS_PRODUCT_NEON,  // with dot products
  LS_PRODUCT_ISAS
};
int ls_product_has(int isa);  // whether this processor has the instructions
int ls_product_force_isa(
    int isa);  // for tests: -1 gives the choice back; returns 0 where the processor has it

// A block of a row's quantized inputs: x ≈ scale·code. With 4 bits so many blocks share a scale, which costs
// less than the weights' own rounding by far; with 8 bits it would not.
enum { LS_SHARE_4 = 4 };
typedef struct {
  int8_t codes[LS_BLOCK];
  float scale;
  union {
    float codes;   // with 4 bits what a minimum is multiplied by: their sum, times −4·scale with bytes
    int32_t bias;  // with 8 bits: −128 · their sum
  } sum;
} ls_qblock;

// The bytes of a group of columns.
static inline size_t ls_group_bytes(int64_t blocks, int format) {
  static const size_t block[LS_FORMATS] = {LS_BLOCK_BYTES_4, LS_BLOCK_BYTES_8, LS_BLOCK_BYTES_16,
                                           LS_BLOCK_BYTES_32, LS_BLOCK_BYTES_4B};
  if (format != LS_BITS_4B) return (size_t)blocks * block[format];
  return (size_t)(blocks + 1) / 2 * 2 * LS_BLOCK_BYTES_4B + LS_GROUP * sizeof(float);
}

// The floats from one row to the next where they are multiplied as floats: an odd number of lines, so that
// the rows of a tile do not push each other out of the first cache.
static inline int64_t ls_float_stride(int64_t blocks) { return blocks * LS_BLOCK + LS_GROUP; }

// Where results go, and what is added to them there: group g of row r is y[g·group + r·row …], and is
// residual, there too, + (sum + bias[g·LS_GROUP …]); both may be NULL.
typedef struct {
  float *y;
  int64_t group, row;
  const float *bias, *residual;
} ls_results;

// Adjacent groups of columns for some rows.
typedef struct {
  const uint8_t *w;     // of the first group
  const uint8_t *next;  // of what is multiplied afterwards: asked for in time; NULL: all is near
  int64_t groups, blocks, rows;
  const void *x;  // a tile as prepared: ls_qblock [blocks, rows], or float [rows, ls_float_stride(blocks)]
  ls_results to;
} ls_product_part;

// The inner loops of one instruction set; each product_<isa>.c defines one.
typedef struct {
  struct {
    // Norms a row, and quantizes it: the one at `at` of a tile of `rows` rows.
    void (*prepare)(const ls_product_args *a, int64_t row, void *tile, int64_t at, int64_t rows);
    void (*multiply)(const ls_product_part *p);
    int64_t tile;  // rows that share one reading of the weights: LS_MOST_TILE at most
  } of[LS_FORMATS];
  // out[row·stride …] = silu(gate)·up, of gate and up [rows, LS_GROUP].
  void (*swiglu)(const float *gate, const float *up, int64_t rows, float *out, int64_t stride);
} ls_product_kernels;
enum { LS_MOST_TILE = 12 };
extern const ls_product_kernels ls_product_portable, ls_product_avx2, ls_product_avxvnni,
    ls_product_avx512vnni, ls_product_neon;
#endif
