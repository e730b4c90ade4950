package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// worker is one place in the fleet: a process that is started again whenever it ends, its link to Redis, its log and
// its journal, which outlive the process.
type worker struct {
	number  int
	program string
	args    []string
	env     []string
	link    *link
	log     *os.File
	diary   *diary

	mu      sync.Mutex
	process *exec.Cmd
	wanted  bool
	extra   []string      // environment of the next process alone
	started chan struct{} // closed when the present process says that it works
	ended   chan struct{} // closed when the present process has ended
	killed  bool          // the present process was killed by us, or by its crash point
	kills   int
	wake    chan struct{}
	done    chan struct{}
}

// fleet is the workers of a run.
type fleet struct {
	workers []*worker
	wg      sync.WaitGroup
}

// A worker that ends is started again after this long, as a supervisor would.
const restartAfter = 200 * time.Millisecond

// newWorker makes a place; nothing runs before start.
func newWorker(number int, dir, redisAddr string, d *diary) (*worker, error) {
	l, err := newLink(redisAddr)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("worker-%d.log", number)),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &worker{
		number: number, link: l, log: log, diary: d, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}, nil
}

// supervise keeps the worker's process as it is wanted until close.
func (w *worker) supervise() {
	for {
		select {
		case <-w.done:
			return
		case <-w.wake:
		}
		for w.run() {
			t := time.NewTimer(restartAfter)
			select {
			case <-w.done:
				t.Stop()
				return
			case <-t.C:
			}
		}
	}
}

// run runs one process to its end and says whether another is wanted.
func (w *worker) run() bool {
	cmd, output, err := w.launch()
	if err != nil {
		w.diary.note("worker not started", "worker", w.number, "err", err)
		return false
	}
	if cmd == nil {
		return false
	}
	w.read(output)
	_ = cmd.Wait() // how it ended is read below
	w.mu.Lock()
	defer w.mu.Unlock()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL && !w.killed {
		w.killed = true // by its own crash point
		w.kills++
	}
	w.diary.note("worker ended", "worker", w.number, "pid", cmd.Process.Pid, "how", cmd.ProcessState.String())
	w.process = nil
	close(w.ended)
	return w.wanted
}

// launch starts a process if one is wanted.
func (w *worker) launch() (*exec.Cmd, io.Reader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wanted {
		return nil, nil, nil
	}
	cmd := exec.CommandContext(context.Background(), w.program, w.args...) //nolint:gosec // what was just built
	cmd.Env = append(append([]string(nil), w.env...), w.extra...)
	w.extra = nil
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	w.process, w.killed = cmd, false
	w.started, w.ended = make(chan struct{}), make(chan struct{})
	w.diary.note("worker started", "worker", w.number, "pid", cmd.Process.Pid)
	return cmd, output, nil
}

// read keeps what a process says and notices that it works.
func (w *worker) read(output io.Reader) {
	w.mu.Lock()
	started := w.started
	w.mu.Unlock()
	said := false
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(w.log, line) // a full disk here shows in the diary
		if !said && strings.Contains(line, "worker started") {
			said = true
			close(started)
		}
		if err != nil {
			return
		}
	}
}

// start wants the worker to run, its next process with extra environment.
func (w *worker) start(extra ...string) {
	w.mu.Lock()
	w.wanted, w.extra = true, extra
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// ready waits until the present process says that it works.
func (w *worker) ready(ctx context.Context) error {
	return until(ctx, 10*time.Millisecond, "worker "+strconv.Itoa(w.number)+" works", func() bool {
		w.mu.Lock()
		started, process := w.started, w.process
		w.mu.Unlock()
		if process == nil || started == nil {
			return false
		}
		select {
		case <-started:
			return true
		default:
			return false
		}
	})
}

// signal sends a signal to the present process, if there is one.
func (w *worker) signal(s syscall.Signal) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil || w.process.Process.Signal(s) != nil {
		return false
	}
	if s == syscall.SIGKILL && !w.killed {
		w.killed = true
		w.kills++
	}
	return true
}

// kill is kill -9. The supervisor starts another process.
func (w *worker) kill() bool {
	ok := w.signal(syscall.SIGKILL)
	w.diary.note("kill -9", "worker", w.number, "hit", ok)
	return ok
}

// term asks the process to end after what it has begun. The supervisor starts another.
func (w *worker) term() bool {
	ok := w.signal(syscall.SIGTERM)
	w.diary.note("sigterm", "worker", w.number, "hit", ok)
	return ok
}

// freeze stops the process for a while, as a virtual machine is stopped, and lets it go on.
func (w *worker) freeze(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	var process *os.Process
	if w.process != nil {
		process = w.process.Process
	}
	w.mu.Unlock()
	w.diary.note("stop", "worker", w.number, "ms", d.Milliseconds(), "hit", process != nil)
	if process == nil {
		return nil
	}
	if err := suspend(process); err != nil {
		return nil //nolint:nilerr // it has just ended
	}
	err := pause(ctx, d)
	_ = proceed(process) // it may have been killed meanwhile
	w.diary.note("continue", "worker", w.number)
	return err
}

// stop wants no process: SIGTERM, and it returns when the process has ended.
func (w *worker) stop(ctx context.Context) error {
	w.mu.Lock()
	w.wanted = false
	process, ended := w.process, w.ended
	w.mu.Unlock()
	if process == nil {
		return nil
	}
	w.term()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		w.kill()
		<-ended
		return fmt.Errorf("worker %d did not end after SIGTERM: %w", w.number, ctx.Err())
	}
}

// running reports whether there is a process now.
func (w *worker) running() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process != nil
}

func (w *worker) killCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kills
}

func (w *worker) close() {
	w.mu.Lock()
	w.wanted = false
	process, ended := w.process, w.ended
	w.mu.Unlock()
	close(w.done)
	if process != nil {
		_ = proceed(process.Process) // a stopped process does not see other signals
		_ = process.Process.Kill()
		<-ended
	}
	w.link.close()
	_ = w.log.Close()
}

// startAll starts every worker and waits until each works.
func (f *fleet) startAll(ctx context.Context) error {
	for _, w := range f.workers {
		w.start()
	}
	return f.ready(ctx)
}

func (f *fleet) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, w := range f.workers {
		if err := w.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stopAll ends every worker as a deployment would.
func (f *fleet) stopAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	errs := make(chan error, len(f.workers))
	for _, w := range f.workers {
		go func() { errs <- w.stop(ctx) }()
	}
	var first error
	for range f.workers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// kills is how many processes died without a word: by kill -9 or at a crash point.
func (f *fleet) kills() int {
	n := 0
	for _, w := range f.workers {
		n += w.killCount()
	}
	return n
}

func (f *fleet) close() {
	for _, w := range f.workers {
		w.close()
	}
	f.wg.Wait()
}
