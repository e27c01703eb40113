package jinja

import (
	"fmt"
	"math/big"
)

// Value is what a template computes with. It holds one of
//
//	nil           None
//	bool, string  as in Python
//	int64         an int; *big.Int where it does not fit
//	float64       a float
//	Markup        a string marked safe
//	*List, *Tuple, *Dict, *Undefined
//
// and, made only by templates, ranges, generators, views, namespaces, macros
// and functions. Values are immutable once a render has started.
type Value = any

// Markup is a str that the escape and safe filters made; it prints like one.
type Markup string

// List is a Python list.
type List struct{ Items []Value }

// Tuple is a Python tuple.
type Tuple struct {
	Items  []Value
	fields []string // names of the items: groupby's grouper and list
}

// Undefined is Jinja's default Undefined: it prints as nothing, is false and
// empty, and any other use is an error.
type Undefined struct {
	hint     string
	obj      Value
	hasObj   bool
	name     Value
	security bool // using it is a SecurityError
}

func undefinedName(name string) *Undefined { return &Undefined{name: name} }

func undefinedAttr(obj, name Value) *Undefined {
	return &Undefined{obj: obj, hasObj: true, name: name}
}

func unsafeAttr(obj Value, name string) *Undefined {
	return &Undefined{
		hint:     fmt.Sprintf("access to attribute %s of '%s' object is unsafe.", quoteRepr(name), typeName(obj)),
		obj:      obj,
		hasObj:   true,
		name:     name,
		security: true,
	}
}

// fail is the error of using an undefined value.
func (u *Undefined) fail() error {
	class := "UndefinedError"
	if u.security {
		class = "SecurityError"
	}
	switch {
	case u.hint != "":
		return failf(class, "%s", u.hint)
	case !u.hasObj:
		return failf(class, "%s is undefined", shortRepr(u.name))
	}
	if name, ok := u.name.(string); ok {
		return failf(class, "%s has no attribute %s", quoteRepr(objectTypeRepr(u.obj)), quoteRepr(name))
	}
	return failf(class, "%s has no element %s", objectTypeRepr(u.obj), shortRepr(u.name))
}

// objectTypeRepr is how Jinja names a value in such an error.
func objectTypeRepr(v Value) string {
	if v == nil {
		return "None"
	}
	name := typeName(v)
	switch v.(type) {
	case *namespace:
		return "jinja2.utils.Namespace object"
	case *macro:
		return "jinja2.runtime.Macro object"
	case *loop:
		return "jinja2.runtime.LoopContext object"
	case Markup:
		return "markupsafe.Markup object"
	}
	return name + " object"
}

// typeName is the Python name of the value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case Markup:
		return "Markup"
	case *List:
		return "list"
	case *Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *Undefined:
		return "Undefined"
	case *rangeValue:
		return "range"
	case *generator:
		return v.kind
	case *dictView:
		return v.kind
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	case *function:
		return "builtin_function_or_method"
	case *cycler:
		return "Cycler"
	}
	return "object"
}

// shortRepr is a repr for error messages; containers are not spelled out.
func shortRepr(v Value) string {
	switch v := v.(type) {
	case string:
		return quoteRepr(clip(v))
	case Markup:
		return quoteRepr(clip(string(v)))
	case *List, *Tuple, *Dict:
		return "a " + typeName(v)
	}
	if s, ok := scalarStr(v); ok {
		return s
	}
	return "a " + typeName(v)
}

// clip keeps an untrusted string from filling an error message.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	r := []rune(s[:most])
	return string(r[:len(r)-1]) + "…"
}

// namespace is what namespace() makes: the one value that a template changes.
type namespace struct{ attrs *Dict }

// rangeValue is range(start, stop, step), already checked for its length.
type rangeValue struct{ start, stop, step, n int64 }

// dictView is the result of keys(), values() and items().
type dictView struct {
	kind string
	d    *Dict
}

// generator yields values one by one, and only once, as Python's do.
type generator struct {
	kind string
	next func() (v Value, ok bool, err error)
}

// function is a built-in or a bound method.
type function struct {
	name string
	call func(m *machine, a *args) (Value, error)
}

// asString gives the text of a str or Markup.
func asString(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Markup:
		return string(v), true
	}
	return "", false
}
