package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"pregon/campaign"
	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
	"pregon/providers/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The canaries show nowhere in what a worker writes.
const (
	login    = "canary-login@example.com"
	token    = "canary-token-5e2f"
	password = "canary-redis-pass"
)

const deadline = time.Minute

// buffer is what one goroutine may read while another writes.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func environ(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"XDG_CONFIG_HOME=" + t.TempDir(), "CONTACTOVIRTUAL_LOGIN=" + login, "CONTACTOVIRTUAL_TOKEN=" + token,
		"CONTACTOVIRTUAL_RATE=100", "REDIS_URL=redis://127.0.0.1:1",
	}, more...)
}

// run is one run of the program. It ends long before it looks at Redis's settings again.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	return (&program{environ: environ, stdout: stdout, stderr: stderr, lookEvery: time.Hour}).run(ctx, args)
}

func TestHowAWorkerStartsAndDoesNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args, env []string
		code      int
		out, err  []string
	}{
		"Help":          {[]string{"--help"}, nil, exitOK, []string{"SIGTERM", "REDIS_URL", "MASTER_KEY", "SHUTDOWN_TIMEOUT", "--insecure-redis", "Exit statuses"}, nil},
		"UnknownFlag":   {[]string{"--frob"}, nil, exitUsage, nil, []string{"-frob"}},
		"Argument":      {[]string{"frob"}, nil, exitUsage, nil, []string{"frob"}},
		"NoRedis":       {nil, environ(t, "REDIS_URL=redis://:"+password+"@127.0.0.1:1"), exitUnavailable, nil, []string{"redis is not available"}},
		"NoKey":         {nil, environ(t, "REDIS_URL=redis://:"+password+"@192.0.2.1"), exitUsage, nil, []string{"MASTER_KEY", "openssl"}},
		"Embedded":      {nil, environ(t, "REDIS_URL=embedded"), exitUsage, nil, []string{"REDIS_URL"}},
		"NoAccount":     {nil, []string{"REDIS_URL=redis://127.0.0.1:1"}, exitUsage, nil, []string{"CONTACTOVIRTUAL_LOGIN", "ACCOUNTS_FILE"}},
		"RelativeXDG":   {nil, environ(t, "XDG_CONFIG_HOME=here"), exitUsage, nil, []string{"XDG_CONFIG_HOME"}},
		"AllComplaints": {nil, environ(t, "WORKER_CONCURRENCY=0", "SHUTDOWN_TIMEOUT=5s", "CONTACTOVIRTUAL_RATE=x", "LOG_FORMAT=xml"), exitUsage, nil, []string{"WORKER_CONCURRENCY", "SHUTDOWN_TIMEOUT", "CONTACTOVIRTUAL_RATE", "LOG_FORMAT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			var out, errs bytes.Buffer
			if code := run(ctx, c.args, c.env, &out, &errs); code != c.code {
				t.Errorf("exit %d, want %d; stderr:\n%s", code, c.code, errs.String())
			}
			for _, w := range c.out {
				if !strings.Contains(out.String(), w) {
					t.Errorf("stdout does not tell of %s", w)
				}
			}
			if len(c.out) == 0 && out.Len() > 0 {
				t.Errorf("stdout has:\n%s", out.String())
			}
			for _, w := range c.err {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("stderr does not tell of %s:\n%s", w, errs.String())
				}
			}
			private(t, errs.String())
		})
	}
}

func private(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{login, token, password, "300556", "Canaria"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q was written:\n%s", secret, text)
		}
	}
}

func TestAWorkerToldToStopBeforeItBegan(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, nil, environ(t), &out, &errs); code != exitOK {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

// post is a Redis and a provider with a campaign that waits for a worker.
type post struct {
	provider *simulator.Server
	env      []string
	args     []string
	system   *setup.System
	id       string
}

// newPost uses a miniredis, whose workers must be told to accept it.
func newPost(t *testing.T, rows int, o simulator.Options) *post {
	t.Helper()
	return newPostOn(t, miniredis.RunT(t).Addr(), rows, o, "--insecure-redis")
}

func newPostOn(t *testing.T, redisAddr string, rows int, o simulator.Options, args ...string) *post {
	t.Helper()
	o.Login, o.Token = login, token
	p := &post{provider: simulator.New(o), args: args}
	server := httptest.NewServer(p.provider)
	t.Cleanup(func() {
		p.provider.Close()
		server.Close()
	})
	p.env = environ(t, "REDIS_URL=redis://"+redisAddr, "CONTACTOVIRTUAL_URL="+server.URL)
	cfg, err := config.Load(p.env)
	if err != nil {
		t.Fatal(err)
	}
	p.system, err = setup.Open(t.Context(), cfg, setup.Options{
		Log: slog.New(slog.DiscardHandler), UserConfigDir: setup.UserConfigDir(p.env),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.system.Close)
	p.launch(t, rows)
	return p
}

func (p *post) launch(t *testing.T, rows int) {
	t.Helper()
	text := "Nombre,Celular,Descuento\n"
	for i := range rows {
		text += fmt.Sprintf("Canaria %d,300556%04d,10 %%\n", i, 2000+i)
	}
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch := jobs.Launch{
		Name: "Worker", File: "f.csv", Account: "contactovirtual", Template: campaign.Template{ID: "991"},
		Purpose: campaign.Transactional, AnyHour: true, FileHash: "f",
	}
	f, err := campaign.Open(campaign.Input{Name: path, R: strings.NewReader(text), Size: int64(len(text))},
		campaign.Spec{Country: "CO"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	report, err := campaign.Check(f, func(*campaign.Recipient) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	launched, err := p.system.Operator().Launch(t.Context(), launch, f, report)
	if err != nil {
		t.Fatal(err)
	}
	p.id = launched.Campaign
}

func (p *post) status(t *testing.T) jobs.Status {
	t.Helper()
	s, err := p.system.Operator().Status(t.Context(), p.id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAWorkerDrains stops workers in the middle of a campaign: what was in flight is answered and recorded, nothing is in
// doubt, and the next worker does the rest.
func TestAWorkerDrains(t *testing.T) {
	t.Parallel()
	const rows = 60
	p := newPost(t, rows, simulator.Options{Latency: 150 * time.Millisecond})
	for _, stop := range []int{10, 20} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		go func() {
			_ = p.provider.Wait(ctx, stop)
			cancel()
		}()
		var log buffer
		var out bytes.Buffer
		if code := run(ctx, p.args, p.env, &out, &log); code != exitOK || out.Len() > 0 {
			t.Fatalf("exit %d, stdout %q, log:\n%s", code, out.String(), log.String())
		}
		records(t, log.String())
		s := p.status(t)
		arrived, again := p.provider.Total()
		if s.Counts[ledger.Sending]+s.Counts[ledger.InDoubt] != 0 || s.Counts[ledger.Accepted] != arrived || again != 0 {
			t.Fatalf("%d arrived, %d again; the ledger says %v", arrived, again, s.Counts)
		}
		if arrived >= rows {
			t.Fatal("the campaign was over before the worker was stopped: this proves nothing")
		}
	}
	p.finish(t, rows)
}

// finish lets a worker do the rest of the campaign, and returns its log.
func (p *post) finish(t *testing.T, rows int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	go func() {
		_ = p.provider.Wait(ctx, rows)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if s, err := p.system.Operator().Status(ctx, p.id); err == nil && s.State == ledger.Finished {
				break
			}
			<-tick.C
		}
		cancel()
	}()
	var log buffer
	if code := run(ctx, p.args, p.env, &bytes.Buffer{}, &log); code != exitOK {
		t.Fatalf("exit %d: %s", code, log.String())
	}
	if s := p.status(t); s.State != ledger.Finished || s.Counts[ledger.Accepted] != rows {
		t.Errorf("%+v\n%s", s, log.String())
	}
	if arrived, again := p.provider.Total(); arrived != rows || again != 0 {
		t.Errorf("%d arrived, %d of them again", arrived, again)
	}
	return log.String()
}

// records checks that a log is JSON, line by line, that it begins and ends as it should (after the warnings about Redis),
// and that nobody is in it.
func records(t *testing.T, text string) {
	t.Helper()
	private(t, text)
	messages := []string{}
	for line := range strings.Lines(text) {
		var r struct {
			Msg   string
			Level string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Msg == "" {
			t.Errorf("%q is no record (%v)", line, err)
		}
		if len(messages) > 0 || r.Level != "WARN" {
			messages = append(messages, r.Msg)
		}
	}
	if len(messages) < 2 || messages[0] != "worker started" || messages[len(messages)-1] != "worker stopped" {
		t.Errorf("the log says %q", messages)
	}
}

func TestTwoWorkersInOnePlaceFindOneKey(t *testing.T) {
	t.Parallel()
	const rows = 40
	p := newPost(t, rows, simulator.Options{Latency: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var other buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, p.args, p.env, &bytes.Buffer{}, &other) }()
	p.finish(t, rows)
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, other.String())
	}
	records(t, other.String())
	if strings.Contains(other.String(), "MASTER_KEY") {
		t.Errorf("another key:\n%s", other.String())
	}
}
