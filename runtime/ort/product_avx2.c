//go:build cgo

#if defined(__x86_64__)
#include "attention_avx2.h"
#include "product.h"

// Sums over a block, of both vectors of a group's columns for up to four rows, in assembly: with four rows
// they take all 16 registers with the weights and inputs, and GCC would have some of them in memory. Row r's
// sums are ymm<r> and ymm1<r>, the weights ymm4 and ymm5, made of ymm8 and ymm9, inputs and products ymm6 and
// ymm7; the last two are the compiler's to fill with constants.
static inline __attribute__((always_inline)) void sum_block(int format, int rows, const uint8_t *w,
                                                            const uint8_t *scales, const ls_qblock *x,
                                                            __m256i low[4], __m256i high[4]) {
  register __m256i l0 __asm__("ymm0"), l1 __asm__("ymm1"), l2 __asm__("ymm2"), l3 __asm__("ymm3");
  register __m256i h0 __asm__("ymm10"), h1 __asm__("ymm11"), h2 __asm__("ymm12"), h3 __asm__("ymm13");
  const __m256i ones = _mm256_set1_epi16(1);
  const int bits = format == LS_BITS_8 ? 8 : 4;
  // The 32 products of 4-bit codes with inputs, 15·127·2·8 = 30,480 for a pair, are added in 16 bits.
  if (bits == 4) {
    __asm__(
        ".irp i, 0, 1, 2, 3\n"
        "vmovdqu 64*\\i(%[w]), %%ymm8\n"
        "vmovdqu 64*\\i+32(%[w]), %%ymm9\n"
        "vpand %[mask], %%ymm8, %%ymm4\n"
        "vpand %[mask], %%ymm9, %%ymm5\n"
        ".irp odd, 0, 4\n"
        ".if \\odd\n"
        "vpsrlw $4, %%ymm8, %%ymm4\n"
        "vpsrlw $4, %%ymm9, %%ymm5\n"
        "vpand %[mask], %%ymm4, %%ymm4\n"
        "vpand %[mask], %%ymm5, %%ymm5\n"
        ".endif\n"
        ".irp r, 0, 1, 2, 3\n"
        ".if \\r < %c[rows]\n"
        "vpbroadcastd %c[row]*\\r+8*\\i+\\odd(%[x]), %%ymm6\n"
        ".if \\i+\\odd\n"
        "vpmaddubsw %%ymm6, %%ymm4, %%ymm7\n"
        "vpmaddubsw %%ymm6, %%ymm5, %%ymm6\n"
        "vpaddw %%ymm7, %%ymm\\r, %%ymm\\r\n"
        "vpaddw %%ymm6, %%ymm1\\r, %%ymm1\\r\n"
        ".else\n"
        "vpmaddubsw %%ymm6, %%ymm4, %%ymm\\r\n"
        "vpmaddubsw %%ymm6, %%ymm5, %%ymm1\\r\n"
        ".endif\n"
        ".endif\n"
        ".endr\n"
        ".endr\n"
        ".endr"
        : "=&x"(l0), "=&x"(l1), "=&x"(l2), "=&x"(l3), "=&x"(h0), "=&x"(h1), "=&x"(h2), "=&x"(h3)
        : [w] "r"(w), [x] "r"(x), [rows] "i"(rows), [row] "i"(sizeof *x), [mask] "x"(_mm256_set1_epi8(15)),
          "m"(*(const char(*)[LS_CODES_4])w), "m"(*(const ls_qblock(*)[4])x)
        : "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9");
    __m256i by = ones, high_by = ones;
    if (format == LS_BITS_4B) {  // a column's goes to both halves of its 32 bits
      const __m256i spread = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1,
                                              4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
      const __m256i all = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)scales));
      by = _mm256_shuffle_epi8(all, spread);
      high_by = _mm256_shuffle_epi8(all, _mm256_add_epi8(spread, _mm256_set1_epi16(8)));
    }
    l0 = _mm256_madd_epi16(l0, by), h0 = _mm256_madd_epi16(h0, high_by);
    l1 = _mm256_madd_epi16(l1, by), h1 = _mm256_madd_epi16(h1, high_by);
    l2 = _mm256_madd_epi16(l2, by), h2 = _mm256_madd_epi16(h2, high_by);
    l3 = _mm256_madd_epi16(l3, by), h3 = _mm256_madd_epi16(h3, high_by);
  } else {
    // An 8-bit code's sign goes to the input, so that a pair of products, 128·127·2, fits into 16 bits.
    __asm__(
        ".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n"
        "vpxor 64*\\i(%[w]), %[bias], %%ymm8\n"
        "vpxor 64*\\i+32(%[w]), %[bias], %%ymm9\n"
        "vpabsb %%ymm8, %%ymm4\n"
        "vpabsb %%ymm9, %%ymm5\n"
        ".irp r, 0, 1, 2, 3\n"
        ".if \\r < %c[rows]\n"
        "vpbroadcastd %c[row]*\\r+4*\\i(%[x]), %%ymm6\n"
        "vpsignb %%ymm8, %%ymm6, %%ymm7\n"
        "vpsignb %%ymm9, %%ymm6, %%ymm6\n"
        "vpmaddubsw %%ymm7, %%ymm4, %%ymm7\n"
        "vpmaddubsw %%ymm6, %%ymm5, %%ymm6\n"
        ".if \\i\n"
        "vpmaddwd %[ones], %%ymm7, %%ymm7\n"
        "vpmaddwd %[ones], %%ymm6, %%ymm6\n"
        "vpaddd %%ymm7, %%ymm\\r, %%ymm\\r\n"
        "vpaddd %%ymm6, %%ymm1\\r, %%ymm1\\r\n"
        ".else\n"
        "vpmaddwd %[ones], %%ymm7, %%ymm\\r\n"
        "vpmaddwd %[ones], %%ymm6, %%ymm1\\r\n"
        ".endif\n"
        ".endif\n"
        ".endr\n"
        ".endr"
        : "=&x"(l0), "=&x"(l1), "=&x"(l2), "=&x"(l3), "=&x"(h0), "=&x"(h1), "=&x"(h2), "=&x"(h3)
        : [w] "r"(w), [x] "r"(x), [rows] "i"(rows), [row] "i"(sizeof *x), [bias] "x"(_mm256_set1_epi8(-128)),
          [ones] "x"(ones), "m"(*(const char(*)[LS_BLOCK * LS_GROUP]) w), "m"(*(const ls_qblock(*)[4])x)
        : "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9");
  }
  low[0] = l0, high[0] = h0;
  if (rows > 1) low[1] = l1, high[1] = h1;
  if (rows > 2) low[2] = l2, high[2] = h2;
  if (rows > 3) low[3] = l3, high[3] = h3;
}

#define LS_SUM_BLOCK sum_block
#define LS_VNNI 0
#define LS_TILE 4
#define LS_NAME ls_product_avx2
#include "product_x86.h"
#endif
