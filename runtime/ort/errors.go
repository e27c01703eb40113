package ort

import (
	"errors"
	"fmt"
)

// ErrNoCgo says that the binary was built with CGO_ENABLED=0 and can run no model.
var ErrNoCgo = errors.New("built without cgo: ONNX Runtime is not available (build with CGO_ENABLED=1 and a C compiler)")

// ErrLibrary says that ONNX Runtime's shared library is missing, damaged or of another version. The message says what
// to do.
var ErrLibrary = errors.New("no usable ONNX Runtime library")

// ErrProvider says that the requested execution provider is not available on this machine.
var ErrProvider = errors.New("execution provider not available")

// Code is ONNX Runtime's OrtErrorCode. A Code is an error, so that errors.Is(err, ort.InvalidArgument) works.
type Code uint32

// The codes, in the order of OrtErrorCode.
const (
	Fail                     Code = 1
	InvalidArgument          Code = 2
	NoSuchFile               Code = 3
	NoModel                  Code = 4
	EngineError              Code = 5
	RuntimeException         Code = 6
	InvalidProtobuf          Code = 7
	ModelLoaded              Code = 8
	NotImplemented           Code = 9
	InvalidGraph             Code = 10
	EPFail                   Code = 11
	ModelLoadCanceled        Code = 12
	ModelRequiresCompilation Code = 13
	NotFound                 Code = 14
)

var codeNames = map[Code]string{
	Fail: "fail", InvalidArgument: "invalid argument", NoSuchFile: "no such file", NoModel: "no model",
	EngineError: "engine error", RuntimeException: "runtime exception", InvalidProtobuf: "invalid protobuf",
	ModelLoaded: "model loaded", NotImplemented: "not implemented", InvalidGraph: "invalid graph", EPFail: "provider failed",
	ModelLoadCanceled: "model load canceled", ModelRequiresCompilation: "model requires compilation", NotFound: "not found",
}

// Error names the code.
func (c Code) Error() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Error is a failed call of ONNX Runtime.
type Error struct {
	Op      string // what was being done
	Code    Code
	Message string // the library's own words
}

// Error gives all three.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: ONNX Runtime: %s: %s", e.Op, e.Code, e.Message)
}

// Unwrap makes errors.Is see the code.
func (e *Error) Unwrap() error { return e.Code }
