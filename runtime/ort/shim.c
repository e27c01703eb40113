//go:build cgo

#include "shim.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "customop.h"
#include "profile.h"

ls_api ls_ort;

static OrtMemoryInfo *host;  // the description of host memory, made with the environment
static atomic_llong live_values;

int ls_library_load(const char *path, const char **version, char *err, size_t err_size) {
  *version = "";
  // Official builds send what they run, and on what, to Microsoft. Only this variable also keeps the uploader
  // from being made: its threads, a folder in the user's cache and a database in it (Privacy.md beside the
  // library).
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    snprintf(err, err_size, "%s", dlerror());
    return 1;
  }
  ls_api_base *(*door)(void);
  *(void **)&door = dlsym(handle, "OrtGetApiBase");
  if (door == NULL) {
    snprintf(err, err_size, "no symbol OrtGetApiBase");
    dlclose(handle);
    return 2;
  }
  const ls_api_base *base = door();
  *version = base->GetVersionString();
  // The library prints to stderr when it is asked for a version that it lacks, so look at its name first.
  int major = 0, minor = 0;
  if (sscanf(*version, "%d.%d", &major, &minor) != 2 || (major == 1 && minor < LS_ORT_API_VERSION)) return 3;
  const void *const *table = (const void *const *)base->GetApi(LS_ORT_API_VERSION);
  if (table == NULL) return 3;
#define X(index, ret, name, params) *(const void **)&ls_ort.name = table[index];
  LS_ORT_ENTRIES(X)
#undef X
  return 0;
}

ls_code ls_status_code(const OrtStatus *s) { return ls_ort.GetErrorCode(s); }
const char *ls_status_message(const OrtStatus *s) { return ls_ort.GetErrorMessage(s); }
void ls_status_release(OrtStatus *s) { ls_ort.ReleaseStatus(s); }

OrtStatus *ls_env_create(int level, int intra, int spin, OrtEnv **out) {
  OrtThreadingOptions *t = NULL;
  OrtStatus *s = ls_ort.CreateThreadingOptions(&t);
  if (s == NULL) s = ls_ort.SetGlobalIntraOpNumThreads(t, intra);
  // Graphs run node after node (ORT_SEQUENTIAL), so the second pool would only hold idle threads.
  if (s == NULL) s = ls_ort.SetGlobalInterOpNumThreads(t, 1);
  if (s == NULL) s = ls_ort.SetGlobalSpinControl(t, spin);
  ls_crew_spin(spin);
  ls_profile_start();
  if (s == NULL) s = ls_ort.CreateEnvWithGlobalThreadPools((ls_level)level, "loopserve", t, out);
  if (t != NULL) ls_ort.ReleaseThreadingOptions(t);
  if (s == NULL) {
    s = ls_ort.CreateMemoryInfo("Cpu", LS_DEVICE_ALLOCATOR, 0, LS_MEM_DEFAULT, &host);
    if (s != NULL) {
      ls_ort.ReleaseEnv(*out);
      *out = NULL;
    }
  }
  return s;
}

void ls_env_release(OrtEnv *env) {
  ls_custom_ops_release();
  ls_profile_print();
  if (host != NULL) ls_ort.ReleaseMemoryInfo(host);
  host = NULL;
  if (env != NULL) ls_ort.ReleaseEnv(env);
}

OrtStatus *ls_has_provider(const char *name, int *found) {
  char **names = NULL;
  int count = 0;
  *found = 0;
  OrtStatus *s = ls_ort.GetAvailableProviders(&names, &count);
  if (s != NULL) return s;
  for (int i = 0; i < count; i++) {
    if (strcmp(names[i], name) == 0) *found = 1;
  }
  return ls_ort.ReleaseAvailableProviders(names, count);
}

OrtStatus *ls_options_prepare(OrtSessionOptions *options, int with_ops, int own_pool) {
  OrtStatus *s = own_pool ? NULL : ls_ort.DisablePerSessionThreads(options);
  if (s == NULL && with_ops) s = ls_custom_ops(options);
  return s;
}

static void ignore(OrtStatus *s) {
  if (s != NULL) ls_ort.ReleaseStatus(s);
}

OrtStatus *ls_options_file(OrtSessionOptions *options, const char *name, void *data, size_t bytes) {
  char *buffer = data;
  return ls_ort.AddExternalInitializersFromFilesInMemory(options, &name, &buffer, &bytes, 1);
}

void ls_options_cancel(OrtSessionOptions *options) {
  ignore(ls_ort.SessionOptionsSetLoadCancellationFlag(options, true));
}

OrtStatus *ls_session_create(const OrtEnv *env, const void *model, size_t bytes,
                             const OrtSessionOptions *options, int on_crew, OrtSession **out) {
  ls_custom_ops_crew(on_crew);
  return ls_ort.CreateSessionFromArray(env, model, bytes, options, out);
}

void ls_session_release(OrtSession *session) { ls_ort.ReleaseSession(session); }

OrtStatus *ls_session_count(const OrtSession *s, int output, size_t *count) {
  return output ? ls_ort.SessionGetOutputCount(s, count) : ls_ort.SessionGetInputCount(s, count);
}

OrtStatus *ls_session_slot(const OrtSession *session, int output, size_t index, ls_slot_info *out) {
  memset(out, 0, sizeof *out);
  OrtAllocator *a = NULL;
  const OrtTensorTypeAndShapeInfo *tensor = NULL;
  OrtStatus *s = ls_ort.GetAllocatorWithDefaultOptions(&a);
  if (s == NULL) {
    s = output ? ls_ort.SessionGetOutputName(session, index, a, &out->name)
               : ls_ort.SessionGetInputName(session, index, a, &out->name);
  }
  if (s == NULL) {
    s = output ? ls_ort.SessionGetOutputTypeInfo(session, index, &out->owner)
               : ls_ort.SessionGetInputTypeInfo(session, index, &out->owner);
  }
  if (s == NULL) s = ls_ort.CastTypeInfoToTensorInfo(out->owner, &tensor);
  if (s != NULL || tensor == NULL) return s;
  s = ls_ort.GetTensorElementType(tensor, &out->type);
  if (s == NULL) s = ls_ort.GetDimensionsCount(tensor, &out->rank);
  if (s == NULL && out->rank > LS_MAX_RANK) return NULL;  // the caller refuses it by its rank
  if (s == NULL) s = ls_ort.GetDimensions(tensor, out->dims, out->rank);
  if (s == NULL) s = ls_ort.GetSymbolicDimensions(tensor, out->symbols, out->rank);
  return s;
}

void ls_slot_info_release(ls_slot_info *i) {
  OrtAllocator *a = NULL;
  if (i->owner != NULL) ls_ort.ReleaseTypeInfo(i->owner);
  if (i->name == NULL) return;
  OrtStatus *s = ls_ort.GetAllocatorWithDefaultOptions(&a);
  if (s == NULL) s = ls_ort.AllocatorFree(a, i->name);
  if (s != NULL) ls_ort.ReleaseStatus(s);  // a name that cannot be freed is no reason to fail a load
}

static OrtStatus *tensor(void *data, size_t bytes, const OrtMemoryInfo *space, const int64_t *shape,
                         size_t rank, ls_type type, OrtValue **out) {
  OrtStatus *s = ls_ort.CreateTensorWithDataAsOrtValue(space != NULL ? space : host, data, bytes, shape, rank,
                                                       type, out);
  if (s == NULL) atomic_fetch_add_explicit(&live_values, 1, memory_order_relaxed);
  return s;
}

static void release_value(OrtValue **v) {
  if (*v == NULL) return;
  ls_ort.ReleaseValue(*v);
  *v = NULL;
  atomic_fetch_sub_explicit(&live_values, 1, memory_order_relaxed);
}

int64_t ls_live_values(void) { return atomic_load_explicit(&live_values, memory_order_relaxed); }

ls_call *ls_call_new(OrtSession *session, size_t inputs, size_t outputs) {
  size_t n = inputs + outputs;
  ls_call *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->session = session;
  c->inputs = inputs;
  c->outputs = outputs;
  c->slots = calloc(n + 1, sizeof *c->slots);
  c->names = calloc(n + 1, sizeof *c->names);
  c->values = calloc(n + 1, sizeof *c->values);
  ignore(ls_ort.CreateRunOptions(&c->options));
  if (c->slots == NULL || c->names == NULL || c->values == NULL || c->options == NULL) {
    ls_call_release(c);
    return NULL;
  }
  return c;
}

int ls_call_name(ls_call *c, size_t slot, const char *name, ls_type type) {
  c->slots[slot].name = strdup(name);
  c->slots[slot].type = type;
  return c->slots[slot].name != NULL;
}

// refresh makes the slot's OrtValue anew if the caller moved or reshaped what it stands for.
static OrtStatus *refresh(ls_slot *slot) {
  if (!slot->dirty && slot->value != NULL) return NULL;
  release_value(&slot->value);
  OrtStatus *s =
      tensor(slot->data, slot->bytes, slot->space, slot->shape, slot->rank, slot->type, &slot->value);
  if (s == NULL) slot->dirty = 0;
  return s;
}

OrtStatus *ls_call_run(ls_call *c) {
  // Only the bound slots are passed on: an output that nobody wants is not fetched.
  size_t in = 0, out = 0;
  ignore(ls_ort.RunOptionsUnsetTerminate(c->options));
  for (size_t i = 0; i < c->inputs + c->outputs; i++) {
    ls_slot *slot = &c->slots[i];
    if (!slot->bound) continue;
    OrtStatus *s = refresh(slot);
    if (s != NULL) return s;
    c->names[in + out] = slot->name;
    c->values[in + out] = slot->value;
    if (i < c->inputs) {
      in++;
    } else {
      out++;
    }
  }
  const ls_slot *first = &c->slots[0], *result = &c->slots[c->inputs];
  double entered = ls_profile_enter();
  OrtStatus *s = ls_ort.Run(c->session, c->options, c->names, (const OrtValue *const *)c->values, in,
                            c->names + in, out, c->values + in);
  ls_profile_leave(entered, c->inputs > 0 && first->rank > 0 ? first->shape[0] : 0,
                   c->outputs > 0 && result->rank > 0 ? result->shape[result->rank - 1] : 0);
  return s;
}

void ls_call_interrupt(ls_call *c) { ignore(ls_ort.RunOptionsSetTerminate(c->options)); }

void ls_call_release(ls_call *c) {
  if (c == NULL) return;
  if (c->options != NULL) ls_ort.ReleaseRunOptions(c->options);
  if (c->slots != NULL) {
    for (size_t i = 0; i < c->inputs + c->outputs; i++) {
      release_value(&c->slots[i].value);
      free(c->slots[i].name);
    }
  }
  free(c->slots);
  free(c->names);
  free(c->values);
  free(c);
}

OrtStatus *ls_space_open(const OrtSession *session, const char *name, int device, OrtMemoryInfo **info,
                         OrtAllocator **out) {
  OrtStatus *s = ls_ort.CreateMemoryInfo(name, LS_DEVICE_ALLOCATOR, device, LS_MEM_DEFAULT, info);
  if (s != NULL) return s;
  s = ls_ort.CreateAllocator(session, *info, out);
  if (s != NULL) {
    ls_ort.ReleaseMemoryInfo(*info);
    *info = NULL;
  }
  return s;
}

void ls_space_close(OrtMemoryInfo *info, OrtAllocator *allocator) {
  if (allocator != NULL) ls_ort.ReleaseAllocator(allocator);
  if (info != NULL) ls_ort.ReleaseMemoryInfo(info);
}

OrtStatus *ls_space_alloc(OrtAllocator *allocator, size_t bytes, void **out) {
  return ls_ort.AllocatorAlloc(allocator, bytes, out);
}

void ls_space_free(OrtAllocator *allocator, void *p) {
  OrtStatus *s = ls_ort.AllocatorFree(allocator, p);
  if (s != NULL) ls_ort.ReleaseStatus(s);  // Close has no use for it: the memory is the provider's from here
}
