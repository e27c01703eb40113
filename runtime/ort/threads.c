//go:build cgo

#include <pthread.h>

#include "cpu.h"

enum { MAX_THREADS = 64 };

// Threads that stay: each waits for a round that has a share for it. They live as long as the process.
static struct {
  pthread_mutex_t lock;
  pthread_cond_t begin, end;
  size_t started, busy, total;
  unsigned long round;
  ls_body body;
  void *data;
} crew = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .begin = PTHREAD_COND_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};
static pthread_mutex_t one_call = PTHREAD_MUTEX_INITIALIZER;

static void *work_on(void *p) {
  size_t index = (size_t)p;
  unsigned long seen = 0;
  pthread_mutex_lock(&crew.lock);
  for (;;) {
    while (crew.round == seen) pthread_cond_wait(&crew.begin, &crew.lock);
    seen = crew.round;
    if (index >= crew.total) continue;
    pthread_mutex_unlock(&crew.lock);
    crew.body(crew.data, index);
    pthread_mutex_lock(&crew.lock);
    if (--crew.busy == 0) pthread_cond_signal(&crew.end);
  }
  return NULL;
}

static void run_threads(void *context, ls_body body, size_t total, void *data) {
  (void)context;
  pthread_mutex_lock(&one_call);
  pthread_mutex_lock(&crew.lock);
  while (crew.started + 1 < total && crew.started + 1 < MAX_THREADS) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work_on, (void *)(crew.started + 1)) != 0) break;
    pthread_detach(thread);
    crew.started++;
  }
  size_t theirs = crew.started + 1 < total ? crew.started : total - 1;
  crew.body = body, crew.data = data, crew.total = theirs + 1, crew.busy = theirs, crew.round++;
  pthread_cond_broadcast(&crew.begin);
  pthread_mutex_unlock(&crew.lock);
  body(data, 0);
  for (size_t i = theirs + 1; i < total; i++) body(data, i);
  pthread_mutex_lock(&crew.lock);
  while (crew.busy > 0) pthread_cond_wait(&crew.end, &crew.lock);
  pthread_mutex_unlock(&crew.lock);
  pthread_mutex_unlock(&one_call);
}

ls_pool ls_own_threads(size_t threads) { return (ls_pool){.threads = threads, .run = run_threads}; }
