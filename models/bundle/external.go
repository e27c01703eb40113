package bundle

import (
	"fmt"
	"strconv"

	"github.com/loopserve/loopserve/models/protofield"
)

// external is a tensor whose bytes are in another file.
type external struct {
	tensor         string
	location       string
	offset, length int64
}

// tensor reads a TensorProto.
func (g *ONNX) tensor(raw []byte) (name string, t Initializer, err error) {
	var entries [][]byte
	var dims []int64
	var elem int64
	outside := false
	err = protofield.Each(raw, func(f protofield.Field) (err error) {
		switch f.Tag {
		case 1:
			dims, err = f.Varints(dims)
		case 2:
			elem, err = f.Varint()
		case 8, 13:
			var b []byte
			if b, err = f.Sub(); f.Tag == 8 {
				name = string(b)
			} else {
				entries = append(entries, b)
			}
		case 14:
			var where int64
			where, err = f.Varint()
			outside = outside || where != 0
		}
		return err
	})
	if err != nil {
		return name, t, fmt.Errorf("tensor %q: %w", name, err)
	}
	n, err := elements(dims)
	if err != nil {
		return name, t, fmt.Errorf("tensor %q: %w", name, err)
	}
	t = Initializer{Type: elem, Bits: bitsOf(elem), Elements: n, Rank: len(dims)}
	if !outside && len(entries) == 0 {
		return name, t, nil
	}
	e, err := readExternal(entries)
	if err != nil {
		return name, t, fmt.Errorf("tensor %q: external data: %w", name, err)
	}
	if bitsOf(elem) == 0 {
		return name, t, fmt.Errorf("tensor %q: external data: element type %d cannot be stored outside the graph", name, elem)
	}
	size := (n*bitsOf(elem) + 7) / 8
	if e.length < 0 {
		e.length = size
	}
	if e.length != size {
		return name, t, fmt.Errorf("tensor %q: external data: length is %d, but its type and shape %v take %d bytes", name, e.length, dims, size)
	}
	e.tensor = name
	g.external = append(g.external, e)
	return name, t, nil
}

// readExternal reads the key-value pairs. A key that is not known, or stands twice, is refused: the runtime might
// understand it otherwise.
func readExternal(entries [][]byte) (external, error) {
	e := external{length: -1}
	seen := map[string]bool{}
	for _, raw := range entries {
		var key, value string
		if err := protofield.Each(raw, func(f protofield.Field) error {
			b, err := f.Sub()
			switch f.Tag {
			case 1:
				key = string(b)
			case 2:
				value = string(b)
			}
			return err
		}); err != nil {
			return e, err
		}
		if seen[key] {
			return e, fmt.Errorf("%q appears twice", key)
		}
		seen[key] = true
		var err error
		switch key {
		case "location":
			e.location = value
		case "offset":
			e.offset, err = strconv.ParseInt(value, 10, 64)
		case "length":
			e.length, err = strconv.ParseInt(value, 10, 64)
			if e.length < 0 {
				return e, fmt.Errorf("length %q", value)
			}
		case "checksum": // the manifest has the file's
		default:
			return e, fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return e, fmt.Errorf("%s %q is not a number", key, value)
		}
	}
	if !plainName(e.location) {
		return e, fmt.Errorf("location %q is not a plain file name", e.location)
	}
	if e.offset < 0 {
		return e, fmt.Errorf("offset %d", e.offset)
	}
	return e, nil
}

// elementBits by TensorProto.DataType; 0: a type whose external data is refused (strings, complex numbers).
var elementBits = [...]int64{1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4}

func bitsOf(elem int64) int64 {
	if elem < 0 || elem >= int64(len(elementBits)) {
		return 0
	}
	return elementBits[elem]
}

// elements is how many a tensor has, of which even the largest take bits that can be counted.
func elements(dims []int64) (int64, error) {
	const most = 1 << 56
	n := int64(1)
	for _, d := range dims {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v", dims)
		case d > 0 && n > most/d:
			return 0, fmt.Errorf("shape %v is too large", dims)
		}
		n *= d
	}
	return n, nil
}

// check says whether the tensor's bytes are inside a file that the manifest lists.
func (e external) check(m *Manifest) error {
	f, ok := m.Files[e.location]
	if !ok {
		return fmt.Errorf("tensor %q is stored in %q, which the manifest does not list", e.tensor, e.location)
	}
	if e.offset > f.Size || e.length > f.Size-e.offset {
		return fmt.Errorf("tensor %q needs bytes %d to %d of %s, which has %d bytes", e.tensor, e.offset, e.offset+e.length, e.location, f.Size)
	}
	return nil
}
