package jinja

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Error is a failure that Jinja itself would report, or a construct that this package refuses (UnsupportedError). Class
// is the name of the Python exception that the reference raises, so that messages can be compared.
type Error struct {
	Class string // TemplateSyntaxError, UndefinedError, TemplateError, SecurityError, UnsupportedError, TypeError, …
	Msg   string
	Line  int // template line, 0 if unknown
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %s", place(e.Line), e.Class, e.Msg) }

func place(line int) string {
	if line > 0 {
		return fmt.Sprintf("template line %d", line)
	}
	return "template"
}

// Raised reports whether err comes from the template's own raise_exception, and with which text: a wrong conversation
// (roles that do not alternate) is the client's mistake, any other error is the template's.
func Raised(err error) (string, bool) {
	if e, ok := errors.AsType[*Error](err); ok && e.Class == "TemplateError" {
		return e.Msg, true
	}
	return "", false
}

// LimitError says that a template exceeded one of its Limits.
type LimitError struct {
	What  string // the Limits field, in lower case
	Limit int64
	Line  int // template line, 0 if unknown
}

func (e *LimitError) Error() string {
	const advice = "simplify the template or raise the limit"
	return fmt.Sprintf("%s exceeded its limit of %s (%d): %s", place(e.Line), e.What, e.Limit, advice)
}

// stopped carries the error of a context that ended.
type stopped struct{ cause error }

// Inside the package an error travels as a panic, from wherever it is found to Parse or Render, which alone recover it.

func errorf(class, format string, a ...any) *Error {
	return &Error{Class: class, Msg: fmt.Sprintf(format, a...)}
}

// unsupported refuses by name what Jinja has and this package has not.
func unsupported(format string, a ...any) *Error {
	return errorf("UnsupportedError", format+" is not supported in chat templates", a...)
}

// require panics with an error of the class where a condition does not hold.
func require(holds bool, class, format string, a ...any) {
	if !holds {
		panic(errorf(class, format, a...))
	}
}

// refuseIf panics where something is that this package has not.
func refuseIf(is bool, format string, a ...any) {
	if is {
		panic(unsupported(format, a...))
	}
}

// limit panics where a limit is exceeded.
func limit(exceeded bool, what string, most int64) {
	if exceeded {
		panic(&LimitError{What: what, Limit: most})
	}
}

// recovered is deferred by Parse and Render: it makes a panic of this package their error, at the line where they were.
// Any other panic goes on.
func recovered(err *error, line *int) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		e.Line = cmp.Or(e.Line, *line)
		*err = e
	case *LimitError:
		e.Line = cmp.Or(e.Line, *line)
		*err = e
	case stopped:
		*err = e.cause
	default:
		panic(e)
	}
}

// clip keeps an untrusted string from filling an error message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
