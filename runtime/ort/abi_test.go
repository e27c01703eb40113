//go:build cgo

package ort

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	binding "github.com/yalue/onnxruntime_go"
)

// bindingFolder is where the go command keeps the binding's sources, ONNX Runtime's headers among them.
func bindingFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatalf("where is onnxruntime_go: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Every entry of abi.h against the real header: the compiler is the judge. An index is compared with offsetof, a type
// by an assignment that -Werror refuses where the two differ.
func TestABIEqualsTheHeader(t *testing.T) {
	var c strings.Builder
	c.WriteString(`#include <onnxruntime_c_api.h>
#include "abi.h"
static void entries(const OrtApi *api, ls_api *ours) {
#define X(index, ret, name, params) \
  _Static_assert(offsetof(OrtApi, name) == (index) * sizeof(void *), "index of " #name); \
  ours->name = api->name;
  LS_ORT_ENTRIES(X)
#undef X
}
static void base(const OrtApiBase *theirs, ls_api_base *ours) {
  _Static_assert(sizeof(ls_api_base) <= sizeof(OrtApiBase), "OrtApiBase");
  ours->GetApi = theirs->GetApi;
  ours->GetVersionString = theirs->GetVersionString;
}
_Static_assert(LS_ORT_API_VERSION <= ORT_API_VERSION, "the header is of an older table than abi.h asks for");
_Static_assert((int)LS_FAIL == (int)ORT_FAIL && (int)LS_INVALID_ARGUMENT == (int)ORT_INVALID_ARGUMENT, "codes");
_Static_assert((int)LS_TYPE_FLOAT == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "float");
_Static_assert((int)LS_TYPE_INT32 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, "int32");
_Static_assert((int)LS_TYPE_UINT8 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, "uint8");
_Static_assert((int)LS_TYPE_FLOAT16 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, "float16");
_Static_assert((int)LS_TYPE_UNDEFINED == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, "undefined");
_Static_assert((int)LS_REQUIRED == (int)INPUT_OUTPUT_REQUIRED && (int)LS_OPTIONAL == (int)INPUT_OUTPUT_OPTIONAL, "kinds");
_Static_assert((int)LS_DEVICE_ALLOCATOR == (int)OrtDeviceAllocator && (int)LS_MEM_DEFAULT == (int)OrtMemTypeDefault, "memory");
_Static_assert(sizeof(ls_custom_op) == sizeof(struct OrtCustomOp), "size of OrtCustomOp");
static void op(const struct OrtCustomOp *theirs, ls_custom_op *ours) {
`)
	for _, field := range customOpFields(t) {
		fmt.Fprintf(&c, "  _Static_assert(offsetof(struct OrtCustomOp, %[1]s) == offsetof(ls_custom_op, %[1]s), \"place of %[1]s\");\n  ours->%[1]s = theirs->%[1]s;\n", field)
	}
	codes := []struct {
		code Code
		name string
	}{
		{Fail, "FAIL"},
		{InvalidArgument, "INVALID_ARGUMENT"},
		{NoSuchFile, "NO_SUCHFILE"},
		{NoModel, "NO_MODEL"},
		{EngineError, "ENGINE_ERROR"},
		{RuntimeException, "RUNTIME_EXCEPTION"},
		{InvalidProtobuf, "INVALID_PROTOBUF"},
		{ModelLoaded, "MODEL_LOADED"},
		{NotImplemented, "NOT_IMPLEMENTED"},
		{InvalidGraph, "INVALID_GRAPH"},
		{EPFail, "EP_FAIL"},
		{ModelLoadCanceled, "MODEL_LOAD_CANCELED"},
		{ModelRequiresCompilation, "MODEL_REQUIRES_COMPILATION"},
		{NotFound, "NOT_FOUND"},
	}
	c.WriteString("}\n")
	for _, v := range codes {
		fmt.Fprintf(&c, "_Static_assert(ORT_%s == %d, \"code\");\n", v.name, uint32(v.code))
	}
	if len(codes) != len(codeNames) {
		t.Errorf("%d codes are checked, %d have a name", len(codes), len(codeNames))
	}
	for name, v := range map[string]ElementType{"FLOAT": Float32, "UINT8": Uint8, "INT32": Int32, "INT64": Int64, "FLOAT16": Float16, "BFLOAT16": BFloat16} {
		fmt.Fprintf(&c, "_Static_assert(ONNX_TENSOR_ELEMENT_DATA_TYPE_%s == %d, \"type\");\n", name, uint32(v))
	}
	c.WriteString("void *used[] = {(void *)entries, (void *)base, (void *)op};\n")
	if out, err := compile(t, c.String()); err != nil {
		t.Fatalf("abi.h is not onnxruntime_c_api.h of %s:\n%s", bindingFolder(t), out)
	}
}

// The check above must be able to fail: a swapped index and a wrong type are found.
func TestABICheckFindsMistakes(t *testing.T) {
	for name, entry := range map[string]string{
		"index": "X(10, OrtStatus *, Run, (OrtSession *))",
		"type":  "X(93, void, ReleaseStatus, (OrtEnv *))",
	} {
		out, err := compile(t, `#include <onnxruntime_c_api.h>
void check(const OrtApi *api) {
#define X(index, ret, name, params) _Static_assert(offsetof(OrtApi, name) == (index) * sizeof(void *), "index"); { ret(*p) params = api->name; (void)p; }
`+entry+"\n}\n")
		if err == nil {
			t.Errorf("a wrong %s compiles: %s", name, out)
		}
	}
}

func compile(t *testing.T, source string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "abi.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cc, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	args := append(strings.Fields(string(cc)), "-std=gnu11", "-fsyntax-only", "-Werror=incompatible-pointer-types",
		"-Werror=discarded-qualifiers", "-I", bindingFolder(t), "-I", ".", file)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	return string(out), err
}

// customOpFields are the names in ls_custom_op, from abi.h itself.
func customOpFields(t *testing.T) (fields []string) {
	t.Helper()
	text, err := os.ReadFile("abi.h")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "typedef struct ls_custom_op {")
	body, _, found := strings.Cut(body, "} ls_custom_op;")
	for _, m := range regexp.MustCompile(`(?m)^  (?:uint32_t (\w+);|.*\(\*(\w+)\)\()`).FindAllStringSubmatch(body, -1) {
		fields = append(fields, m[1]+m[2])
	}
	if !found || len(fields) != strings.Count(body, ";") {
		t.Fatalf("%d fields read of ls_custom_op, it has %d", len(fields), strings.Count(body, ";"))
	}
	return fields
}

// optionsPointer reads the pointer out of the binding's struct, so the struct must be that pointer.
func TestBindingSessionOptionsIsOnePointer(t *testing.T) {
	s := reflect.TypeFor[binding.SessionOptions]()
	if s.NumField() != 1 || s.Field(0).Offset != 0 || s.Field(0).Type.Kind() != reflect.Pointer || !strings.Contains(s.Field(0).Type.String(), "OrtSessionOptions") {
		t.Fatalf("onnxruntime_go's SessionOptions is %+v: optionsPointer must follow it", s)
	}
}

// The library that is pinned must know the table's version that the shim and the binding ask for.
func TestLibraryKnowsTheTable(t *testing.T) {
	e := open(t)
	if e.Version() != Pinned().Version && os.Getenv(LibraryEnv) == "" {
		t.Errorf("version %s is loaded, %s is pinned", e.Version(), Pinned().Version)
	}
	header, err := os.ReadFile(filepath.Join(bindingFolder(t), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	var version int
	if m := regexp.MustCompile(`#define ORT_API_VERSION (\d+)`).FindSubmatch(header); m != nil {
		version, _ = strconv.Atoi(string(m[1])) // 0 fails below
	}
	var major, minor int
	if _, err := fmt.Sscanf(e.Version(), "%d.%d", &major, &minor); err != nil || version == 0 || (major == 1 && minor < version) {
		t.Errorf("the binding asks for table %d, the library is %s", version, e.Version())
	}
}
