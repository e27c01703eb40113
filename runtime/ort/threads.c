//go:build cgo

#include <pthread.h>
#include <stdatomic.h>

#include "cpu.h"
#include "profile.h"

// Threads that stay. Between calls each looks out for the next one for a while, since a call of a few
// microseconds cannot wait for a thread to be woken, and then sleeps until it is. Who comes late is not
// waited for: the caller does what nobody has taken. They live as long as the process.
enum { MAX_THREADS = 64, LOOKS = 1 << 14 };  // a few tenths of a millisecond

static struct {
  _Alignas(64) atomic_ulong round;   // odd: a call is open
  _Alignas(64) atomic_ulong inside;  // threads that may be in its body
  atomic_ulong asleep;
  ls_body body;
  void *data;
  size_t total;
  size_t started;
  pthread_mutex_t lock;
  pthread_cond_t begin;
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER, .begin = PTHREAD_COND_INITIALIZER};
static pthread_mutex_t one_call = PTHREAD_MUTEX_INITIALIZER;
static atomic_int looks = LOOKS;

void ls_crew_spin(int spin) { atomic_store(&looks, spin ? LOOKS : 0); }

// Returns the next open round after the one that was seen.
static unsigned long next_round(unsigned long seen) {
  unsigned long round = 0;
  for (int i = 0; i < atomic_load_explicit(&looks, memory_order_relaxed); i++) {
    round = atomic_load_explicit(&crew.round, memory_order_relaxed);
    if (round != seen && round % 2 == 1) return round;
    ls_breathe();
  }
  pthread_mutex_lock(&crew.lock);
  atomic_fetch_add(&crew.asleep, 1);
  while ((round = atomic_load(&crew.round)) == seen || round % 2 == 0)
    pthread_cond_wait(&crew.begin, &crew.lock);
  atomic_fetch_sub(&crew.asleep, 1);
  pthread_mutex_unlock(&crew.lock);
  return round;
}

static void *work_on(void *p) {
  size_t index = (size_t)p;
  for (unsigned long seen = 0;;) {
    seen = next_round(seen);
    atomic_fetch_add(&crew.inside, 1);
    // Still open: the caller now waits for this thread.
    if (atomic_load(&crew.round) == seen && index < crew.total) crew.body(crew.data, index);
    atomic_fetch_sub(&crew.inside, 1);
  }
  return NULL;
}

static void run_crew(void *context, ls_body body, size_t total, void *data) {
  (void)context;
  if (pthread_mutex_trylock(&one_call) != 0) {  // another call has the threads, and the cores
    body(data, 0);
    return;
  }
  crew.body = body, crew.data = data, crew.total = total;
  while (crew.started + 1 < total && crew.started + 1 < MAX_THREADS) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work_on, (void *)(crew.started + 1)) != 0) break;
    pthread_detach(thread);
    crew.started++;
  }
  atomic_fetch_add(&crew.round, 1);
  if (atomic_load(&crew.asleep) > 0) {
    pthread_mutex_lock(&crew.lock);
    pthread_cond_broadcast(&crew.begin);
    pthread_mutex_unlock(&crew.lock);
  }
  body(data, 0);
  atomic_fetch_add(&crew.round, 1);
  double done = ls_profile_now();
  for (unsigned i = 0; atomic_load(&crew.inside) > 0; i++) ls_await(i);
  ls_profile_add(LS_WAITING, done);
  pthread_mutex_unlock(&one_call);
}

ls_pool ls_crew(size_t threads) { return (ls_pool){.threads = threads, .run = run_crew}; }
