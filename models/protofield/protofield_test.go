package protofield_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/protofield"
)

// {1: 150, 2: "ab", 3: float32, 4: packed 1 and 300, 5: float64}
var message = []byte("\x08\x96\x01" + "\x12\x02ab" + "\x1d\x00\x00\x80\x3f" + "\x22\x03\x01\xac\x02" + "\x29\x00\x00\x00\x00\x00\x00\xf0\x3f")

func TestFields(t *testing.T) {
	all, err := fieldsOf(message)
	if err != nil || len(all) != 5 {
		t.Fatalf("%+v, %v", all, err)
	}
	var whole []byte
	for i, f := range all {
		if int(f.Tag) != i+1 {
			t.Errorf("field %d has the tag %d", i, f.Tag)
		}
		whole = append(whole, f.Raw...)
	}
	if !bytes.Equal(whole, message) {
		t.Errorf("together they are %q", whole)
	}
	if v, err := all[0].Varint(); err != nil || v != 150 {
		t.Errorf("a number: %d, %v", v, err)
	}
	if b, err := all[1].Sub(); err != nil || string(b) != "ab" {
		t.Errorf("bytes: %q, %v", b, err)
	}
	for i, want := range map[int][]int64{0: {7, 150}, 3: {7, 1, 300}} {
		if v, err := all[i].Varints([]int64{7}); err != nil || !slices.Equal(v, want) {
			t.Errorf("numbers of field %d: %v, %v", i+1, v, err)
		}
	}
	_, number := all[1].Varint()
	_, sub := all[0].Sub()
	_, numbers := all[2].Varints(nil)
	for _, err := range []error{number, sub, numbers} {
		if !errors.Is(err, protofield.ErrDamaged) {
			t.Errorf("another wire type: %v", err)
		}
	}
}

func TestRewrite(t *testing.T) {
	same, err := protofield.Rewrite(message, func(f protofield.Field) (protofield.Field, error) { return f, nil })
	if err != nil || !bytes.Equal(same, message) {
		t.Errorf("%q, %v", same, err)
	}
	other, err := protofield.Rewrite(message[:7], func(f protofield.Field) (protofield.Field, error) {
		if f.Kind == protowire.VarintType {
			return f.WithNumber(1), nil
		}
		return f.WithBytes([]byte("cde")), nil
	})
	if err != nil || string(other) != "\x08\x01\x12\x03cde" {
		t.Errorf("%q, %v", other, err)
	}
	stop := errors.New("stop")
	if _, err := protofield.Rewrite(message, func(f protofield.Field) (protofield.Field, error) { return f, stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestDamaged(t *testing.T) {
	for name, raw := range map[string]string{
		"a tag alone": "\x08", "a length past the end": "\x12\x05ab", "a tag without end": "\xff", "a group": "\x0b\x0c", "tag 0": "\x00\x01", "half a number": "\x1d\x00",
	} {
		if _, err := fieldsOf([]byte(raw)); !errors.Is(err, protofield.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fieldsOf is all fields of a message.
func fieldsOf(message []byte) (all []protofield.Field, err error) {
	err = protofield.Each(message, func(f protofield.Field) error {
		all = append(all, f)
		return nil
	})
	return all, err
}

// Of the fields that are asked for, each has to be a message or a string; others are not looked into.
func TestEachOf(t *testing.T) {
	message := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7)
	message = protowire.AppendBytes(protowire.AppendTag(message, 2, protowire.BytesType), []byte("two"))
	message = protowire.AppendBytes(protowire.AppendTag(message, 3, protowire.BytesType), []byte("three"))
	got := ""
	collect := func(tag protowire.Number, content []byte) error {
		got += fmt.Sprint(tag, string(content), " ")
		return nil
	}
	if err := protofield.EachOf(message, collect, 3, 2); err != nil || got != "2two 3three " {
		t.Errorf("got %q (%v)", got, err)
	}
	if err := protofield.EachOf(message, collect, 1); !errors.Is(err, protofield.ErrDamaged) {
		t.Errorf("an integer where a message must be: %v", err)
	}
}
