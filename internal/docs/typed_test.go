//go:build cgo && linux

package docs

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What README and quickstart say that a command answers, it answers: each console block is typed, in order, in a folder that
// looks like the clone. A block that is not to be typed (a download, a release) is a sh block.
func TestCommandsAnswer(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here")
	}
	for _, name := range []string{"README.md", "docs/quickstart.md"} {
		t.Run(name, func(t *testing.T) {
			p := pages(t)[name]
			steps := p.steps()
			if !slices.ContainsFunc(steps, func(s step) bool { return len(s.Want) > 0 }) {
				t.Fatalf("%s has no console block with an answer", name)
			}
			r := newReader(t)
			for _, s := range steps {
				if !r.types(s) {
					return // those that follow need what it leaves
				}
			}
		})
	}
}

// reader types commands.
type reader struct {
	t      *testing.T
	clone  string
	folder string // the clone's files without what was built, where commands may leave theirs
	port   string // stands for the 8080 of the pages
	server *exec.Cmd
	ended  chan error // of server
}

func newReader(t *testing.T) *reader {
	clone, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil || l.Close() != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, clone: clone, folder: t.TempDir(), port: port}
	entries, err := os.ReadDir(clone)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch name := e.Name(); name {
		case "bin", "out", "dist": // what was built
		case "models": // where readers put theirs
			if err := os.CopyFS(filepath.Join(r.folder, name), os.DirFS(filepath.Join(clone, name))); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.Symlink(filepath.Join(clone, name), filepath.Join(r.folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	bin := filepath.Join(clone, "bin") // where make will leave the binary; a fresh clone has none
	if os.MkdirAll(bin, 0o755) != nil || os.Symlink(bin, filepath.Join(r.folder, "bin")) != nil {
		t.Fatalf("%s cannot be made or linked", bin)
	}
	if err := os.WriteFile(filepath.Join(r.folder, ".curlrc"), []byte("silent\nshow-error\n"), 0o600); err != nil { // no meter: this is no terminal
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

var (
	serves = regexp.MustCompile(`^(make run|(bin/)?loopserve serve)\b`)
	makes  = regexp.MustCompile(`^make (run|build|doctor)\b`)
)

// types runs a step and says whether it answered as its page says.
func (r *reader) types(s step) bool {
	r.t.Helper()
	s.Command = strings.ReplaceAll(s.Command, "8080", r.port)
	for i, line := range s.Want {
		s.Want[i] = strings.ReplaceAll(line, "8080", r.port)
	}
	for len(s.Want) > 0 && s.Want[len(s.Want)-1] == "" { // an empty line before the next command, to read better
		s.Want = s.Want[:len(s.Want)-1]
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	var out output
	var err error
	if serves.MatchString(s.Command) {
		s.Want = append(s.Want, "...")
		err = r.serve(ctx, s, &out)
	} else {
		err = r.command(ctx, s.Command, &out).Run()
	}
	if err != nil || !matches(s.Want, out.lines()) {
		r.t.Errorf("line %d: $ %s\nprints\n%s\n(%v) and not\n%s", s.Line, s.Command, strings.Join(out.lines(), "\n"), err, strings.Join(s.Want, "\n"))
		return false
	}
	return true
}

func (r *reader) command(ctx context.Context, line string, out *output) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.folder, out, out
	cmd.WaitDelay = 10 * time.Second
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "LOOPSERVE_") && name != "LOOPSERVE_ORT_LIB" || strings.HasPrefix(name, "MAKE") || name == "MFLAGS" {
			continue // of the tests, and of the make that runs them
		}
		cmd.Env = append(cmd.Env, v)
	}
	cmd.Env = append(cmd.Env, "LOOPSERVE_LISTEN=127.0.0.1:"+r.port, "ADDR=127.0.0.1:"+r.port, "CURL_HOME="+r.folder,
		"PATH="+filepath.Join(r.folder, "bin")+":"+os.Getenv("PATH"))
	if strings.HasPrefix(line, "make ") {
		cmd.Dir = r.clone
		if !makes.MatchString(line) {
			cmd.Args[len(cmd.Args)-1] = fmt.Sprintf("echo '%s is not typed here: write it in a sh block'; exit 1", line)
		}
	}
	return cmd
}

// serve starts a server, in the place of the one before, and waits until it is ready and has said what it should.
func (r *reader) serve(ctx context.Context, s step, out *output) error {
	r.stop()
	r.server = r.command(context.WithoutCancel(ctx), strings.TrimSuffix(s.Command, " &"), out)
	r.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	server := r.server
	go func() { ended <- server.Wait() }()
	r.ended = ended
	for tries := 0; ; { // what a server that is ready says may come a moment later
		if tries > 0 || isReady("http://127.0.0.1:"+r.port+"/readyz") {
			if tries++; tries > 100 || matches(s.Want, out.lines()) {
				return nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the server has ended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func isReady(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// stop ends the server as a terminal's ^C does, with all that make started.
func (r *reader) stop() {
	if r.server == nil {
		return
	}
	_ = syscall.Kill(-r.server.Process.Pid, syscall.SIGINT) // it may have ended
	r.t.Logf("make run has ended: %v", <-r.ended)
	r.server = nil
}

// output is what a command has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.TrimRight(o.buf.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
