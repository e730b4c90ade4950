package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/redistest"
	"pregon/providers/simulator"
)

// programs builds the real programs once, when the first test asks for them.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pregon-programs-*")
	if err != nil {
		return "", err
	}
	built.dir = dir
	build := exec.Command("go", "build", "-o", dir, "pregon/cmd/enqueue", "pregon/cmd/worker", "pregon/cmd/simulator")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// built is where the programs are, if anybody asked for them.
var built struct{ dir string }

func removePrograms() { _ = os.RemoveAll(built.dir) }

// town is a real Redis, the simulator as a program, and the environment in which the other programs find them.
type town struct {
	t        *testing.T
	bin      string
	rdb      redis.UniversalClient
	provider string // its address
	dir      string
	env      []string
	http     *http.Client
}

func newTown(t *testing.T, simulatorFlags ...string) *town {
	t.Helper()
	addr := redistest.Start(t)
	bin, err := programs()
	if err != nil {
		t.Fatalf("build the programs: %v", err)
	}
	w := &town{t: t, bin: bin, rdb: redistest.Client(t, addr), dir: t.TempDir(), http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(w.http.CloseIdleConnections)
	home := t.TempDir()
	w.env = []string{
		"REDIS_URL=redis://" + addr + "/0", "XDG_CONFIG_HOME=" + home, "HOME=" + home, "TMPDIR=" + t.TempDir(), "PATH=" + os.Getenv("PATH"),
		"CONTACTOVIRTUAL_LOGIN=" + login, "CONTACTOVIRTUAL_TOKEN=" + token, "CONTACTOVIRTUAL_RATE=1000", "CONTACTOVIRTUAL_BURST=20",
	}
	sim := w.start("simulator", append([]string{"--addr", "127.0.0.1:0"}, simulatorFlags...)...)
	select {
	case line := <-sim.first:
		w.provider = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	case <-time.After(deadline):
		t.Fatal("the simulator says nothing")
	}
	w.env = append(w.env, "CONTACTOVIRTUAL_URL="+w.provider)
	return w
}

// process is a program that runs.
type process struct {
	t        *testing.T
	name     string
	cmd      *exec.Cmd
	out, err safeBuffer
	first    chan string   // its first line on stdout
	ended    chan struct{} // closed when it has ended
}

func (w *town) start(name string, args ...string) *process {
	w.t.Helper()
	p := &process{t: w.t, name: name, cmd: exec.Command(filepath.Join(w.bin, name), args...), first: make(chan string, 1),
		ended: make(chan struct{})}
	p.cmd.Env = w.env
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.cmd.Stderr = &p.err
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		p.first <- line
		_, _ = io.WriteString(&p.out, line)
		_, _ = io.Copy(&p.out, r)
		_ = p.cmd.Wait()
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		outcome{w.t, 0, "", p.err.String()}.private()
	})
	return p
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("%v to %s: %v", s, p.name, err)
	}
}

// wait waits for the end.
func (p *process) wait() outcome {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(deadline):
		p.t.Fatalf("%s did not end; stderr:\n%s", p.name, p.err.String())
	}
	return outcome{p.t, p.cmd.ProcessState.ExitCode(), p.out.String(), p.err.String()}
}

func (w *town) enqueue(args ...string) outcome {
	w.t.Helper()
	return w.start("enqueue", args...).wait()
}

// worker starts a worker and waits until it is at work.
func (w *town) worker() *process {
	w.t.Helper()
	p := w.start("worker")
	w.eventually("the worker starts", func() bool { return strings.Contains(p.err.String(), "worker started") })
	return p
}

func (w *town) eventually(what string, holds func() bool) {
	w.t.Helper()
	(&house{t: w.t}).eventually(what, holds)
}

// receipts asks the simulator what really arrived, as soon as total messages have; false when they do not within d.
func (w *town) receipts(total int, d time.Duration) (simulator.Receipts, bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/_sim/receipts?wait=%d", w.provider, total), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var r simulator.Receipts
	answer, err := w.http.Do(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return r, false
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		w.t.Fatal(err)
	}
	return r, true
}

// onceEach checks that exactly the first n phones of people got exactly one message each.
func (w *town) onceEach(n int) {
	w.t.Helper()
	r, _ := w.receipts(0, deadline)
	if r.Total != n || r.Duplicates != 0 {
		w.t.Errorf("%d messages arrived, %d of them not the first for their phone; want %d", r.Total, r.Duplicates, n)
	}
	for i := range n {
		if r.Phones["57"+phone(i)] != 1 {
			w.t.Errorf("row %d got %d messages", i+2, r.Phones["57"+phone(i)])
			return
		}
	}
}

func (w *town) file(name, content string) string {
	w.t.Helper()
	return (&house{t: w.t, dir: w.dir}).file(name, content)
}

// keys counts the keys of a pattern.
func (w *town) keys(pattern string) int {
	w.t.Helper()
	names, err := w.rdb.Keys(w.t.Context(), pattern).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return len(names)
}
