//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSessionDescribesItsGraph(t *testing.T) {
	CheckLeaks(t)
	g := graph{
		nodes: []node{{op: "Gather", inputs: []string{"table", "ids"}, outputs: []string{"out"}}},
		inputs: []value{
			{"table", Float32, []any{7, 3}},
			{"ids", Int64, []any{"rows"}},
		},
		outputs: []value{{"out", Float32, []any{"rows", 3}}},
	}
	s, _ := g.load(t)
	want := []TensorInfo{{"table", Float32, []int64{7, 3}}, {"ids", Int64, []int64{-1}}}
	if got := s.Inputs(); !reflect.DeepEqual(got, want) {
		t.Errorf("inputs %v", got)
	}
	if got := s.outputs; !reflect.DeepEqual(got, []TensorInfo{{"out", Float32, []int64{-1, 3}}}) {
		t.Errorf("outputs %v", got)
	}
	if s.Input("ids") != 1 || s.Output("out") != 0 || s.Input("out") != -1 {
		t.Error("names and places differ")
	}
}

// ONNX Runtime's codes survive the way through Go: callers branch on them.
func TestLoadErrorsKeepTheirCode(t *testing.T) {
	CheckLeaks(t)
	e := open(t)
	unknown := sum()
	unknown.nodes[0].op = "Addd"
	foreign := sum()
	foreign.nodes[0].domain = "loopserve"
	whole := sum().encode()
	for _, test := range []struct {
		name string
		file []byte
		code Code
	}{
		{"no protobuf", []byte("not a graph at all"), InvalidProtobuf},
		{"cut short", whole[:len(whole)/2], InvalidProtobuf},
		{"an unknown op", unknown.encode(), InvalidGraph},
		{"an op that the domain lacks", foreign.encode(), Fail},
	} {
		path := filepath.Join(t.TempDir(), "graph.onnx")
		if err := os.WriteFile(path, test.file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := e.Load(path, SessionOptions{})
		var full *Error
		if !errors.As(err, &full) || !errors.Is(err, test.code) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want code %v and the path", test.name, err, test.code)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEnvironmentIsSharedAndOutlivesItsSessions(t *testing.T) {
	CheckLeaks(t)
	first, second := open(t), open(t)
	s, err := first.Load(sum().file(t), SessionOptions{NoOptimize: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := second.Load(sum().file(t), SessionOptions{}); err == nil {
		t.Error("a closed environment loads")
	}
	if err := first.Close(); err == nil || !strings.Contains(err.Error(), "1 sessions are still open") {
		t.Errorf("the environment closes under a session: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A load that takes too long is cancelled, and one that would compute much beforehand, from constants or the declared shape of
// an input, leaves it to the calls: whatever the nodes' order, and however small each result.
func TestLoadsAreBounded(t *testing.T) {
	CheckLeaks(t)
	g := sum()
	for range 3000 {
		g.nodes = append(g.nodes, node{op: "Add", inputs: []string{g.nodes[len(g.nodes)-1].outputs[0], "x"}, outputs: []string{fmt.Sprint("y", len(g.nodes))}})
	}
	hasty, err := Open(Options{LoadTimeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hasty.LoadBytes("slow", g.encode(), SessionOptions{}); !errors.Is(err, ModelLoadCanceled) {
		t.Errorf("beyond its time: %v", err)
	}
	if err := hasty.Close(); err != nil {
		t.Error(err)
	}
	const side = 4000 // a product takes a second and more, and 64 MB
	g = graph{
		nodes: []node{
			{op: "Shape", inputs: []string{"x"}, outputs: []string{"shape"}},
			{op: "ConstantOfShape", inputs: []string{"shape"}, outputs: []string{"a"}},
			{op: "MatMul", inputs: []string{"a", "a"}, outputs: []string{"b"}},
			{op: "MatMul", inputs: []string{"k", "x"}, outputs: []string{"y"}},
		},
		inputs:  []value{{"x", Float32, []any{side, side}}},
		outputs: []value{{"y", Float32, []any{side, side}}},
	}
	for i := byte('b'); i < 'k'; i++ { // each before what it reads
		g.nodes = append([]node{{op: "MatMul", inputs: []string{string(i), "a"}, outputs: []string{string(i + 1)}}}, g.nodes...)
	}
	began := time.Now()
	s, err := open(t).LoadBytes("folded", g.encode(), SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to load", took)
	}
}
