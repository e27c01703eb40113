package torchbin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrFormat says that a file is not the plain dictionary of tensors that is read here.
var ErrFormat = errors.New("bad PyTorch file")

// What the unpickler's stack holds beside nil, bool, int64, float64 and string.
type (
	mark   struct{}
	tuple  []any
	list   struct{ items []any }
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
	memo    map[uint32]any
}

func unpickle(program []byte) (*dict, error) {
	u := &unpickler{program: program, memo: map[uint32]any{}}
	for {
		if u.at >= len(u.program) {
			return nil, fmt.Errorf("%w: the pickle ends before its STOP instruction (truncated?)", ErrFormat)
		}
		at, op := u.at, u.program[u.at]
		u.at++
		if op == '.' {
			top, err := u.pop()
			d, ok := top.(*dict)
			if err != nil || !ok {
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
		u.push(&list{})
	case ')':
		u.push(tuple{})
	case 'N':
		u.push(nil)
	case 0x88, 0x89:
		u.push(op == 0x88)
	case 'J', 'K', 'M', 0x8a:
		return u.integer(op)
	case 'G':
		b, err := u.take(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 0x8c:
		s, err := u.text(op)
		u.push(s)
		return err
	case 'c', 0x93:
		return u.name(op)
	case 'q', 'r', 'h', 'j', 0x94:
		return u.remember(op)
	case 't', 0x85, 0x86, 0x87:
		return u.tuple(op)
	case 's', 'u', 'a', 'e':
		return u.fill(op)
	case 'Q':
		return u.persistent()
	case 'R':
		return u.reduce()
	case 'b': // BUILD: attributes of a dictionary, such as _metadata; they hold no weights
		if _, err := u.pop(); err != nil {
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

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

var errEmpty = errors.New("the stack is empty")

func (u *unpickler) pop() (any, error) {
	if len(u.stack) == 0 {
		return nil, errEmpty
	}
	v := u.top()
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

func (u *unpickler) top() any {
	if len(u.stack) == 0 {
		return nil
	}
	return u.stack[len(u.stack)-1]
}

// toMark pops everything above the last mark, and the mark.
func (u *unpickler) toMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			items := append([]any(nil), u.stack[i+1:]...)
			u.stack = u.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark on the stack")
}

func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.program)-u.at {
		return nil, errors.New("the pickle ends in an instruction (truncated?)")
	}
	b := u.program[u.at : u.at+n]
	u.at += n
	return b, nil
}

func (u *unpickler) integer(op byte) error {
	size := map[byte]int{'J': 4, 'K': 1, 'M': 2}[op]
	if op == 0x8a { // LONG1
		n, err := u.take(1)
		if err != nil {
			return err
		}
		if size = int(n[0]); size > 8 {
			return errors.New("an integer of more than 64 bits")
		}
	}
	b, err := u.take(size)
	if err != nil {
		return err
	}
	var wide [8]byte
	if size > 0 && (op == 'J' || op == 0x8a) && b[size-1]&0x80 != 0 { // signed
		wide = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(wide[:], b)
	u.push(int64(binary.LittleEndian.Uint64(wide[:])))
	return nil
}

func (u *unpickler) text(op byte) (string, error) {
	size := 1
	if op == 'X' {
		size = 4
	}
	b, err := u.take(size)
	if err != nil {
		return "", err
	}
	n := int(b[0])
	if op == 'X' {
		n = int(binary.LittleEndian.Uint32(b))
	}
	b, err = u.take(n)
	return string(b), err
}

// name pushes a global: in one instruction with two lines, or from two strings on the stack.
func (u *unpickler) name(op byte) error {
	var parts [2]string
	for i := range parts {
		if op == 'c' {
			n := bytes.IndexByte(u.program[u.at:], '\n')
			b, err := u.take(n + 1)
			if n < 0 || err != nil {
				return errors.New("a name has no end")
			}
			parts[i] = string(b[:n])
			continue
		}
		v, err := u.pop()
		s, ok := v.(string)
		if err != nil || !ok {
			return errors.New("a name is not a string")
		}
		parts[1-i] = s
	}
	u.push(global(parts[0] + " " + parts[1]))
	return nil
}

func (u *unpickler) remember(op byte) error {
	if op == 0x94 { // MEMOIZE
		u.memo[uint32(len(u.memo))] = u.top()
		return nil
	}
	size := 1
	if op == 'r' || op == 'j' {
		size = 4
	}
	b, err := u.take(size)
	if err != nil {
		return err
	}
	at := uint32(b[0])
	if size == 4 {
		at = binary.LittleEndian.Uint32(b)
	}
	if op == 'q' || op == 'r' {
		u.memo[at] = u.top()
		return nil
	}
	v, ok := u.memo[at]
	if !ok {
		return fmt.Errorf("memo %d was never set", at)
	}
	u.push(v)
	return nil
}

func (u *unpickler) tuple(op byte) error {
	if op == 't' {
		items, err := u.toMark()
		u.push(tuple(items))
		return err
	}
	n := int(op-0x85) + 1
	if len(u.stack) < n {
		return errEmpty
	}
	items := append(tuple(nil), u.stack[len(u.stack)-n:]...)
	u.stack = append(u.stack[:len(u.stack)-n], items)
	return nil
}

// fill puts items into the dictionary or list below them.
func (u *unpickler) fill(op byte) (err error) {
	var items []any
	if op == 'u' || op == 'e' {
		items, err = u.toMark()
	} else {
		n := 1
		if op == 's' {
			n = 2
		}
		if len(u.stack) < n {
			return errEmpty
		}
		items = append(items, u.stack[len(u.stack)-n:]...)
		u.stack = u.stack[:len(u.stack)-n]
	}
	if err != nil {
		return err
	}
	switch into := u.top().(type) {
	case *list:
		if op == 'a' || op == 'e' {
			into.items = append(into.items, items...)
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
