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
    for (int j = 0; j < SUMS; j++) sums[j] += load(x + j * LS_W) * load(x + j * LS_W);
  for (int j = 0; j < SUMS; j++) sums[j] += load(last + j * LS_W) * load(last + j * LS_W);
  for (int n = SUMS / 2; n > 0; n /= 2)
    for (int j = 0; j < n; j++) sums[j] += sums[j + n];
  return 1 / sqrtf(sum(sums[0]) / (float)k + epsilon);
}

// One block of inputs. The largest is found among the bits, where NaN is above every number: it makes the
// scale NaN, and with it all of the row's results.
static inline void quantize_block(const float *x, float weight_scale, int bits, ls_qblock *out) {
  const vf magic =
      (vf){} + 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, which stands in the low bits
  vi largest_bits = {0};
  for (int i = 0; i < LS_BLOCK / LS_W; i++) {
    vi magnitude = (vi)load(x + i * LS_W) & 0x7fffffff;
    largest_bits = larger(largest_bits, magnitude);
  }
  int32_t most = largest_lane(largest_bits);
  float extreme;
  memcpy(&extreme, &most, sizeof extreme);
  float inverse = extreme > 0 ? 127 / extreme : 0;
  if (inverse > FLT_MAX) inverse = 0, extreme = 0;  // denormal: as good as zero
  vi q[LS_BLOCK / LS_W];
  for (int i = 0; i < LS_BLOCK / LS_W; i++) q[i] = (vi)(load(x + i * LS_W) * inverse + magic) - (vi)magic;
  int32_t codes = narrow(q, out->codes);
  out->scale = extreme / 127 * weight_scale;
  if (bits == 4) {
    out->sum.weighed = out->scale * (float)codes;
  } else {
    out->sum.bias = -128 * codes;
  }
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

static void quantize(const ls_product_args *a, int64_t row, void *blocks) {
  ls_qblock *out = blocks;
  const float *x = a->x + row * a->k;
  float inverse = a->gain != NULL ? inverse_rms(x, a->k, a->epsilon) : 1;
  for (int64_t from = 0; from < a->k; from += LS_BLOCK, out++) {
    float block[LS_BLOCK];
    if (a->gain == NULL && a->k - from >= LS_BLOCK) {
      quantize_block(x + from, a->weight_scale, a->bits, out);
      continue;
    }
    enter(a, x, inverse, from, block);
    quantize_block(block, a->weight_scale, a->bits, out);
  }
}

static void prepare_floats(const ls_product_args *a, int64_t row, void *out) {
  const float *x = a->x + row * a->k;
  float inverse = a->gain != NULL ? inverse_rms(x, a->k, a->epsilon) : 1;
  for (int64_t from = 0; from < a->k; from += LS_BLOCK) enter(a, x, inverse, from, (float *)out + from);
}

// out = silu(gate)·up; n is a multiple of LS_W.
static void swiglu(const float *gate, const float *up, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i += LS_W) {
    vf x = load(gate + i);
    vi negative = x < 0.0f;
    vf e = exp2_neg(choose(negative, x, -x) * log2e);
    store(out + i, x * (choose(negative, e, (vf){} + 1.0f) / (1.0f + e)) * load(up + i));
  }
}
