//go:build cgo

// Weights in pages of 2 MiB. A block's weights are read once for each loop, and with pages of 4 KiB, as a
// mapped file has them, looking up addresses takes as long as the reading: so they are copied, once, into
// memory for which the system is asked for huge pages. Where it has none to give, weights stay where they
// are.
#include "weights.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20, CHUNK = 32 * HUGE, LEAST = 64 << 10 };

// Weights lie one behind the other in a chunk, whose last user unmaps it. What nobody writes takes no memory.
typedef struct chunk {
  struct chunk *next;
  char *begin, *at, *end;
  size_t users;
} chunk;
static chunk *chunks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int tells_files;  // under the lock: the system knows MADV_WIPEONFORK, since it took it for a chunk

static int has_huge_pages(void) {
#if defined(MADV_HUGEPAGE)
  static int known;  // under the lock
  if (known == 0) {
    char line[64] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    known = f != NULL && fgets(line, sizeof line, f) != NULL && strstr(line, "[never]") == NULL ? 1 : -1;
    if (f != NULL) fclose(f);
  }
  return known > 0;
#else
  return 0;
#endif
}

static chunk *new_chunk(size_t bytes) {
  size_t whole = (bytes > CHUNK ? bytes : CHUNK) + HUGE;
  chunk *c = calloc(1, sizeof *c);
  void *p = c == NULL ? MAP_FAILED
                      : mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                             -1, 0);
  if (p == MAP_FAILED) {
    free(c);
    return NULL;
  }
  c->begin = p, c->end = c->begin + whole;
  c->at = c->begin + (HUGE - (uintptr_t)p % HUGE) % HUGE;
#if defined(MADV_HUGEPAGE)
  madvise(p, whole, MADV_HUGEPAGE);
#endif
#if defined(MADV_WIPEONFORK)
  if (madvise(p, whole, MADV_WIPEONFORK) == 0) tells_files = madvise(p, whole, MADV_KEEPONFORK) == 0;
#endif
  c->next = chunks, chunks = c;
  return c;
}

// Gives back what a file has of the range: it comes again when somebody reads it. Only a file's pages may go:
// MADV_WIPEONFORK, which changes nothing here, is invalid where there is a file, and accepted elsewhere; if
// it fails for another reason nobody knows, and all stays.
static void let_go(const void *data, size_t bytes) {
#if defined(MADV_WIPEONFORK)
  uintptr_t from = ((uintptr_t)data + 4095) / 4096 * 4096, to = ((uintptr_t)data + bytes) / 4096 * 4096;
  if (from >= to) return;
  if (madvise((void *)from, to - from, MADV_WIPEONFORK) == 0) {
    madvise((void *)from, to - from, MADV_KEEPONFORK);
  } else if (errno == EINVAL) {
    madvise((void *)from, to - from, MADV_DONTNEED);
  }
#endif
}

size_t ls_weights_live(void) {
  size_t n = 0;
  pthread_mutex_lock(&lock);
  for (const chunk *c = chunks; c != NULL; c = c->next) n += c->users;
  pthread_mutex_unlock(&lock);
  return n;
}

const void *ls_weights_take(const void *data, size_t bytes) {
  if (bytes < LEAST) return NULL;
  size_t room = (bytes + 63) / 64 * 64;
  char *p = NULL;
  pthread_mutex_lock(&lock);
  if (has_huge_pages()) {
    chunk *c = chunks;
    while (c != NULL && (size_t)(c->end - c->at) < room) c = c->next;
    if (c == NULL) c = new_chunk(room);
    if (c != NULL) p = c->at, c->at += room, c->users++;
  }
  int files = tells_files;
  pthread_mutex_unlock(&lock);
  if (p == NULL) return NULL;
  memcpy(p, data, bytes);
  if (files) let_go(data, bytes);
  return p;
}

void ls_weights_give(const void *weights) {
  if (weights == NULL) return;
  pthread_mutex_lock(&lock);
  for (chunk **p = &chunks, *c; (c = *p) != NULL; p = &c->next) {
    if ((const char *)weights < c->begin || (const char *)weights >= c->end) continue;
    if (--c->users == 0) {
      *p = c->next;
      munmap(c->begin, (size_t)(c->end - c->begin));
      free(c);
    }
    break;
  }
  pthread_mutex_unlock(&lock);
}
