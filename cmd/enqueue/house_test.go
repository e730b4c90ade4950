package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"pregon/internal/config"
	"pregon/internal/setup"
	"pregon/providers/simulator"
)

func TestMain(m *testing.M) {
	// Nearly all tests wait for a campaign to move most of the time. A -parallel on the command line comes later and wins.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removePrograms()
		os.Exit(code)
	}))
}

// The canaries of credentials and people: they may show nowhere but where a person asked to see them.
const (
	login    = "canary-login@example.com"
	token    = "canary-token-5e2f"
	password = "canary-redis-pass"
	person   = "Canaria Pérez"
)

// deadline bounds every wait for an event. It is far above what any of them takes.
const deadline = time.Minute

// house is a Redis and a provider, and the environment in which programs find them.
type house struct {
	t        *testing.T
	redis    *miniredis.Miniredis
	provider *simulator.Server
	dir      string // files of the test
	env      []string
}

// newHouse starts both. The account sends 500 messages a second at a price of 1, and its templates are known.
func newHouse(t *testing.T, o simulator.Options) *house {
	t.Helper()
	if o.Login == "" {
		o.Login, o.Token = login, token
	}
	h := &house{t: t, redis: miniredis.RunT(t), provider: simulator.New(o), dir: t.TempDir()}
	server := httptest.NewServer(h.provider)
	t.Cleanup(func() {
		h.provider.Close()
		server.Close()
	})
	h.age()
	h.env = []string{
		"REDIS_URL=redis://" + h.redis.Addr() + "/0", "XDG_CONFIG_HOME=" + t.TempDir(), "HOME=" + t.TempDir(), "LANG=es_CO.UTF-8",
		"CONTACTOVIRTUAL_URL=" + server.URL, "CONTACTOVIRTUAL_LOGIN=" + login, "CONTACTOVIRTUAL_TOKEN=" + token,
		"CONTACTOVIRTUAL_COST=1", "CONTACTOVIRTUAL_RATE=500", "CONTACTOVIRTUAL_BURST=10",
	}
	return h
}

// age lets keys expire, which miniredis does not do by itself.
func (h *house) age() {
	done, ended := make(chan struct{}), make(chan struct{})
	h.t.Cleanup(func() {
		close(done)
		<-ended
	})
	go func() {
		defer close(ended)
		const step = 100 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				h.redis.FastForward(step)
			}
		}
	}()
}

// with is the same house seen through a changed environment.
func (h *house) with(env ...string) *house {
	other := *h
	other.env = slices.Concat(h.env, env)
	return &other
}

// file writes a file of the test and returns its path.
func (h *house) file(name, content string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// people is a CSV file for template 991 with n phones that the simulator accepts. Its first person is the canary.
func people(n int) string {
	var b strings.Builder
	b.WriteString("Nombre,Celular,Descuento\n")
	for i := range n {
		name := person
		if i > 0 {
			name = fmt.Sprintf("Persona %d", i)
		}
		fmt.Fprintf(&b, "%s,%s,10 %%\n", name, phone(i))
	}
	return b.String()
}

// phone is the i-th phone of people, as written in the file. Its ending is no scenario of the simulator up to 5,000.
func phone(i int) string { return fmt.Sprintf("300556%04d", 2000+i) }

// scenario is a row whose phone ends as a scenario of the simulator asks.
func scenario(suffix string) string { return person + ",300557" + suffix + ",10 %\n" }

// outcome is one run of the program.
type outcome struct {
	t        *testing.T
	code     int
	out, err string
}

func (h *house) do(args ...string) outcome {
	h.t.Helper()
	return h.doWith(h.t.Context(), strings.NewReader(""), args...)
}

func (h *house) doWith(ctx context.Context, stdin io.Reader, args ...string) outcome {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, h.env, stdin, &out, &errs)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		h.t.Errorf("enqueue %s did not end; stderr:\n%s", strings.Join(args, " "), errs.String())
	}
	o := outcome{h.t, code, out.String(), errs.String()}
	o.private()
	return o
}

// private checks what holds of every run: no credential anywhere, and nobody on stderr.
func (o outcome) private() {
	o.t.Helper()
	for _, secret := range []string{login, token, password} {
		if strings.Contains(o.out+o.err, secret) {
			o.t.Errorf("%q was shown:\n%s\n%s", secret, o.out, o.err)
		}
	}
	for _, private := range []string{person, phone(0), "300557"} {
		if strings.Contains(o.err, private) {
			o.t.Errorf("stderr names a person (%q):\n%s", private, o.err)
		}
	}
}

// exits checks the status and returns the outcome.
func (o outcome) exits(want int) outcome {
	o.t.Helper()
	if o.code != want {
		o.t.Fatalf("exit %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, want, o.out, o.err)
	}
	return o
}

// says checks words on stderr, and shows those on stdout.
func (o outcome) says(words ...string) outcome {
	o.t.Helper()
	for _, w := range words {
		if !strings.Contains(o.err, w) {
			o.t.Errorf("stderr does not say %q:\n%s", w, o.err)
		}
	}
	return o
}

func (o outcome) shows(words ...string) outcome {
	o.t.Helper()
	for _, w := range words {
		if !strings.Contains(o.out, w) {
			o.t.Errorf("stdout does not show %q:\n%s", w, o.out)
		}
	}
	return o
}

func (o outcome) silent() outcome {
	o.t.Helper()
	if o.out != "" {
		o.t.Errorf("stdout has:\n%s", o.out)
	}
	return o
}

// untouched checks that a run left nothing in Redis and sent nothing.
func (h *house) untouched() {
	h.t.Helper()
	for _, key := range h.redis.Keys() {
		if key != "pregon:master-key" { // left by whoever connects first
			h.t.Errorf("Redis has %q", key)
		}
	}
	h.sent(0)
}

func (h *house) sent(want int) {
	h.t.Helper()
	if n, again := h.provider.Total(); n != want || again != 0 {
		h.t.Errorf("%d messages arrived, %d of them not the first for their phone; want %d", n, again, want)
	}
}

// work runs a worker until the test ends. What it logs is checked for people and credentials.
func (h *house) work() {
	h.t.Helper()
	cfg, err := config.Load(h.env)
	if err != nil {
		h.t.Fatal(err)
	}
	log := new(safeBuffer)
	system, err := setup.Open(h.t.Context(), cfg, setup.Options{
		Log: setup.Logger(log, "json", slog.LevelDebug), UserConfigDir: setup.UserConfigDir(h.env),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	worker, err := system.Worker()
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("worker: %v", err)
		}
		system.Close()
		outcome{h.t, 0, "", log.String()}.private()
	})
}

// safeBuffer is what one goroutine may read while another writes.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// parsed decodes the one JSON document that a run printed, and nothing else beside it.
func parsed[T any](o outcome) T {
	o.t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(o.out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		o.t.Fatalf("stdout is no such JSON document: %v\n%s\nstderr:\n%s", err, o.out, o.err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		o.t.Fatalf("stdout has more than one document (%v):\n%s", err, o.out)
	}
	return v
}
