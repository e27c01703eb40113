// The few entries of ONNX Runtime's C ABI that this package calls, declared here because no header is
// vendored. OrtApi is a table of function pointers to which releases only append, so an entry is its index,
// its name and its type. abi_test.go compiles every line of this file against onnxruntime_c_api.h of the
// onnxruntime_go module: a wrong index or a wrong type is a failed test, not a crash.
//
// Upstream: https://onnxruntime.ai/docs/api/c/struct_ort_api.html
#ifndef LOOPSERVE_ORT_ABI_H
#define LOOPSERVE_ORT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The table's version that we ask the library for: the one that onnxruntime_go 1.27 asks for too, so that a
// library which suits one suits both. 24 means ONNX Runtime 1.24 or newer.
#define LS_ORT_API_VERSION 24

typedef struct OrtApiBase OrtApiBase;
typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtThreadingOptions OrtThreadingOptions;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtCustomOp OrtCustomOp;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtShapeInferContext OrtShapeInferContext;
typedef struct OrtApi OrtApi;

// C's enums of the ABI by their underlying types: unsigned where no member is negative, int where one is.
typedef unsigned ls_code;        // OrtErrorCode
typedef unsigned ls_level;       // OrtLoggingLevel
typedef unsigned ls_type;        // ONNXTensorElementDataType
typedef unsigned ls_input_kind;  // OrtCustomOpInputOutputCharacteristic
typedef int ls_allocator_type;   // OrtAllocatorType
typedef int ls_mem_type;         // OrtMemType

enum { LS_FAIL = 1, LS_INVALID_ARGUMENT = 2 };
enum { LS_TYPE_UNDEFINED = 0, LS_TYPE_FLOAT = 1, LS_TYPE_UINT8 = 2, LS_TYPE_INT32 = 6, LS_TYPE_FLOAT16 = 10 };
enum { LS_REQUIRED = 0, LS_OPTIONAL = 1 };
enum { LS_DEVICE_ALLOCATOR = 0 };
enum { LS_MEM_DEFAULT = 0 };

// X(index, return type, name, (parameters))
#define LS_ORT_ENTRIES(X)                                                                                    \
  X(0, OrtStatus *, CreateStatus, (ls_code, const char *))                                                   \
  X(1, ls_code, GetErrorCode, (const OrtStatus *))                                                           \
  X(2, const char *, GetErrorMessage, (const OrtStatus *))                                                   \
  X(7, OrtStatus *, CreateSession, (const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **)) \
  X(8, OrtStatus *, CreateSessionFromArray,                                                                  \
    (const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **))                        \
  X(9, OrtStatus *, Run,                                                                                     \
    (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t,              \
     const char *const *, size_t, OrtValue **))                                                              \
  X(26, OrtStatus *, CreateCustomOpDomain, (const char *, OrtCustomOpDomain **))                             \
  X(27, OrtStatus *, CustomOpDomain_Add, (OrtCustomOpDomain *, const OrtCustomOp *))                         \
  X(28, OrtStatus *, AddCustomOpDomain, (OrtSessionOptions *, OrtCustomOpDomain *))                          \
  X(30, OrtStatus *, SessionGetInputCount, (const OrtSession *, size_t *))                                   \
  X(31, OrtStatus *, SessionGetOutputCount, (const OrtSession *, size_t *))                                  \
  X(33, OrtStatus *, SessionGetInputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))                  \
  X(34, OrtStatus *, SessionGetOutputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))                 \
  X(36, OrtStatus *, SessionGetInputName, (const OrtSession *, size_t, OrtAllocator *, char **))             \
  X(37, OrtStatus *, SessionGetOutputName, (const OrtSession *, size_t, OrtAllocator *, char **))            \
  X(39, OrtStatus *, CreateRunOptions, (OrtRunOptions **))                                                   \
  X(46, OrtStatus *, RunOptionsSetTerminate, (OrtRunOptions *))                                              \
  X(47, OrtStatus *, RunOptionsUnsetTerminate, (OrtRunOptions *))                                            \
  X(49, OrtStatus *, CreateTensorWithDataAsOrtValue,                                                         \
    (const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, ls_type, OrtValue **))                  \
  X(51, OrtStatus *, GetTensorMutableData, (OrtValue *, void **))                                            \
  X(55, OrtStatus *, CastTypeInfoToTensorInfo, (const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **))    \
  X(60, OrtStatus *, GetTensorElementType, (const OrtTensorTypeAndShapeInfo *, ls_type *))                   \
  X(61, OrtStatus *, GetDimensionsCount, (const OrtTensorTypeAndShapeInfo *, size_t *))                      \
  X(62, OrtStatus *, GetDimensions, (const OrtTensorTypeAndShapeInfo *, int64_t *, size_t))                  \
  X(63, OrtStatus *, GetSymbolicDimensions, (const OrtTensorTypeAndShapeInfo *, const char **, size_t))      \
  X(68, OrtStatus *, CreateMemoryInfo,                                                                       \
    (const char *, ls_allocator_type, int, ls_mem_type, OrtMemoryInfo **))                                   \
  X(75, OrtStatus *, AllocatorAlloc, (OrtAllocator *, size_t, void **))                                      \
  X(76, OrtStatus *, AllocatorFree, (OrtAllocator *, void *))                                                \
  X(78, OrtStatus *, GetAllocatorWithDefaultOptions, (OrtAllocator **))                                      \
  X(85, OrtStatus *, KernelInfoGetAttribute_float, (const OrtKernelInfo *, const char *, float *))           \
  X(86, OrtStatus *, KernelInfoGetAttribute_int64, (const OrtKernelInfo *, const char *, int64_t *))         \
  X(88, OrtStatus *, KernelContext_GetInputCount, (const OrtKernelContext *, size_t *))                      \
  X(90, OrtStatus *, KernelContext_GetInput, (const OrtKernelContext *, size_t, const OrtValue **))          \
  X(91, OrtStatus *, KernelContext_GetOutput,                                                                \
    (OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **))                                      \
  X(92, void, ReleaseEnv, (OrtEnv *))                                                                        \
  X(93, void, ReleaseStatus, (OrtStatus *))                                                                  \
  X(94, void, ReleaseMemoryInfo, (OrtMemoryInfo *))                                                          \
  X(95, void, ReleaseSession, (OrtSession *))                                                                \
  X(96, void, ReleaseValue, (OrtValue *))                                                                    \
  X(97, void, ReleaseRunOptions, (OrtRunOptions *))                                                          \
  X(98, void, ReleaseTypeInfo, (OrtTypeInfo *))                                                              \
  X(101, void, ReleaseCustomOpDomain, (OrtCustomOpDomain *))                                                 \
  X(119, OrtStatus *, CreateEnvWithGlobalThreadPools,                                                        \
    (ls_level, const char *, const OrtThreadingOptions *, OrtEnv **))                                        \
  X(120, OrtStatus *, DisablePerSessionThreads, (OrtSessionOptions *))                                       \
  X(121, OrtStatus *, CreateThreadingOptions, (OrtThreadingOptions **))                                      \
  X(122, void, ReleaseThreadingOptions, (OrtThreadingOptions *))                                             \
  X(125, OrtStatus *, GetAvailableProviders, (char ***, int *))                                              \
  X(126, OrtStatus *, ReleaseAvailableProviders, (char **, int))                                             \
  X(131, OrtStatus *, CreateAllocator, (const OrtSession *, const OrtMemoryInfo *, OrtAllocator **))         \
  X(132, void, ReleaseAllocator, (OrtAllocator *))                                                           \
  X(147, OrtStatus *, SetGlobalIntraOpNumThreads, (OrtThreadingOptions *, int))                              \
  X(148, OrtStatus *, SetGlobalInterOpNumThreads, (OrtThreadingOptions *, int))                              \
  X(149, OrtStatus *, SetGlobalSpinControl, (OrtThreadingOptions *, int))                                    \
  X(232, OrtStatus *, KernelInfo_GetInputName, (const OrtKernelInfo *, size_t, char *, size_t *))            \
  X(249, OrtStatus *, KernelInfoGetConstantInput_tensor,                                                     \
    (const OrtKernelInfo *, size_t, int *, const OrtValue **))                                               \
  X(274, OrtStatus *, KernelContext_ParallelFor,                                                             \
    (const OrtKernelContext *, void (*)(void *, size_t), size_t, size_t, void *))                            \
  X(279, OrtStatus *, AddExternalInitializersFromFilesInMemory,                                              \
    (OrtSessionOptions *, const char *const *, char *const *, const size_t *, size_t))                       \
  X(293, OrtStatus *, SessionOptionsSetLoadCancellationFlag, (OrtSessionOptions *, bool))                    \
  X(414, OrtStatus *, GetTensorElementTypeAndShapeDataReference,                                             \
    (const OrtValue *, ls_type *, const int64_t **, size_t *))

// ls_api holds the entries by name; ls_library_load fills it from the library's table.
typedef struct ls_api {
#define X(index, ret, name, params) ret(*name) params;
  LS_ORT_ENTRIES(X)
#undef X
} ls_api;

// The library's door: OrtGetApiBase returns this.
typedef struct ls_api_base {
  const OrtApi *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} ls_api_base;

// OrtCustomOp, field for field: the object that describes an op to the library.
// Upstream: https://onnxruntime.ai/docs/api/c/struct_ort_custom_op.html
typedef struct ls_custom_op {
  uint32_t version;
  void *(*CreateKernel)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *);
  const char *(*GetName)(const OrtCustomOp *);
  const char *(*GetExecutionProviderType)(const OrtCustomOp *);
  ls_type (*GetInputType)(const OrtCustomOp *, size_t);
  size_t (*GetInputTypeCount)(const OrtCustomOp *);
  ls_type (*GetOutputType)(const OrtCustomOp *, size_t);
  size_t (*GetOutputTypeCount)(const OrtCustomOp *);
  void (*KernelCompute)(void *, OrtKernelContext *);
  void (*KernelDestroy)(void *);
  ls_input_kind (*GetInputCharacteristic)(const OrtCustomOp *, size_t);
  ls_input_kind (*GetOutputCharacteristic)(const OrtCustomOp *, size_t);
  ls_mem_type (*GetInputMemoryType)(const OrtCustomOp *, size_t);
  int (*GetVariadicInputMinArity)(const OrtCustomOp *);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp *);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp *);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp *);
  OrtStatus *(*CreateKernelV2)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *, void **);
  OrtStatus *(*KernelComputeV2)(void *, OrtKernelContext *);
  OrtStatus *(*InferOutputShapeFn)(const OrtCustomOp *, OrtShapeInferContext *);
  int (*GetStartVersion)(const OrtCustomOp *);
  int (*GetEndVersion)(const OrtCustomOp *);
  size_t (*GetMayInplace)(int **, int **);
  void (*ReleaseMayInplace)(int *, int *);
  size_t (*GetAliasMap)(int **, int **);
  void (*ReleaseAliasMap)(int *, int *);
} ls_custom_op;

#endif
