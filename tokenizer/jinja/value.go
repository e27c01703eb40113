package jinja

import "strings"

// Value is what a template computes with. It holds one of
//
//	nil                None
//	bool, string       as in Python
//	int64, float64     as in Python
//	bigInt             an integer past 64 bits
//	safeText           a string that the safe filter marked
//	*List, *Dict       their items are Values
//	*Undefined
//
// and, made only by templates, namespaces, macros, loops and functions. Values are immutable once a render has started.
type Value = any

// bigInt is an integer past 64 bits, in decimal. It prints as it came; nothing computes with it.
type bigInt string

// safeText prints as a string does; adding a string to it escapes the string.
type safeText string

// kind says which of Python's sequences a List is.
type kind uint8

const (
	list kind = iota
	tuple
	keysView
	valuesView
	itemsView
	generator // is true even if empty, and gives its items once
	ranged
)

var kindNames = [...]string{"list", "tuple", "dict_keys", "dict_values", "dict_items", "generator", "range"}

// List is a Python list, or one of the other sequences of kind.
type List struct {
	Items []Value
	kind  kind
}

func isKind(v Value, k kind) bool {
	l, ok := v.(*List)
	return ok && l.kind == k
}

// Undefined is Jinja's default Undefined: it prints as nothing, is false and empty, and any other use is an error.
type Undefined struct{ err func() *Error }

// because makes an undefined value whose use is an error with this message.
func because(format string, a ...any) *Undefined {
	return &Undefined{err: func() *Error { return errorf("UndefinedError", format, a...) }}
}

// missing is the attribute or element that x has not.
func missing(x, key Value) *Undefined {
	return &Undefined{err: func() *Error {
		if name, ok := key.(string); ok {
			return errorf("UndefinedError", "%s has no attribute %s", quoteRepr(objectName(x)), quoteRepr(clip(name)))
		}
		return errorf("UndefinedError", "%s has no element %s", objectName(x), shortRepr(key))
	}}
}

// unsafeAttr is an attribute that the sandbox keeps.
func unsafeAttr(x Value, name string) *Undefined {
	return &Undefined{err: func() *Error {
		return errorf("SecurityError", "access to attribute %s of '%s' object is unsafe.", quoteRepr(name), typeName(x))
	}}
}

// defined panics if any of the values is undefined.
func defined(vals ...Value) {
	for _, v := range vals {
		if u, ok := v.(*Undefined); ok {
			panic(u.err())
		}
	}
}

// objectName is how Jinja names a value in such an error.
func objectName(v Value) string {
	name := typeName(v)
	if special := objectNames[name]; special != "" {
		return special
	}
	return name + " object"
}

var objectNames = map[string]string{
	"NoneType":    "None",
	"Markup":      "markupsafe.Markup object",
	"Namespace":   "jinja2.utils.Namespace object",
	"Macro":       "jinja2.runtime.Macro object",
	"LoopContext": "jinja2.runtime.LoopContext object",
}

// typeName is the Python name of the value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, bigInt:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case safeText:
		return "Markup"
	case *List:
		return kindNames[v.kind]
	case *Dict:
		return "dict"
	case *Undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return "builtin_function_or_method"
}

// shortRepr is a repr for error messages; containers are not spelled out.
func shortRepr(v Value) string {
	if s, ok := asString(v); ok {
		v = clip(s)
	}
	if s, ok := pythonStyle.scalar(v); ok {
		return s
	}
	return "a " + typeName(v)
}

// asString gives the text of a str, marked safe or not.
func asString(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case safeText:
		return string(v), true
	}
	return "", false
}

// like gives s the type of the str that it was made from.
func like(v Value, s string) Value {
	if _, ok := v.(safeText); ok {
		return safeText(s)
	}
	return s
}

// truth is Python's bool(v).
func truth(v Value) bool {
	if s, ok := asString(v); ok {
		return s != ""
	}
	switch v := v.(type) {
	case nil, *Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *List:
		return len(v.Items) > 0 || v.kind == generator
	case *Dict:
		return v.Len() > 0
	}
	return true
}

// words is a set of the words of a text.
func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// namespace is what namespace() makes: the one value that a template changes.
type namespace struct{ attrs *Dict }
