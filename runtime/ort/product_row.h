// What every instruction set does with rows: norm and quantization of inputs, the activation. Over GCC's
// vectors, and three functions of the including file:
//   static inline vi larger(vi a, vi b);  // of each lane
//   static inline int32_t largest_lane(vi v);
//   static inline int32_t narrow(const vi q[LS_BLOCK / LS_W], int8_t *codes);  // stores q, returns its sum

// 1/sqrt(mean x² + epsilon). The squares go to 32 sums and these are added in pairs: in the same order with
// vectors of any width.
static float inverse_rms(const float *x, int64_t k, float epsilon) {
  enum { SUMS = LS_BLOCK / LS_W };
  vf sums[SUMS] = {{0}};
  float last[LS_BLOCK] = {0};
  memcpy(last, x + k / LS_BLOCK * LS_BLOCK, (size_t)(k % LS_BLOCK) * sizeof *x);
  for (const float *end = x + k / LS_BLOCK * LS_BLOCK; x < end; x += LS_BLOCK)
    for (int j = 0; j < SUMS; j++) sums[j] = LS_MADD(load(x + j * LS_W), load(x + j * LS_W), sums[j]);
  for (int j = 0; j < SUMS; j++) sums[j] = LS_MADD(load(last + j * LS_W), load(last + j * LS_W), sums[j]);
  for (int n = SUMS / 2; n > 0; n /= 2)
    for (int j = 0; j < n; j++) sums[j] += sums[j + n];
  return 1 / sqrtf(sum(sums[0]) / (float)k + epsilon);
}

// A block of a row as it enters: normed where there is a gain, filled up with zeros.
static inline void enter(const ls_product_args *a, const float *x, float inverse, int64_t from,
                         float *block) {
  int64_t n = a->k - from < LS_BLOCK ? a->k - from : LS_BLOCK;
  if (n < LS_BLOCK) memset(block, 0, LS_BLOCK * sizeof *block);
  if (a->gain == NULL) {
    memcpy(block, x + from, (size_t)n * sizeof *block);
  } else if (n == LS_BLOCK) {
    for (int i = 0; i < LS_BLOCK; i += LS_W)
      store(block + i, load(x + from + i) * inverse * load(a->gain + from + i));
  } else {
    for (int64_t i = 0; i < n; i++) block[i] = x[from + i] * inverse * a->gain[from + i];
  }
}

// The blocks that share a scale. The largest is found among the bits, where NaN is above every number: it
// makes the scale NaN, and with it all of the row's results.
static inline void quantize_blocks(const ls_product_args *a, const float *x, int64_t blocks, ls_qblock *out,
                                   int64_t step) {
  const vf magic =
      (vf){} + 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, which stands in the low bits
  vi largest_bits[2] = {{0}};
  for (int64_t i = 0; i < blocks * LS_BLOCK; i += 2 * LS_W)
    for (int j = 0; j < 2; j++)
      largest_bits[j] = larger(largest_bits[j], (vi)load(x + i + j * LS_W) & 0x7fffffff);
  int32_t most = largest_lane(larger(largest_bits[0], largest_bits[1]));
  float extreme;
  memcpy(&extreme, &most, sizeof extreme);
  float inverse = extreme > 0 ? 127 / extreme : 0;
  if (inverse > FLT_MAX) inverse = 0, extreme = 0;  // denormal: as good as zero
  for (int64_t b = 0; b < blocks; b++, x += LS_BLOCK, out += step) {
    vi q[LS_BLOCK / LS_W];
    for (int i = 0; i < LS_BLOCK / LS_W; i++)
      q[i] = (vi)LS_MADD(load(x + i * LS_W), splat(inverse), magic) - (vi)magic;
    int32_t codes = narrow(q, out->codes);
    out->scale = extreme / 127 * a->weight_scale;
    if (a->bits == 4) {
      out->sum.codes = a->scale_bits == 8 ? (float)(-4 * codes) * out->scale : (float)codes;
    } else {
      out->sum.bias = -128 * codes;
    }
  }
}

static void quantize(const ls_product_args *a, int64_t row, void *tile, int64_t at, int64_t rows) {
  const int64_t share = a->bits == 4 ? LS_SHARE_4 : 1;
  ls_qblock *out = (ls_qblock *)tile + at;
  const float *x = a->x + row * a->k;
  float inverse = a->gain != NULL ? inverse_rms(x, a->k, a->epsilon) : 1;
  for (int64_t from = 0; from < a->k; from += share * LS_BLOCK, out += share * rows) {
    if (a->gain == NULL && a->k - from >= share * LS_BLOCK) {
      quantize_blocks(a, x + from, share, out, rows);
      continue;
    }
    float block[LS_SHARE_4 * LS_BLOCK];
    int64_t n = 0;
    for (; n < share && from + n * LS_BLOCK < a->k; n++)
      enter(a, x, inverse, from + n * LS_BLOCK, block + n * LS_BLOCK);
    quantize_blocks(a, block, n, out, rows);
  }
}

static void prepare_floats(const ls_product_args *a, int64_t row, void *tile, int64_t at, int64_t rows) {
  (void)rows;
  float *out = (float *)tile + at * ls_float_stride((a->k + LS_BLOCK - 1) / LS_BLOCK);
  const float *x = a->x + row * a->k;
  float inverse = a->gain != NULL ? inverse_rms(x, a->k, a->epsilon) : 1;
  for (int64_t from = 0; from < a->k; from += LS_BLOCK) enter(a, x, inverse, from, out + from);
}

// As ls_product_kernels says.
static void swiglu(const float *gate, const float *up, int64_t rows, float *out, int64_t stride) {
  for (int64_t i = 0; i < rows * LS_GROUP; i += LS_W) {
    vf x = load(gate + i);
    vi negative = x < 0.0f;
    vf e = exp2_neg(choose(negative, x, -x) * log2e);
    store(out + i / LS_GROUP * stride + i % LS_GROUP,
          x * (choose(negative, e, (vf){} + 1.0f) / (1.0f + e)) * load(up + i));
  }
}
