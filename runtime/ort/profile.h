// Where a call's time goes, for docs/adr/0009. With LOOPSERVE_PROFILE in the environment a table is written
// to stderr when the environment of ONNX Runtime is released; without it each node looks at one number.
#ifndef LOOPSERVE_PROFILE_H
#define LOOPSERVE_PROFILE_H
#include <stddef.h>
#include <stdint.h>

typedef enum {
  LS_CALL,       // of a graph, whole
  LS_PRODUCTS,   // PackedLinear, without the reading of its tensors
  LS_ATTENTION,  // PagedAttention, likewise
  LS_WAITING,    // of both: this thread is done, another one not
  LS_READING,    // tensors of our operators, through ONNX Runtime's API
  LS_BETWEEN,    // since the call before it
  LS_TIMES
} ls_time;

void ls_profile_start(void);  // looks at the environment
void ls_profile_print(void);
double ls_profile_now(void);  // in seconds; 0 where nobody asked
// Adds what has passed since `from` to the call that this thread is in. Returns the time now.
double ls_profile_add(ls_time what, double from);
// Around a call of a graph with so many rows, whose first output is so wide.
double ls_profile_enter(void);
void ls_profile_leave(double entered, int64_t rows, int64_t width);
#endif
