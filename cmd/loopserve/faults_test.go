//go:build cgo && linux

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
)

// limited runs the command as its users do, below a limit of the shell's ulimit, as "-n 48".
func limited(t *testing.T, limit string, args ...string) *exec.Cmd {
	t.Helper()
	t.Setenv("LOOPSERVE_ORT_LIB", library("../.."))
	line := `exec loopserve "$@"`
	if limit != "" {
		line = "ulimit " + limit + " && " + line
	}
	return exec.CommandContext(t.Context(), "sh", append([]string{"-c", line, "sh"}, args...)...)
}

// served starts a server of the shipped adder and returns its address. It ends with the test, in good order.
func served(t *testing.T, limit string, flags ...string) (address string, process *os.Process) {
	t.Helper()
	cmd := limited(t, limit, append([]string{"serve", "../../models/adder", "--listen", "127.0.0.1:0"}, flags...)...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, log := bufio.NewScanner(said), strings.Builder{}
	for address == "" && lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if found := regexp.MustCompile(`msg=serving address=http://(\S+)`).FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	if address == "" {
		t.Fatalf("%v: %s", cmd.Wait(), &log)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
			fmt.Fprintln(&log, lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil || t.Failed() {
			t.Errorf("%v: %s", err, &log)
		}
	})
	return address, cmd.Process
}

const longAnswer = `{"prompt":"12","max_tokens":60,"ignore_eos":true,"temperature":0,"loops":32,"stream":true}`

func stream(t *testing.T, address string) (*http.Response, *bufio.Reader) {
	t.Helper()
	res, err := http.Post("http://"+address+"/v1/completions", "application/json", strings.NewReader(longAnswer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

var text = regexp.MustCompile(`"text":"[^"]*"`)

// A process that is stopped for longer than its deadlines goes on where it was.
func TestStoppedAndContinued(t *testing.T) {
	address, process := served(t, "", "--write-timeout", "1s", "--header-timeout", "1s", "--idle-timeout", "1s")
	var answers [2]string
	for i := range answers {
		_, body := stream(t, address)
		begun, err := body.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2500 * time.Millisecond)
			if err := process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		rest, err := io.ReadAll(body)
		if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("%v: the stream ended with %q", err, rest[max(0, len(rest)-80):])
		}
		answers[i] = strings.Join(text.FindAllString(begun+string(rest), -1), " ")
	}
	if answers[0] != answers[1] || strings.Count(answers[0], " ") < 20 {
		t.Errorf("before %s\nafter  %s", answers[0], answers[1])
	}
}

// No descriptor is left for a connection: what is open goes on, and when others close the next ones are answered.
func TestOutOfDescriptors(t *testing.T) {
	address, _ := served(t, "-n 40")
	_, body := stream(t, address)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for range 60 { // the kernel takes them; the process cannot
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	rest, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("%v: the open stream ended with %q", err, rest[max(0, len(rest)-80):])
	}
	for _, conn := range conns {
		conn.Close()
	}
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Get("http://" + address + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("afterwards: %v %v", err, res)
	}
	res.Body.Close()
}

// A disk that is full: the error says so, and nothing of the bundle is left to be served.
func TestDiskFull(t *testing.T) {
	cases, err := goldentest.Find(goldentest.Dir(t, "golden/looped-llama"))
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("a small disk cannot be mounted here:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	out, err := limited(t, "", "export", cases[0], "-o", filepath.Join(disk, "tiny"), "--no-tokenizer").CombinedOutput()
	left, readErr := os.ReadDir(disk)
	if err == nil || !strings.Contains(string(out), "no space left") || readErr != nil || len(left) > 0 {
		t.Errorf("%v: %s; left: %v", err, out, left)
	}
}

// A native call or a load that never returns, though it is interrupted: /livez says so, and the process ends with an error a second
// after drain_delay and drain_timeout of SIGTERM at the latest.
func TestHangs(t *testing.T) {
	dir := t.TempDir()
	lib := filepath.Join(dir, "libonnxruntime.so")
	headers, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), cmp.Or(os.Getenv("CC"), "cc"), "-shared", "-fPIC", "-I"+strings.TrimSpace(string(headers)), "testdata/hang.c", "-o", lib, "-ldl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("HANG_ORT", library("../.."))
	t.Setenv("LOOPSERVE_ORT_LIB", lib)
	for _, what := range []string{"run", "load"} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(dir, what)
			t.Setenv("HANG_run", file+"_")
			t.Setenv("HANG_load", file+"_")
			t.Setenv("HANG_"+what, file)
			address, process := served(t, "", "--preload", map[string]string{"run": "all", "load": "none"}[what],
				"--call-timeout", "400ms", "--drain-delay", "300ms", "--drain-timeout", "700ms")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			answer := make(chan string, 1)
			go func() {
				res, err := http.Post("http://"+address+"/v1/completions", "application/json", strings.NewReader(longAnswer))
				if err != nil {
					answer <- err.Error()
					return
				}
				defer res.Body.Close()
				data, err := io.ReadAll(res.Body)
				answer <- fmt.Sprint(res.StatusCode, err, string(data))
			}()
			for end := time.Now().Add(20 * time.Second); exists(file); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("no call hangs")
				}
			}
			if what == "run" {
				if got := <-answer; !strings.Contains(got, "engine_stuck") {
					t.Errorf("the request got %s", got)
				}
				res, err := http.Get("http://" + address + "/livez")
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("/livez: %s", res.Status)
				}
			}
			began := time.Now()
			if err := process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			state, err := process.Wait()
			if took := time.Since(began); err != nil || state.ExitCode() != 1 || took < 300*time.Millisecond || took > 3*time.Second {
				t.Errorf("%v: %v after %v, want exit status 1 after 2s (3s on a busy machine)", err, state, took)
			}
		})
	}
}
