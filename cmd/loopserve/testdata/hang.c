// ONNX Runtime with a fault: the library that HANG_ORT names, of which a Run never returns once a file
// HANG_run is there, and a load once HANG_load is. The call that hangs takes the file away, so that the test
// knows when. faults_test.go builds it.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdlib.h>
#include <unistd.h>

static const OrtApi *real;

static void hang(const char *when) {
  if (unlink(getenv(when)) == 0)
    for (;;) pause();
}

static OrtStatus *run(OrtSession *s, const OrtRunOptions *o, const char *const *in, const OrtValue *const *v,
                      size_t n, const char *const *out, size_t m, OrtValue **w) {
  hang("HANG_run");
  return real->Run(s, o, in, v, n, out, m, w);
}

static OrtStatus *load(const OrtEnv *e, const void *data, size_t size, const OrtSessionOptions *o,
                       OrtSession **out) {
  hang("HANG_load");
  return real->CreateSessionFromArray(e, data, size, o, out);
}

static const OrtApiBase *base(void) {
  const OrtApiBase *(*door)(void);
  *(void **)&door = dlsym(dlopen(getenv("HANG_ORT"), RTLD_NOW | RTLD_LOCAL), "OrtGetApiBase");
  return door();
}

static const OrtApi *api(uint32_t version) {
  static OrtApi ours;
  real = base()->GetApi(version);
  ours = *real;
  ours.Run = run;
  ours.CreateSessionFromArray = load;
  return &ours;
}

static const char *version(void) { return base()->GetVersionString(); }

const OrtApiBase *OrtGetApiBase(void) {
  static const OrtApiBase ours = {api, version};
  return &ours;
}
