//go:build cgo

package ort

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
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

// truth is what C takes for a bool.
func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// Keys of session options.
// Upstream: onnxruntime_session_options_config_keys.h
const (
	filesDirectly = "session.use_external_initializer_file_buffers_directly" // tensors stay in the buffers of Files
	without       = "optimization.disable_specified_optimizers"
)

// LoadBytes loads a graph; name stands in errors. The bytes are no longer needed when it returns, those of opt.Files are.
func (e *Env) LoadBytes(name string, model []byte, opt SessionOptions) (s *Session, err error) {
	switch {
	case e.closed:
		return nil, fmt.Errorf("load %s: the environment is closed", name)
	case len(model) == 0:
		return nil, fmt.Errorf("load %s: no bytes", name)
	}
	o, err := e.options(opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	fired := make(chan struct{})
	late := time.AfterFunc(cmp.Or(e.opt.LoadTimeout, time.Hour), func() {
		C.ls_options_cancel(optionsPointer(o))
		close(fired)
	})
	var session *C.OrtSession
	status := C.ls_session_create(handle, unsafe.Pointer(unsafe.SliceData(model)), C.size_t(len(model)), optionsPointer(o), truth(opt.OnCrew), &session)
	if !late.Stop() {
		<-fired // it must not come after the options
	}
	if err := failed("load "+name, status); err != nil {
		return nil, err
	}
	s = &Session{env: e, path: name, ptr: session}
	sessions.Add(1)
	trace.opened(s, "session "+name)
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
	if err == nil {
		// A load computes nothing that a graph asks for: nobody would bound it.
		err = errors.Join(o.AddSessionConfigEntry(filesDirectly, "1"), o.AddSessionConfigEntry(without, "ConstantFolding"))
	}
	for name, b := range opt.Files {
		cname := C.CString(name)
		err = errors.Join(err, failed("read "+name, C.ls_options_file(optionsPointer(o), cname, b.ptr, C.size_t(b.size))))
		C.free(unsafe.Pointer(cname))
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
