//go:build cgo

#include "attention_threads.h"

#include <pthread.h>

enum { MAX_THREADS = 64 };

typedef struct {
  ls_body body;
  void *data;
  size_t index;
} share;

static void *run_share(void *p) {
  share *s = p;
  s->body(s->data, s->index);
  return NULL;
}

// Starts a thread for each index but the first. Dear next to a pool: benchmarks on two threads understate the kernel.
static void run_threads(void *context, ls_body body, size_t total, void *data) {
  (void)context;
  pthread_t thread[MAX_THREADS];
  share s[MAX_THREADS];
  size_t started = 0;
  for (size_t i = 1; i < total && i < MAX_THREADS; i++) {
    s[i] = (share){body, data, i};
    if (pthread_create(&thread[i], NULL, run_share, &s[i]) != 0) break;
    started = i;
  }
  for (size_t i = started + 1; i < total; i++) body(data, i);
  body(data, 0);
  for (size_t i = 1; i <= started; i++) pthread_join(thread[i], NULL);
}

int ls_paged_attention_threads(const ls_attention_args *a, size_t threads, char *err, size_t err_size) {
  return ls_paged_attention(a, threads, run_threads, NULL, err, err_size);
}
