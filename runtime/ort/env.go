//go:build cgo

package ort

/*
#include <stdlib.h>
#include "customop.h"
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"
)

// Env is the process's environment. All Opens share one; it ends with the last Close.
type Env struct {
	opt      Options
	version  string
	provider string
	closed   bool
}

// The environment is a singleton of the library, so its state is the process's.
var (
	mu      sync.Mutex
	handle  *C.OrtEnv
	holders int
	// sessions that are open: the library crashes when its environment goes before them.
	sessions atomic.Int64
	loaded   string // path of the library, once one is loaded: it stays for the life of the process
	version  string
)

// Open loads the library, makes the environment with one thread pool, and checks the provider. While an environment is
// open, another Open shares its pool. Errors: ErrLibrary, ErrProvider, *Error.
func Open(opt Options) (*Env, error) {
	if opt.Threads <= 0 {
		opt.Threads = runtime.NumCPU()
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	mu.Lock()
	defer mu.Unlock()
	if holders == 0 {
		if err := start(opt); err != nil {
			return nil, err
		}
	}
	holders++
	e := &Env{opt: opt, version: version}
	if err := e.choose(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	trace.opened(e, "environment")
	return e, nil
}

func start(opt Options) error {
	path, err := findLibrary(opt.Library)
	if err != nil {
		return err
	}
	if loaded != "" && loaded != path {
		return fmt.Errorf("%w: this process has loaded %s and cannot load %s beside it: restart with one library", ErrLibrary, loaded, path)
	}
	if loaded == "" {
		if version, err = load(path); err != nil {
			return err
		}
		loaded = path
	}
	const fatal = 4 // ORT_LOGGING_LEVEL_FATAL: what is logged below that, every call gives back as a status too
	if err := failed("create environment", C.ls_env_create(fatal, C.int(opt.Threads), truth(opt.Spin), &handle)); err != nil {
		return err
	}
	C.ls_custom_ops_threads(C.size_t(opt.Threads))
	// The binding's CreateEnv now returns this same environment: its own options no longer count.
	binding.SetSharedLibraryPath(path)
	if err := binding.InitializeEnvironment(); err != nil {
		C.ls_env_release(handle)
		handle = nil
		return fmt.Errorf("initialize the binding: %w", err)
	}
	return nil
}

func load(path string) (string, error) {
	if err := checkELF(path); err != nil {
		return "", fmt.Errorf("%w: %s is not a shared library, or is damaged: %w: run `make ort`, or set LOOPSERVE_ORT_LIB to an intact libonnxruntime.so",
			ErrLibrary, path, err)
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	message := (*C.char)(C.calloc(1, 1024))
	defer C.free(unsafe.Pointer(message))
	var v *C.char
	switch C.ls_library_load(cpath, &v, message, 1024) {
	case 0:
		return C.GoString(v), nil
	case 3:
		return "", fmt.Errorf("%w: %s is version %s, but version 1.%d or newer is required: run `make ort`, or set LOOPSERVE_ORT_LIB to a newer libonnxruntime.so",
			ErrLibrary, path, C.GoString(v), int(C.LS_ORT_API_VERSION))
	}
	return "", fmt.Errorf("%w: %s: %s: run `make ort`, or set LOOPSERVE_ORT_LIB to a libonnxruntime.so", ErrLibrary, path, C.GoString(message))
}

// choose settles the provider.
func (e *Env) choose() error {
	switch e.opt.Provider {
	case "", ProviderCPU:
		e.provider = ProviderCPU
		return nil
	case ProviderCUDA, ProviderAuto:
	default:
		return fmt.Errorf("%w: provider %q: must be cpu, cuda or auto", ErrProvider, e.opt.Provider)
	}
	err := e.tryCUDA()
	if err == nil {
		e.provider = ProviderCUDA
		return nil
	}
	if e.opt.Provider == ProviderAuto {
		e.opt.Logger.Warn("provider auto: serving on the CPU", "reason", err)
		e.provider = ProviderCPU
		return nil
	}
	return err
}

// tryCUDA makes a session with the CUDA provider, of a small graph: that needs all of its libraries and a device.
func (e *Env) tryCUDA() error {
	name := C.CString("CUDAExecutionProvider")
	defer C.free(unsafe.Pointer(name))
	var found C.int
	if err := failed("list providers", C.ls_has_provider(name, &found)); err != nil {
		return err
	}
	const remedy = "unpack libonnxruntime.so and libonnxruntime_providers_cuda.so of the onnxruntime-gpu wheel, " +
		"install CUDA 12 and cuDNN 9, and set LOOPSERVE_ORT_LIB; or choose provider: cpu"
	if found == 0 {
		return fmt.Errorf("%w: %s (ONNX Runtime %s) is built without CUDA: %s", ErrProvider, loaded, e.version, remedy)
	}
	o, err := binding.NewSessionOptions()
	if err != nil {
		return err
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	// The append loads the provider's libraries; only a session opens the device.
	err = e.appendCUDA(o)
	if err == nil {
		err = failed("prepare session options", C.ls_options_prepare(optionsPointer(o), 0, 0))
	}
	if err == nil {
		model := C.CBytes(movingGraph)
		defer C.free(model)
		var probe *C.OrtSession
		if err = failed("open the device", C.ls_session_create(handle, model, C.size_t(len(movingGraph)), optionsPointer(o), 0, &probe)); err == nil {
			C.ls_session_release(probe)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: CUDA: %w: %s", ErrProvider, err, remedy)
	}
	return nil
}

func (e *Env) appendCUDA(o *binding.SessionOptions) error {
	cuda, err := binding.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy() //nolint:errcheck // fails only where the options were never made
	if err := cuda.Update(map[string]string{"device_id": strconv.Itoa(e.opt.DeviceID)}); err != nil {
		return err
	}
	return o.AppendExecutionProviderCUDA(cuda)
}

// Version is the library's.
func (e *Env) Version() string { return e.version }

// Provider is the one that sessions run on: cpu or cuda.
func (e *Env) Provider() string { return e.provider }

// Threads is the size of the pool.
func (e *Env) Threads() int { return e.opt.Threads }

// Close ends the environment with its last holder. Sessions must be closed before: while one is open this is an error,
// and the environment stays as it is.
func (e *Env) Close() error {
	if e == nil {
		return nil
	}
	mu.Lock()
	defer mu.Unlock()
	return e.close()
}

func (e *Env) close() error {
	if e.closed {
		return nil
	}
	if n := sessions.Load(); n > 0 && holders == 1 {
		return fmt.Errorf("close ONNX Runtime: %d sessions are still open", n)
	}
	e.closed = true
	trace.closed(e)
	if holders--; holders > 0 {
		return nil
	}
	// The binding's reference goes first; it also closes its own handle of the library, ours keeps it mapped.
	err := binding.DestroyEnvironment()
	C.ls_env_release(handle)
	handle = nil
	return err
}

// failed takes a status apart and releases it.
func failed(op string, s *C.OrtStatus) error {
	if s == nil {
		return nil
	}
	err := &Error{Op: op, Code: Code(C.ls_status_code(s)), Message: C.GoString(C.ls_status_message(s))}
	C.ls_status_release(s)
	return err
}

// liveValues counts the OrtValues that calls and copies hold.
func liveValues() int64 { return int64(C.ls_live_values()) }
