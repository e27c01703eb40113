// What Go calls: thin functions over the entries of abi.h, shaped so that one Run is one crossing and no Go
// pointer is ever kept by C. Every function that returns an OrtStatus* returns NULL on success; the caller
// takes it apart with ls_status_* and releases it.
#ifndef LOOPSERVE_ORT_SHIM_H
#define LOOPSERVE_ORT_SHIM_H

#include "abi.h"

#define LS_MAX_RANK 8

extern ls_api ls_ort;

// ls_library_load opens the library and fills ls_ort. 0: done; 1: it cannot be opened; 2: it has no
// OrtGetApiBase; 3: it is older than LS_ORT_API_VERSION. version is the library's own word where it got so
// far, err the loader's. The handle is kept for the life of the process: the library leaves threads and
// thread-locals behind.
int ls_library_load(const char *path, const char **version, char *err, size_t err_size);

ls_code ls_status_code(const OrtStatus *s);
const char *ls_status_message(const OrtStatus *s);
void ls_status_release(OrtStatus *s);

// ls_env_create makes the process-wide environment with one global pool. intra 0: the library's choice.
OrtStatus *ls_env_create(int level, int intra, int spin, OrtEnv **out);
void ls_env_release(OrtEnv *env);
// ls_has_provider sets *found to whether the library was built with the execution provider.
OrtStatus *ls_has_provider(const char *name, int *found);

// ls_options_prepare takes the session's own pool away, unless own_pool, and, for CPU sessions, adds the
// domain `loopserve`.
OrtStatus *ls_options_prepare(OrtSessionOptions *options, int with_ops, int own_pool);
// ls_options_file has a graph's external data of that name read from memory, which outlives the session.
OrtStatus *ls_options_file(OrtSessionOptions *options, const char *name, void *data, size_t bytes);
// ls_options_cancel has a session that is being made with the options fail soon. It may be called from any
// thread.
void ls_options_cancel(OrtSessionOptions *options);
// on_crew: operators of ours run on threads of our own (cpu.h), not on ONNX Runtime's.
OrtStatus *ls_session_create(const OrtEnv *env, const void *model, size_t bytes,
                             const OrtSessionOptions *options, int on_crew, OrtSession **out);
void ls_session_release(OrtSession *session);

typedef struct ls_slot_info {
  char *name;          // the default allocator's; ls_slot_info_release gives it back
  OrtTypeInfo *owner;  // keeps symbols alive
  ls_type type;        // 0 where the value is no tensor
  size_t rank;
  int64_t dims[LS_MAX_RANK];  // -1: dynamic
  const char *symbols[LS_MAX_RANK];
} ls_slot_info;

OrtStatus *ls_session_count(const OrtSession *s, int output, size_t *count);
OrtStatus *ls_session_slot(const OrtSession *s, int output, size_t index, ls_slot_info *out);
void ls_slot_info_release(ls_slot_info *i);

// ls_slot is one input or output of a call. Go writes the fields and sets dirty; the OrtValue over them is
// made on the next run and kept until something changes, so an arena that never moves costs nothing.
typedef struct ls_slot {
  char *name;
  void *data;
  size_t bytes;
  const OrtMemoryInfo *space;  // NULL: host memory
  int64_t shape[LS_MAX_RANK];
  size_t rank;
  ls_type type;
  int bound;
  int dirty;
  OrtValue *value;
} ls_slot;

typedef struct ls_call {
  OrtSession *session;
  size_t inputs, outputs;
  ls_slot *slots;  // inputs, then outputs
  const char **names;
  OrtValue **values;
  OrtRunOptions *options;
} ls_call;

// ls_call_new returns NULL when memory runs out. Names are copied in by ls_call_name.
ls_call *ls_call_new(OrtSession *session, size_t inputs, size_t outputs);
int ls_call_name(ls_call *c, size_t slot, const char *name, ls_type type);
OrtStatus *ls_call_run(ls_call *c);
// ls_call_interrupt has the run under way fail before its next node. It may be called from any thread.
void ls_call_interrupt(ls_call *c);
void ls_call_release(ls_call *c);

// ls_space is memory that the session's provider allocates from. name is "Cpu" or "Cuda".
OrtStatus *ls_space_open(const OrtSession *s, const char *name, int device, OrtMemoryInfo **info,
                         OrtAllocator **out);
void ls_space_close(OrtMemoryInfo *info, OrtAllocator *allocator);
OrtStatus *ls_space_alloc(OrtAllocator *allocator, size_t bytes, void **out);
void ls_space_free(OrtAllocator *allocator, void *p);

// ls_live_values counts the OrtValues that this package made and has not released.
int64_t ls_live_values(void);

#endif
