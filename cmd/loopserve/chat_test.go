package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
)

// heard is a writer whose text a test waits for.
type heard chan string

func (h heard) Write(p []byte) (int, error) {
	h <- string(p)
	return len(p), nil
}

func (h heard) wait(t *testing.T, suffix string) {
	t.Helper()
	text := ""
	for !strings.HasSuffix(text, suffix) {
		select {
		case s := <-h:
			text += s
		case <-time.After(10 * time.Second):
			t.Fatalf("heard %q, want %q at the end", text, suffix)
		}
	}
}

// ^C used to end the program in the middle of an answer, and the conv with it.
func TestChatInterrupt(t *testing.T) {
	asked := make(chan []measure.Message, 3)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Messages []measure.Message }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		asked <- body.Messages
		fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n")
		if body.Messages[len(body.Messages)-1].Content == "long" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // until the client hangs up
			return
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	defer ts.Close()
	all, interrupts := make(heard), make(chan os.Signal, 1)
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	conv := &conversation{
		a: &modelClient{model: "m", api: measure.HTTP{URL: ts.URL}}, out: all, errs: all, interrupts: interrupts,
	}
	ended := make(chan error, 1)
	lines := bufio.NewReader(in)
	next := func() (string, error) {
		fmt.Fprint(all, "> ")
		return lines.ReadString('\n')
	}
	go func() { ended <- conv.run(t.Context(), next) }()

	all.wait(t, "> ")
	fmt.Fprintln(keyboard, "long")
	all.wait(t, "Half")
	interrupts <- os.Interrupt
	all.wait(t, "\n(stopped)\n> ")
	fmt.Fprintln(keyboard, "short")
	all.wait(t, "tokens/s)\n> ")
	<-asked
	want := []measure.Message{{Role: "user", Content: "long"}, {Role: "assistant", Content: "Half"}, {Role: "user", Content: "short"}}
	if got := <-asked; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("asked with %v, want %v", got, want)
	}
	interrupts <- os.Interrupt // nothing is being answered: the end
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
