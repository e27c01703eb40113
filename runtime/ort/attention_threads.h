// The kernel on plain threads, for tests and benchmarks outside ONNX Runtime's pool.
#ifndef LOOPSERVE_ATTENTION_THREADS_H
#define LOOPSERVE_ATTENTION_THREADS_H
#include "attention.h"
int ls_paged_attention_threads(const ls_attention_args *a, size_t threads, char *err, size_t err_size);
#endif
