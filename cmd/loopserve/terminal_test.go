//go:build cgo && linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what is written to keys is typed, and seen has what is shown.
type terminal struct {
	t    *testing.T
	keys *os.File
	end  *os.File // the program's

	mu   sync.Mutex
	seen string
}

func newTerminal(t *testing.T, columns uint16) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	end, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, keys: os.NewFile(uintptr(fd), "ptmx"), end: end}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := s.keys.Read(buf)
			s.mu.Lock()
			s.seen += string(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { end.Close(); s.keys.Close() })
	return s
}

// wait waits for text to be shown, and forgets what was shown up to it.
func (s *terminal) wait(text string) (before string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		before, after, ok := strings.Cut(s.seen, text)
		if ok {
			s.seen = after
		}
		s.mu.Unlock()
		if ok {
			return before
		}
	}
	s.t.Fatalf("%q was not shown, but %q", text, s.seen)
	return ""
}

func (s *terminal) typed(keys string) {
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Error(err)
	}
}

// A person talks: keys that edit, the history, a depth that there is not, ^C and ^D.
func TestChatOnATerminal(t *testing.T) {
	t.Setenv("LOOPSERVE_ORT_LIB", library("../.."))
	s := newTerminal(t, 80)
	talk := func() chan int {
		code := make(chan int, 1)
		go func() { code <- execute([]string{"chat", "--models", "../../models/adder"}, s.end, s.end, s.end) }()
		s.wait("> ")
		return code
	}
	code := talk()
	s.typed("123+457\x7f6=\r")
	s.wait("579")
	s.wait("> ")
	s.typed("\x1b[A\r") // the line before
	s.wait("579")
	s.wait("> ")
	s.typed("/loops 99\r")
	s.wait("/loops takes an integer from 1 to 32")
	s.typed("/loops 4\r")
	s.typed("111+222=\r")
	s.wait("333")
	s.wait("(4 loops")
	s.typed("x\r")
	s.wait("warning:")
	s.wait("the model reads 1 of 1 tokens as <unk>")
	s.wait("> ")
	s.typed("\x04")
	if got := <-code; got != exitOK {
		t.Errorf("^D ends with %d", got)
	}
	code = talk()
	s.typed("12\x03")
	if got := <-code; got != exitInterrupted {
		t.Errorf("^C ends with %d", got)
	}
}

// Answers are wrapped at the terminal's width, and tables drawn.
func TestTablesOnATerminal(t *testing.T) {
	t.Setenv("LOOPSERVE_ORT_LIB", library("../.."))
	s := newTerminal(t, 72)
	if got := execute([]string{"run", "123+456+789=", "--models", "../../models/adder", "--loops", "1,8", "--temperature", "100", "--seed", "1", "--max-tokens", "40"}, nil, s.end, s.end); got != exitOK {
		t.Fatal(got)
	}
	s.wait("LOOPS")
	s.typed("\n.\n")
	shown := s.wait(".\r\n")
	wrapped := 0
	for line := range strings.SplitSeq(shown, "\r\n") {
		if n := len([]rune(line)); n > 72 {
			t.Errorf("%d characters: %s", n, line)
		}
		if strings.HasPrefix(line, "   ") {
			wrapped++
		}
	}
	if wrapped == 0 {
		t.Errorf("nothing was wrapped in %q", shown)
	}
	if got := execute([]string{"eval", "--models", "../../models", "--loops", "1,8", "--limit", "20", "--timed", "0"}, nil, s.end, s.end); got != exitOK {
		t.Fatal(got)
	}
	s.wait("───")
	s.typed("\n.\n")
	if shown := s.wait(".\r\n"); strings.Contains(shown, "|") {
		t.Errorf("a table has bars: %s", shown)
	}
}

func TestColours(t *testing.T) {
	s := newTerminal(t, 80)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if got := paint(s.end, red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	t.Setenv("NO_COLOR", "1")
	if got := paint(s.end, red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if got := paint(s.end, red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	t.Setenv("TERM", "xterm")
	if got := paint(null, red, "x"); got != "x" || width(null) != 0 {
		t.Errorf("%q", got)
	}
}

func TestAligned(t *testing.T) {
	const markdown = "before\n\n| name | of 100 |\n|---|---:|\n| a | 5 |\n| long one | 12 |\n\nafter | not a table\n"
	const want = "before\n\nname      of 100\n────────  ──────\na              5\nlong one      12\n\nafter | not a table\n"
	if got := aligned(&strings.Builder{}, markdown); got != want {
		t.Errorf("%s", got)
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text string
		most int
		want []string
	}{
		{"abc", 0, []string{"abc"}},
		{"abc", 3, []string{"abc"}},
		{"abcd", 3, []string{"abc", "d"}},
		{"ein Wort mehr", 9, []string{"ein Wort ", "mehr"}},
		{"a bcdefghij", 6, []string{"a bcde", "fghij"}}, // the space is too early
		{"ÄÖÜ ß", 4, []string{"ÄÖÜ ", "ß"}},
	}
	for _, tt := range tests {
		if got := wrap(tt.text, tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("%q at %d: %q", tt.text, tt.most, got)
		}
	}
}
