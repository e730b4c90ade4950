package ledger_test

import (
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

var (
	breakerPause = ledger.Steering{Verb: ledger.Pause, Reason: "breaker"}
	trial        = ledger.Steering{Verb: ledger.Resume, Reason: "breaker", Probe: true}
)

// rush claims many rows from many workers at once and returns those that were given.
func rush(t *testing.T, l *ledger.Ledger, id string, rows int) []ledger.Claim {
	t.Helper()
	var mu sync.Mutex
	var given []ledger.Claim
	var wg sync.WaitGroup
	for row := 2; row < 2+rows; row++ {
		for range 2 {
			wg.Go(func() {
				c, err := l.Claim(ctx, ledger.NewClaim(id, row, worker), "CO", time.Hour)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case c.Verdict == ledger.Go:
					given = append(given, c)
				case c.Verdict != ledger.Probing && c.Verdict != ledger.Busy && c.Verdict != ledger.Done:
					t.Errorf("claim: %+v", c)
				}
			})
		}
	}
	wg.Wait()
	return given
}

func wantProbe(t *testing.T, l *ledger.Ledger, rows int) ledger.Claim {
	t.Helper()
	given := rush(t, l, "c1", rows)
	if len(given) != 1 || !given[0].Probe {
		t.Fatalf("given on trial: %+v", given)
	}
	return given[0]
}

func TestOneMessageTriesTheAccountOut(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		const n = 20
		launch(t, l, "c1", n)
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, trial, ledger.Running, true)
		if c, err := l.Control(ctx, "c1"); err != nil || !c.Probing {
			t.Errorf("control: %+v %v", c, err)
		}
		first := wantProbe(t, l, n)
		again, err := l.Claim(ctx, first, "CO", time.Hour) // the answer of the first was lost
		if err != nil || again.Verdict != ledger.Go || !again.Probe || again.Fence != first.Fence {
			t.Errorf("asked again: %+v %v", again, err)
		}
		for range 2 { // its answer may be lost, too
			if _, err := l.Release(ctx, first); err != nil {
				t.Fatal(err)
			}
		}
		second := wantProbe(t, l, n)
		if err := settle(l, second, ledger.Outcome{State: ledger.Waiting, Code: "no_connection"}); err != nil {
			t.Fatal(err)
		}
		if given := rush(t, l, "c1", n); len(given) != 0 {
			t.Errorf("given after the trial: %+v", given)
		}
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, trial, ledger.Running, true)
		third := wantProbe(t, l, n)
		if err := settle(l, third, ledger.Outcome{State: ledger.Accepted}); err != nil {
			t.Fatal(err)
		}
		if err := l.EndProbe(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
		c, err := l.Control(ctx, "c1")
		given := rush(t, l, "c1", n)
		if err != nil || c.Probing || len(given) != n-1 {
			t.Errorf("after the trial: %+v %v, %d given", c, err, len(given))
		}
		for _, g := range given {
			if g.Probe {
				t.Errorf("not a trial any more: %+v", g)
			}
		}
	})
}

// What was claimed before the trial and is given back during it does not make it two messages.
func TestAClaimOfBeforeDoesNotAddToTheTrial(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		const n = 10
		launch(t, l, "c1", n)
		before := []ledger.Claim{claim(t, l, "c1", 2), claim(t, l, "c1", 3), claim(t, l, "c1", 4)}
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, trial, ledger.Running, true)
		release := func(c ledger.Claim) {
			if ok, err := l.Release(ctx, c); err != nil || !ok {
				t.Errorf("release: %v %v", ok, err)
			}
		}
		release(before[0])
		first := wantProbe(t, l, n)
		release(before[1])
		if given := rush(t, l, "c1", n); len(given) != 0 {
			t.Errorf("given after the trial: %+v", given)
		}
		// The trial of before is not the one of now.
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, trial, ledger.Running, true)
		second := wantProbe(t, l, n)
		release(first)
		release(before[2])
		if given := rush(t, l, "c1", n); len(given) != 0 {
			t.Errorf("given after the second trial: %+v", given)
		}
		release(second)
		wantProbe(t, l, n)
	})
}

func TestAPersonsResumeIsNoTrial(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 5)
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, trial, ledger.Running, true)
		wantProbe(t, l, 5)
		steer(t, l, breakerPause, ledger.Paused, true)
		steer(t, l, ledger.Steering{Verb: ledger.Resume, Person: true}, ledger.Running, true)
		if given := rush(t, l, "c1", 5); len(given) != 4 || given[0].Probe {
			t.Errorf("given: %+v", given)
		}
	})
}
