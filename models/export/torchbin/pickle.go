package torchbin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrFormat says that a file is not the plain dictionary of tensors that is read here.
var ErrFormat = errors.New("bad PyTorch file")

// What the unpickler's stack holds beside nil, bool, int64, float64 and string.
type (
	mark   struct{}
	tuple  []any
	list   struct{}               // what is put into one is not kept: no tensor is inside
	dict   struct{ pairs []pair } // in the order of insertion
	global string                 // "module name"
	stored struct {               // a persistent id: a storage of the archive
		kind  string // FloatStorage, …
		key   string
		count int64
	}
	tensor struct {
		stored        stored
		offset        int64
		shape, stride []int64
	}
	pair struct {
		key   string
		value any
	}
)

// unpickler runs a pickle. Each instruction pushes at most one value and the program is bounded, so memory is too;
// nothing recurses.
type unpickler struct {
	program []byte
	at      int
	stack   []any
	memo    map[uint64]any
}

func unpickle(program []byte) (*dict, error) {
	u := &unpickler{program: program, memo: map[uint64]any{}}
	for {
		if u.at >= len(u.program) {
			return nil, fmt.Errorf("%w: the pickle ends before its STOP instruction (truncated?)", ErrFormat)
		}
		at, op := u.at, u.program[u.at]
		u.at++
		if op == '.' {
			d, ok := u.top().(*dict)
			if !ok {
				return nil, fmt.Errorf("%w: it does not hold a dictionary of tensors", ErrFormat)
			}
			return d, nil
		}
		if err := u.step(op); err != nil {
			return nil, fmt.Errorf("%w: pickle byte %d: %w", ErrFormat, at, err)
		}
	}
}

func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := u.take(1)
		return err
	case 0x95: // FRAME
		_, err := u.take(8)
		return err
	case '(':
		u.push(mark{})
	case '}':
		u.push(&dict{})
	case ']':
		u.push(list{})
	case ')':
		u.push(tuple{})
	case 'N':
		u.push(nil)
	case 0x88, 0x89:
		u.push(op == 0x88)
	case 'K', 'M': // BININT1, BININT2
		v, err := u.number(width[op])
		u.push(int64(v))
		return err
	case 'J': // BININT
		v, err := u.number(4)
		u.push(int64(int32(v)))
		return err
	case 0x8a: // LONG1
		return u.long()
	case 'G':
		b, err := u.take(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 0x8c: // BINUNICODE, SHORT_BINUNICODE
		n, err := u.number(width[op])
		if err != nil {
			return err
		}
		b, err := u.take(int(n))
		u.push(string(b))
		return err
	case 'c', 0x93:
		return u.name(op)
	case 0x94: // MEMOIZE
		u.memo[uint64(len(u.memo))] = u.top()
	case 'q', 'r': // BINPUT, LONG_BINPUT
		at, err := u.number(width[op])
		u.memo[at] = u.top()
		return err
	case 'h', 'j': // BINGET, LONG_BINGET
		at, err := u.number(width[op])
		v, ok := u.memo[at]
		if err == nil && !ok {
			return fmt.Errorf("memo %d was never set", at)
		}
		u.push(v)
		return err
	case 't', 0x85, 0x86, 0x87: // TUPLE, TUPLE1 … TUPLE3
		items, err := u.popped(op)
		u.push(tuple(items))
		return err
	case 's', 'u', 'a', 'e': // SETITEM, SETITEMS, APPEND, APPENDS
		items, err := u.popped(op)
		if err != nil {
			return err
		}
		return u.fill(op, items)
	case 'Q':
		return u.persistent()
	case 'R':
		return u.reduce()
	case 'b': // BUILD: attributes of a dictionary, such as _metadata; they hold no weights
		if _, err := u.pop(1); err != nil {
			return err
		}
		if _, ok := u.top().(*dict); !ok {
			return errors.New("state is set on something that is not a dictionary")
		}
	default:
		return fmt.Errorf("unsupported instruction %#02x: tensors are not written with it", op)
	}
	return nil
}

// width is how many bytes an instruction's number has: a value, a length, or a place in the memo.
var width = map[byte]int{'K': 1, 'M': 2, 'X': 4, 0x8c: 1, 'q': 1, 'r': 4, 'h': 1, 'j': 4}

// takes is how many values an instruction takes from the stack; the others take all above the last mark.
var takes = map[byte]int{0x85: 1, 0x86: 2, 0x87: 3, 's': 2, 'a': 1}

func (u *unpickler) popped(op byte) ([]any, error) {
	if n, ok := takes[op]; ok {
		return u.pop(n)
	}
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			items, err := u.pop(len(u.stack) - i)
			return items[1:], err
		}
	}
	return nil, errors.New("no mark on the stack")
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pop(n int) ([]any, error) {
	from := len(u.stack) - n
	if from < 0 {
		return nil, errors.New("the stack is empty")
	}
	items := slices.Clone(u.stack[from:])
	u.stack = u.stack[:from]
	return items, nil
}

func (u *unpickler) top() any {
	if len(u.stack) == 0 {
		return nil
	}
	return u.stack[len(u.stack)-1]
}

func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.program)-u.at {
		return nil, errors.New("the pickle ends in an instruction (truncated?)")
	}
	b := u.program[u.at : u.at+n]
	u.at += n
	return b, nil
}

// number takes an unsigned number of n bytes, at most 8.
func (u *unpickler) number(n int) (uint64, error) {
	var wide [8]byte
	b, err := u.take(n)
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), err
}

// long takes a signed number after how many bytes it has.
func (u *unpickler) long() error {
	n, err := u.number(1)
	if err != nil {
		return err
	}
	if n > 8 {
		return errors.New("an integer of more than 64 bits")
	}
	v, err := u.number(int(n))
	unused := 64 - 8*n
	u.push(int64(v<<unused) >> unused)
	return err
}

// name pushes a global: in one instruction with two lines, or from two strings on the stack.
func (u *unpickler) name(op byte) error {
	if op == 'c' {
		lines := bytes.SplitN(u.program[u.at:], []byte("\n"), 3)
		if len(lines) < 3 {
			return errors.New("a name has no end")
		}
		u.at += len(lines[0]) + len(lines[1]) + 2
		u.push(global(lines[0]) + " " + global(lines[1]))
		return nil
	}
	parts, err := u.pop(2)
	if err != nil {
		return err
	}
	module, isText := parts[0].(string)
	name, isTextToo := parts[1].(string)
	if !isText || !isTextToo {
		return errors.New("a name is not a string")
	}
	u.push(global(module + " " + name))
	return nil
}

// fill puts items into the dictionary or list below them.
func (u *unpickler) fill(op byte, items []any) error {
	switch into := u.top().(type) {
	case list:
		if op == 'a' || op == 'e' {
			return nil
		}
	case *dict:
		if op == 's' || op == 'u' {
			return into.set(items)
		}
	}
	return errors.New("items are added to something that is neither a list nor a dictionary")
}

func (d *dict) set(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		key, ok := items[i].(string)
		if !ok {
			return fmt.Errorf("a key is a %T, not a string", items[i])
		}
		d.pairs = append(d.pairs, pair{key, items[i+1]})
	}
	return nil
}
