//go:build cgo

package ort

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"
)

// Session is a loaded graph. It may be shared; each user makes its own Call.
type Session struct {
	ptr     *C.OrtSession
	env     *Env
	path    string
	inputs  []TensorInfo
	outputs []TensorInfo
	space   *space       // the device's memory; nil on the CPU
	users   atomic.Int64 // calls and device buffers that are open
}

// Load loads a graph from disk, with its external data beside it.
func (e *Env) Load(path string, opt SessionOptions) (*Session, error) {
	return e.load(path, opt, "", func(options *C.OrtSessionOptions) (out *C.OrtSession, status *C.OrtStatus) {
		cpath := C.CString(path)
		defer C.free(unsafe.Pointer(cpath))
		status = C.ls_session_create(handle, cpath, options, truth(opt.OnCrew), &out)
		return out, status
	})
}

// truth is what C takes for a bool.
func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// externalFolder is where a graph that comes as bytes has its external data.
// Upstream: kOrtSessionOptionsModelExternalInitializersFileFolderPath of onnxruntime_session_options_config_keys.h
const externalFolder = "session.model_external_initializers_file_folder_path"

// LoadBytes loads a graph that was changed after it was read from path; its external data lie beside path. The bytes are
// no longer needed when it returns.
func (e *Env) LoadBytes(path string, model []byte, opt SessionOptions) (*Session, error) {
	if len(model) == 0 {
		return nil, fmt.Errorf("load %s: no bytes", path)
	}
	return e.load(path, opt, filepath.Dir(path), func(options *C.OrtSessionOptions) (out *C.OrtSession, status *C.OrtStatus) {
		status = C.ls_session_create_from(handle, unsafe.Pointer(unsafe.SliceData(model)), C.size_t(len(model)), options, truth(opt.OnCrew), &out)
		return out, status
	})
}

// load makes a session with create. folder is where external data are, where create cannot know it.
func (e *Env) load(path string, opt SessionOptions, folder string,
	create func(*C.OrtSessionOptions) (*C.OrtSession, *C.OrtStatus),
) (s *Session, err error) {
	if e.closed {
		return nil, fmt.Errorf("load %s: the environment is closed", path)
	}
	o, err := e.options(opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	if folder != "" {
		if err := o.AddSessionConfigEntry(externalFolder, folder); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, externalFolder, err)
		}
	}
	session, status := create(optionsPointer(o))
	if err := failed("load "+path, status); err != nil {
		return nil, err
	}
	s = &Session{env: e, path: path, ptr: session}
	sessions.Add(1)
	trace.opened(s, "session "+path)
	if s.inputs, err = s.describe(0); err == nil {
		s.outputs, err = s.describe(1)
	}
	if err == nil && e.provider == ProviderCUDA {
		s.space, err = openSpace(s, "Cuda", e.opt.DeviceID)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (e *Env) options(opt SessionOptions) (*binding.SessionOptions, error) {
	o, err := binding.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	var level binding.GraphOptimizationLevel = binding.GraphOptimizationLevelEnableAll
	if opt.NoOptimize {
		level = binding.GraphOptimizationLevelDisableAll
	}
	err = o.SetGraphOptimizationLevel(level)
	if err == nil {
		err = o.SetMemPattern(false) // the pattern is of one shape, and ours change from call to call
	}
	ops := C.int(1)
	if err == nil && e.provider == ProviderCUDA {
		err, ops = e.appendCUDA(o), 0
	}
	if err == nil {
		var own C.int
		switch {
		case opt.OnCrew:
			own, err = 1, o.SetIntraOpNumThreads(1)
		case opt.ownPool:
			own, err = 1, o.SetIntraOpNumThreads(e.opt.Threads)
		}
		err = errors.Join(err, failed("prepare session options", C.ls_options_prepare(optionsPointer(o), ops, own)))
	}
	if err != nil {
		o.Destroy() //nolint:errcheck // the first error is the one to tell
		return nil, err
	}
	return o, nil
}

// optionsPointer is the OrtSessionOptions* inside the binding's struct, which holds that pointer and nothing else:
// abi_test.go fails when that changes.
func optionsPointer(o *binding.SessionOptions) *C.OrtSessionOptions {
	return *(**C.OrtSessionOptions)(unsafe.Pointer(o))
}

func (s *Session) describe(output C.int) ([]TensorInfo, error) {
	var n C.size_t
	if err := failed("count of "+s.path, C.ls_session_count(s.ptr, output, &n)); err != nil {
		return nil, err
	}
	out := make([]TensorInfo, n)
	for i := range out {
		var info C.ls_slot_info
		err := failed("describe "+s.path, C.ls_session_slot(s.ptr, output, C.size_t(i), &info))
		if err == nil && (info._type == 0 || info.rank > C.LS_MAX_RANK) {
			err = fmt.Errorf("%s: %q is not a tensor of rank %d or less", s.path, C.GoString(info.name), int(C.LS_MAX_RANK))
		}
		if err == nil {
			out[i] = TensorInfo{Name: C.GoString(info.name), Type: ElementType(info._type)}
			for d := range int(info.rank) {
				out[i].Dims = append(out[i].Dims, int64(info.dims[d]))
			}
		}
		C.ls_slot_info_release(&info)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Inputs describes the inputs, in order.
func (s *Session) Inputs() []TensorInfo { return s.inputs }

// Input is the place of the input of that name, or −1.
func (s *Session) Input(name string) int { return find(s.inputs, name) }

// Output is the place of the output of that name, or −1.
func (s *Session) Output(name string) int { return find(s.outputs, name) }

func find(infos []TensorInfo, name string) int {
	for i := range infos {
		if infos[i].Name == name {
			return i
		}
	}
	return -1
}

// Close releases the graph. Its calls and device buffers must be closed before: while one is open this is an error, and
// the session stays as it is.
func (s *Session) Close() error {
	if s == nil || s.ptr == nil {
		return nil
	}
	if n := s.users.Load(); n > 0 {
		return fmt.Errorf("close %s: %d calls or device buffers are still open", s.path, n)
	}
	s.space.close()
	C.ls_session_release(s.ptr)
	s.ptr = nil
	sessions.Add(-1)
	trace.closed(s)
	return nil
}
