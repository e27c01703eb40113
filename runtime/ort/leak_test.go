package ort

import "fmt"

// recorder stands for a test that CheckLeaks may fail.
type recorder struct {
	cleanups []func()
	said     []string
}

func (*recorder) Helper() {}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}
