package jinja

import (
	"errors"
	"fmt"
)

// Error is a failure that Jinja itself would report. Class is the name of the
// Python exception that the reference raises, so that messages can be compared.
type Error struct {
	Class string // TemplateSyntaxError, UndefinedError, TemplateError, SecurityError, TypeError, …
	Msg   string
	Line  int // template line, 0 if unknown
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("template line %d: %s: %s", e.Line, e.Class, e.Msg)
	}
	return fmt.Sprintf("template: %s: %s", e.Class, e.Msg)
}

// Raised reports whether err comes from the template's own raise_exception,
// and with which text: a wrong conversation (roles that do not alternate) is
// the client's mistake, any other error is the template's.
func Raised(err error) (string, bool) {
	var e *Error
	if errors.As(err, &e) && e.Class == "TemplateError" {
		return e.Msg, true
	}
	return "", false
}

func failf(class, format string, a ...any) error {
	return &Error{Class: class, Msg: fmt.Sprintf(format, a...)}
}

func typeErr(format string, a ...any) error  { return failf("TypeError", format, a...) }
func valueErr(format string, a ...any) error { return failf("ValueError", format, a...) }

// unsupported refuses by name what Jinja has and this subset has not.
func unsupported(format string, a ...any) error {
	return failf("UnsupportedError", format+" (outside the subset for chat templates)", a...)
}

// atLine adds the template line to an error that has none yet.
func atLine(err error, line int) error {
	var e *Error
	if errors.As(err, &e) {
		if e.Line == 0 {
			e.Line = line
		}
		return err
	}
	var l *LimitError
	if errors.As(err, &l) && l.Line == 0 {
		l.Line = line
	}
	return err
}
