//go:build cgo

#include "cpu.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int forced = -1;

static int best(void) {
#if defined(__x86_64__)
  if (LS_HAS_512("f") && LS_HAS_512("vl") && LS_HAS_512("dq")) return LS_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    return LS_ISA_AVX2;
#endif
  return LS_ISA_PORTABLE;
}

int ls_isa(void) {
  int isa = atomic_load(&forced);
  return isa < 0 ? best() : isa;
}

int ls_isa_force(int isa) {
  if (isa > best()) return -1;
  atomic_store(&forced, isa);
  return 0;
}

void ls_spread(const ls_pool *pool, ls_body body, size_t tasks, double cost, void *data) {
  size_t n = tasks < pool->threads ? tasks : pool->threads;
  if (n < 2 || cost < 250e3 || !pool->run) {  // about 5 µs of work: less than waking a thread costs
    body(data, 0);
  } else {
    pool->run(pool->context, body, n, data);
  }
}

int ls_refuse(ls_error *e, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(e->text, sizeof e->text, format, args);
  va_end(args);
  return -1;
}
