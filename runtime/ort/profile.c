//go:build cgo

#include "profile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KINDS = 256, LEAST = 8 };

// The calls of one shape.
typedef struct {
  int64_t rows, width;
  size_t n, room;
  double (*times)[LS_TIMES];
} kind;

static int on;
static kind kinds[KINDS];
static size_t count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double left;                            // when the last call ended: the next may be on another thread
static _Thread_local double now_in[LS_TIMES];  // of the call that is under way

void ls_profile_start(void) { on = getenv("LOOPSERVE_PROFILE") != NULL; }

double ls_profile_now(void) {
  if (!on) return 0;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ls_profile_add(ls_time what, double from) {
  double now = ls_profile_now();
  now_in[what] += now - from;
  return now;
}

double ls_profile_enter(void) {
  if (!on) return 0;
  memset(now_in, 0, sizeof now_in);
  pthread_mutex_lock(&lock);
  double from = left;
  pthread_mutex_unlock(&lock);
  return ls_profile_add(LS_BETWEEN, from);
}

static kind *kind_of(int64_t rows, int64_t width) {
  for (size_t i = 0; i < count; i++)
    if (kinds[i].rows == rows && kinds[i].width == width) return &kinds[i];
  if (count == KINDS) return NULL;
  kinds[count] = (kind){.rows = rows, .width = width};
  return &kinds[count++];
}

void ls_profile_leave(double entered, int64_t rows, int64_t width) {
  if (!on) return;
  double now = ls_profile_add(LS_CALL, entered);
  pthread_mutex_lock(&lock);
  left = now;
  kind *k = kind_of(rows, width);
  if (k != NULL && k->n == k->room) {
    size_t room = k->room == 0 ? 64 : 2 * k->room;
    void *more = realloc(k->times, room * sizeof *k->times);
    if (more != NULL) k->times = more, k->room = room;
  }
  if (k != NULL && k->n < k->room) memcpy(k->times[k->n++], now_in, sizeof now_in);
  pthread_mutex_unlock(&lock);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(const kind *k, ls_time what, double *sorted) {
  for (size_t i = 0; i < k->n; i++) sorted[i] = k->times[i][what];
  qsort(sorted, k->n, sizeof *sorted, compare);
  return sorted[k->n / 2] * 1e6;
}

void ls_profile_print(void) {
  if (!on) return;
  pthread_mutex_lock(&lock);
  fprintf(stderr, "medians of calls by rows and width, in us\n%6s %7s %7s %9s %9s %9s %9s %9s %9s\n", "rows",
          "width", "calls", "call", "products", "attention", "waiting", "reading", "between");
  for (size_t i = 0; i < count; i++) {
    kind *k = &kinds[i];
    double *sorted = k->n < LEAST ? NULL : malloc(k->n * sizeof *sorted);
    if (sorted != NULL) {
      fprintf(stderr, "%6lld %7lld %7zu", (long long)k->rows, (long long)k->width, k->n);
      for (ls_time t = 0; t < LS_TIMES; t++) fprintf(stderr, " %9.1f", median(k, t, sorted));
      fputc('\n', stderr);
      free(sorted);
    }
    free(k->times);
  }
  count = 0;
  pthread_mutex_unlock(&lock);
}
