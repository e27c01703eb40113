package torchbin

import (
	"errors"
	"fmt"
	"strings"
)

// persistent turns ('storage', torch.FloatStorage, key, device, count) into a place in the archive.
func (u *unpickler) persistent() error {
	v, err := u.pop(1)
	if err != nil {
		return err
	}
	id, ok := v[0].(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" {
		return errors.New("a persistent id is not a storage")
	}
	kind, isName := id[1].(global)
	key, isKey := id[2].(string)
	count, isCount := id[4].(int64)
	name, isTorch := strings.CutPrefix(string(kind), "torch ")
	if !isName || !isTorch || !isKey || !isCount || count < 0 {
		return errors.New("a storage has unexpected arguments")
	}
	u.push(stored{kind: name, key: key, count: count})
	return nil
}

// reduce is pickle's call. Three things may be called, and they are done here instead.
func (u *unpickler) reduce() error {
	call, err := u.pop(2)
	if err != nil {
		return err
	}
	name, ok := call[0].(global)
	list, isTuple := call[1].(tuple)
	if !ok || !isTuple {
		return errors.New("a call of something without a name")
	}
	switch name {
	case "collections OrderedDict":
		if len(list) == 0 {
			u.push(&dict{})
			return nil
		}
	case "torch._utils _rebuild_tensor_v2":
		t, err := rebuild(list)
		u.push(t)
		return err
	case "torch._utils _rebuild_parameter":
		if len(list) == 3 {
			if t, ok := list[0].(tensor); ok {
				u.push(t)
				return nil
			}
		}
	default:
		return fmt.Errorf("it calls %q, which is refused", string(name))
	}
	return fmt.Errorf("it calls %q with unexpected arguments", string(name))
}

// rebuild reads (storage, offset, size, stride, requires_grad, backward_hooks).
func rebuild(args tuple) (tensor, error) {
	var t tensor
	bad := errors.New("a tensor has unexpected arguments")
	if len(args) < 6 || len(args) > 7 {
		return t, bad
	}
	var ok [4]bool
	t.stored, ok[0] = args[0].(stored)
	t.offset, ok[1] = args[1].(int64)
	t.shape, ok[2] = sizes(args[2])
	t.stride, ok[3] = sizes(args[3])
	if ok != [4]bool{true, true, true, true} || t.offset < 0 || len(t.shape) != len(t.stride) {
		return t, bad
	}
	return t, nil
}

func sizes(v any) ([]int64, bool) {
	items, ok := v.(tuple)
	out := make([]int64, len(items))
	for i, item := range items {
		n, isInt := item.(int64)
		out[i], ok = n, ok && isInt && n >= 0
	}
	return out, ok
}

// contiguous reports whether the elements stand one after the other in row-major order.
func (t tensor) contiguous() bool {
	want := int64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != want {
			return false
		}
		want *= t.shape[i]
	}
	return true
}
