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

// What the machine's stack holds beside nil, bool, int64, float64 and string.
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

// machine runs a pickle. Each instruction pushes at most one value and the program is bounded, so memory is too;
// nothing recurses.
type machine struct {
	program []byte
	at      int
	stack   []any
	memo    map[uint32]any
}

func unpickle(program []byte) (*dict, error) {
	m := &machine{program: program, memo: map[uint32]any{}}
	for {
		if m.at >= len(m.program) {
			return nil, fmt.Errorf("%w: the pickle has no end (truncated?)", ErrFormat)
		}
		at, op := m.at, m.program[m.at]
		m.at++
		if op == '.' {
			top, err := m.pop()
			d, ok := top.(*dict)
			if err != nil || !ok {
				return nil, fmt.Errorf("%w: it holds no dictionary of tensors", ErrFormat)
			}
			return d, nil
		}
		if err := m.step(op); err != nil {
			return nil, fmt.Errorf("%w: pickle byte %d: %w", ErrFormat, at, err)
		}
	}
}

func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := m.take(1)
		return err
	case 0x95: // FRAME
		_, err := m.take(8)
		return err
	case '(':
		m.push(mark{})
	case '}':
		m.push(&dict{})
	case ']':
		m.push(&list{})
	case ')':
		m.push(tuple{})
	case 'N':
		m.push(nil)
	case 0x88, 0x89:
		m.push(op == 0x88)
	case 'J', 'K', 'M', 0x8a:
		return m.integer(op)
	case 'G':
		b, err := m.take(8)
		if err == nil {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 0x8c:
		s, err := m.text(op)
		m.push(s)
		return err
	case 'c', 0x93:
		return m.name(op)
	case 'q', 'r', 'h', 'j', 0x94:
		return m.remember(op)
	case 't', 0x85, 0x86, 0x87:
		return m.tuple(op)
	case 's', 'u', 'a', 'e':
		return m.fill(op)
	case 'Q':
		return m.persistent()
	case 'R':
		return m.reduce()
	case 'b': // BUILD: attributes of a dictionary, such as _metadata; they hold no weights
		if _, err := m.pop(); err != nil {
			return err
		}
		if _, ok := m.top().(*dict); !ok {
			return errors.New("state is set on something that is not a dictionary")
		}
	default:
		return fmt.Errorf("the instruction %#02x is not of those that tensors are written with", op)
	}
	return nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

var errEmpty = errors.New("the stack is empty")

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errEmpty
	}
	v := m.top()
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *machine) top() any {
	if len(m.stack) == 0 {
		return nil
	}
	return m.stack[len(m.stack)-1]
}

// toMark pops everything above the last mark, and the mark.
func (m *machine) toMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := append([]any(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark on the stack")
}

func (m *machine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.program)-m.at {
		return nil, errors.New("the pickle ends in an instruction (truncated?)")
	}
	b := m.program[m.at : m.at+n]
	m.at += n
	return b, nil
}

func (m *machine) integer(op byte) error {
	size := map[byte]int{'J': 4, 'K': 1, 'M': 2}[op]
	if op == 0x8a { // LONG1
		n, err := m.take(1)
		if err != nil {
			return err
		}
		if size = int(n[0]); size > 8 {
			return errors.New("an integer of more than 64 bits")
		}
	}
	b, err := m.take(size)
	if err != nil {
		return err
	}
	var wide [8]byte
	if size > 0 && (op == 'J' || op == 0x8a) && b[size-1]&0x80 != 0 { // signed
		wide = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
	}
	copy(wide[:], b)
	m.push(int64(binary.LittleEndian.Uint64(wide[:])))
	return nil
}

func (m *machine) text(op byte) (string, error) {
	size := 1
	if op == 'X' {
		size = 4
	}
	b, err := m.take(size)
	if err != nil {
		return "", err
	}
	n := int(b[0])
	if op == 'X' {
		n = int(binary.LittleEndian.Uint32(b))
	}
	b, err = m.take(n)
	return string(b), err
}

// name pushes a global: in one instruction with two lines, or from two strings on the stack.
func (m *machine) name(op byte) error {
	var parts [2]string
	for i := range parts {
		if op == 'c' {
			n := bytes.IndexByte(m.program[m.at:], '\n')
			b, err := m.take(n + 1)
			if n < 0 || err != nil {
				return errors.New("a name has no end")
			}
			parts[i] = string(b[:n])
			continue
		}
		v, err := m.pop()
		s, ok := v.(string)
		if err != nil || !ok {
			return errors.New("a name is no string")
		}
		parts[1-i] = s
	}
	m.push(global(parts[0] + " " + parts[1]))
	return nil
}

func (m *machine) remember(op byte) error {
	if op == 0x94 { // MEMOIZE
		m.memo[uint32(len(m.memo))] = m.top()
		return nil
	}
	size := 1
	if op == 'r' || op == 'j' {
		size = 4
	}
	b, err := m.take(size)
	if err != nil {
		return err
	}
	at := uint32(b[0])
	if size == 4 {
		at = binary.LittleEndian.Uint32(b)
	}
	if op == 'q' || op == 'r' {
		m.memo[at] = m.top()
		return nil
	}
	v, ok := m.memo[at]
	if !ok {
		return fmt.Errorf("nothing was remembered as %d", at)
	}
	m.push(v)
	return nil
}

func (m *machine) tuple(op byte) error {
	if op == 't' {
		items, err := m.toMark()
		m.push(tuple(items))
		return err
	}
	n := int(op-0x85) + 1
	if len(m.stack) < n {
		return errEmpty
	}
	items := append(tuple(nil), m.stack[len(m.stack)-n:]...)
	m.stack = append(m.stack[:len(m.stack)-n], items)
	return nil
}

// fill puts items into the dictionary or list below them.
func (m *machine) fill(op byte) (err error) {
	var items []any
	if op == 'u' || op == 'e' {
		items, err = m.toMark()
	} else {
		n := 1
		if op == 's' {
			n = 2
		}
		if len(m.stack) < n {
			return errEmpty
		}
		items = append(items, m.stack[len(m.stack)-n:]...)
		m.stack = m.stack[:len(m.stack)-n]
	}
	if err != nil {
		return err
	}
	switch into := m.top().(type) {
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
	return errors.New("items are put into something that is no list and no dictionary")
}

func (d *dict) set(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		key, ok := items[i].(string)
		if !ok {
			return fmt.Errorf("a key is no string but %T", items[i])
		}
		d.pairs = append(d.pairs, pair{key, items[i+1]})
	}
	return nil
}
