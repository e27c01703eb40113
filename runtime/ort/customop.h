// What an operator of the domain `loopserve` is made of, for CPU sessions. A file defines one as a ls_op (see
// attention_op.c), customop.c lists them all and registers them.
#ifndef LOOPSERVE_ORT_CUSTOMOP_H
#define LOOPSERVE_ORT_CUSTOMOP_H

#include "abi.h"
#include "cpu.h"

// The threads of the global pool: how many shares a call is cut into. Set once, before the first session.
void ls_custom_ops_threads(size_t n);

// Whether the operators of the sessions that this thread makes from now on run on the crew.
void ls_custom_ops_crew(int on_crew);

// ls_custom_ops adds the domain to the options. It lives until ls_custom_ops_release, which the environment
// calls.
OrtStatus *ls_custom_ops(OrtSessionOptions *options);
void ls_custom_ops_release(void);

// An input as an operator declares it.
typedef struct {
  const char *name;
  ls_input_kind kind;
  ls_type type;  // LS_TYPE_UNDEFINED: any, compute looks which one it is
  int rank;      // LS_OP_RANK at most
} ls_op_input;

// An operator with one output, which is float32.
typedef struct {
  ls_custom_op base;  // first: ONNX Runtime gives back a pointer to it. customop.c fills it in.
  const char *name;
  const ls_op_input *inputs;
  size_t input_count;
  OrtStatus *(*create)(const OrtKernelInfo *info, void **kernel);  // reads the node's attributes
  OrtStatus *(*compute)(void *kernel, OrtKernelContext *context);
  void (*destroy)(void *kernel);
} ls_op;

extern ls_op ls_paged_attention_op, ls_packed_linear_op, ls_quant_linear_op, ls_relative_change_op;
void ls_packed_linear_release(void);  // what its last call left for the next

// What follows is for the operators.

enum { LS_OP_RANK = 4 };

// An input of a call. One that is absent has a present of 0; an empty one is present and may have no data.
typedef struct {
  int present;
  ls_type type;
  void *data;
  int64_t dims[LS_OP_RANK];
} ls_tensor;

// Input i: data, and as many dims as its rank.
OrtStatus *ls_op_tensor(const ls_op *op, size_t i, const OrtValue *value, ls_tensor *out);
// Reads inputs 0 to op->input_count-1 of a call, their types and ranks checked.
OrtStatus *ls_op_read(const ls_op *op, const OrtKernelContext *context, ls_tensor *in);
// Gives the memory of the output [rows, columns], or [rows] with a rank of 1.
OrtStatus *ls_op_output(OrtKernelContext *context, size_t rank, int64_t rows, int64_t columns, float **out);
// Whether the session that is being made runs its operators on the crew, for create to keep.
int ls_op_on_crew(void);
// The threads of a call: the crew, or ONNX Runtime's own pool for the time of the call.
ls_pool ls_op_pool(OrtKernelContext *context, int on_crew);
// An attribute that the node does not have leaves the default that *v has. One of another type is an error.
OrtStatus *ls_op_integer(const ls_op *op, const OrtKernelInfo *info, const char *name, int64_t *v);
OrtStatus *ls_op_float(const ls_op *op, const OrtKernelInfo *info, const char *name, float *v);
// Refuses an input that is not the graph's own of that name: what the operator writes, the caller must have
// given it.
OrtStatus *ls_op_fed(const ls_op *op, const OrtKernelInfo *info, size_t i);
// An invalid argument: the message begins with the operator's name.
OrtStatus *ls_op_refuse(const ls_op *op, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
