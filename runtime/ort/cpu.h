// What every operator on the CPU shares: the instruction set that it runs on, the threads that it runs on,
// and how it says what it refuses. No dependency on ONNX Runtime.
#ifndef LOOPSERVE_CPU_H
#define LOOPSERVE_CPU_H

#include <sched.h>
#include <stddef.h>

// Whether this processor has a part of AVX-512.
#ifdef LS_EMULATE_AVX512
#define LS_HAS_512(part) 1
#else
#define LS_HAS_512(part) __builtin_cpu_supports("avx512" part)
#endif

enum { LS_ISA_PORTABLE, LS_ISA_AVX2, LS_ISA_AVX512, LS_ISAS };
int ls_isa(void);           // the one to run on: the best that this processor has, or the forced one
int ls_isa_force(int isa);  // for tests: -1 gives the choice back; returns 0 where the processor has it

typedef void (*ls_body)(void *data, size_t index);

// Threads that a call may use.
typedef struct {
  size_t threads;
  // Runs body(data, 0), and body(data, i) for i < total on other threads, as far as they come before that has
  // ended; returns when all are done. NULL: only the caller's.
  void (*run)(void *context, ls_body body, size_t total, void *data);
  void *context;
} ls_pool;

// Runs body on as many threads as there are tasks, or fewer: on the caller's alone where cost, in
// multiply-adds, is less than waking another one. A body takes tasks from a counter in data until none is
// left, so that one run of it is enough.
void ls_spread(const ls_pool *pool, ls_body body, size_t tasks, double cost, void *data);

// Threads of our own (threads.c). One call at a time has them; another one at that time runs on its caller's.
ls_pool ls_crew(size_t threads);
// Whether they wait for the next call awake, for a while: faster calls, a busy core.
void ls_crew_spin(int spin);

// A look at a number that another thread is about to change: between two of them.
static inline void ls_breathe(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The i-th look of a thread that waits for another one's work. Who lost its core in the middle of that work
// needs one, perhaps this one.
static inline void ls_await(unsigned i) { i < 1u << 10 ? ls_breathe() : (void)sched_yield(); }

// Why a call is refused: the field, its value and what it must be.
typedef struct {
  char text[240];
} ls_error;

// Writes the message and returns -1.
int ls_refuse(ls_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
