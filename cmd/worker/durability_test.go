package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
	"pregon/internal/setup"
	"pregon/providers/simulator"
)

func TestAWorkerRefusesARedisThatForgets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		redis []string // arguments of redis-server
		says  []string
	}{
		"NoAOF":     {[]string{"--appendonly", "no"}, []string{"appendonly is no", " CONFIG SET appendonly yes\n"}},
		"Evicts":    {[]string{"--maxmemory-policy", "allkeys-lru"}, []string{"maxmemory-policy is allkeys-lru", " CONFIG SET maxmemory-policy noeviction\n"}},
		"NeverSync": {[]string{"--appendfsync", "no"}, []string{"appendfsync is no", " CONFIG SET appendfsync always\n"}},
		"Silent":    {[]string{"--rename-command", "INFO", "", "--rename-command", "CONFIG", ""}, []string{"INFO is refused", "appendonly cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t, c.redis...)
			user := []any{"ACL", "SETUSER", "ana", "on", ">" + password, "~*", "&*", "+@all"}
			if err := redistest.Client(t, addr).Do(t.Context(), user...).Err(); err != nil {
				t.Fatal(err)
			}
			env := environ(t, "REDIS_URL=redis://ana:"+password+"@"+addr)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			var errs bytes.Buffer
			if code := run(ctx, nil, env, io.Discard, &errs); code != exitUsage {
				t.Fatalf("exit %d, want %d; stderr:\n%s", code, exitUsage, errs.String())
			}
			for _, w := range append(c.says, "--insecure-redis") {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("stderr does not say %q:\n%s", w, errs.String())
				}
			}
			if strings.Contains(errs.String(), "worker started") {
				t.Errorf("it started:\n%s", errs.String())
			}
			private(t, errs.String())
		})
	}
}

func TestAWorkerThatIsToldToTrustSends(t *testing.T) {
	t.Parallel()
	const rows = 10
	p := newPostOn(t, redistest.Start(t, "--appendonly", "no"), rows, simulator.Options{}, "--insecure-redis")
	log := p.finish(t, rows)
	for _, w := range []string{"--insecure-redis accepts it", "appendonly is no"} {
		if !strings.Contains(log, w) {
			t.Errorf("the log does not say %q:\n%s", w, log)
		}
	}
}

func TestAWorkerSaysWhatCouldBeSafer(t *testing.T) {
	t.Parallel()
	const rows = 10
	for fsync, warned := range map[string]bool{"everysec": true, "always": false} {
		p := newPostOn(t, redistest.Start(t, "--appendfsync", fsync), rows, simulator.Options{})
		if log := p.finish(t, rows); strings.Contains(log, "appendfsync") != warned {
			t.Errorf("%s: the log says:\n%s", fsync, log)
		}
	}
}

// TestAWorkerLeavesARedisThatBeginsToForget changes a setting under two workers in the middle of a campaign. The one that
// was not told to accept it ends, with everything that was in flight recorded; the other goes on.
func TestAWorkerLeavesARedisThatBeginsToForget(t *testing.T) {
	t.Parallel()
	const rows = 60
	addr := redistest.Start(t)
	p := newPostOn(t, addr, rows, simulator.Options{Latency: 100 * time.Millisecond})
	rdb := redistest.Client(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	go func() {
		_ = p.provider.Wait(ctx, 10)
		if err := rdb.ConfigSet(ctx, "appendonly", "no").Err(); err != nil {
			t.Error(err)
		}
	}()
	var errs buffer
	worker := &program{environ: p.env, stdout: io.Discard, stderr: &errs, lookEvery: 20 * time.Millisecond}
	if code := worker.run(ctx, nil); code != exitUsage {
		t.Fatalf("exit %d, want %d; stderr:\n%s", code, exitUsage, errs.String())
	}
	for _, w := range []string{"worker started", "ends if the next look", "worker stopped", " CONFIG SET appendonly yes"} {
		if strings.Count(errs.String(), w) != 1 {
			t.Errorf("%q is not said once:\n%s", w, errs.String())
		}
	}
	private(t, errs.String())
	s := p.status(t)
	arrived, again := p.provider.Total()
	if s.Counts[ledger.Sending]+s.Counts[ledger.InDoubt] != 0 || s.Counts[ledger.Accepted] != arrived || again != 0 {
		t.Errorf("%d arrived, %d again; the ledger says %v", arrived, again, s.Counts)
	}
	if arrived >= rows {
		t.Error("the campaign was over before the worker ended: this proves nothing")
	}
	p.args = []string{"--insecure-redis"}
	p.finish(t, rows)
}

func TestTwoLooksInARowDecide(t *testing.T) {
	t.Parallel()
	wrong, away := &setup.NotDurable{Wrong: []string{"appendonly is no"}}, errors.New("redis is away")
	for name, c := range map[string]struct {
		looks         []error
		ends, unready bool // after the last of them, and not before
	}{
		"Twice":        {[]error{nil, wrong, wrong}, true, true},
		"Mended":       {[]error{wrong, nil, wrong, nil}, false, false},
		"MendedOnce":   {[]error{wrong, nil, wrong, wrong}, true, true},
		"Away":         {[]error{away, away, away}, false, false},
		"AwayBetween":  {[]error{wrong, away, away, wrong}, true, true},
		"AwayAndTwice": {[]error{away, wrong, away, nil, wrong}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := &program{lookEvery: time.Millisecond}
			looked := 0
			err := p.watch(ctx, func(context.Context) error {
				found := c.looks[looked]
				if looked++; looked == len(c.looks) && !c.ends {
					cancel()
				}
				return found
			}, slog.New(slog.DiscardHandler))
			if looked != len(c.looks) || errors.Is(err, wrong) != c.ends {
				t.Errorf("after %d looks of %d: %v", looked, len(c.looks), err)
			}
			if p.wrong.Load() != nil != c.unready || (c.unready && !errors.Is(p.ready(ctx, nil), wrong)) {
				t.Errorf("not ready: %v, want %v", !c.unready, c.unready)
			}
		})
	}
}
