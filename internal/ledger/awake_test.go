package ledger_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

var errCut = errors.New("the process is dead")

// cut is a connection on which nothing arrives any more after some commands; the answer of the last one may be lost.
type cut struct {
	left   atomic.Int64
	silent bool // the last command arrives, and its answer does not
}

func (c *cut) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		left := c.left.Add(-1)
		if left >= 0 {
			return next(ctx, cmd)
		}
		if left == -1 && c.silent {
			_ = next(ctx, cmd)
		}
		cmd.SetErr(errCut)
		return errCut
	}
}

func (c *cut) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A row of a finished campaign opens again, and the process dies anywhere: whenever the campaign runs, the workers look at
// it, and doing it once more ends it.
func TestARunningCampaignIsLookedAtWhereverAProcessDies(t *testing.T) {
	t.Parallel()
	doubt := ledger.Outcome{State: ledger.InDoubt, Code: "timeout", Class: "unknown"}
	failed := ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected"}
	tests := []struct {
		name  string
		first ledger.Outcome // how the row ended before the campaign did; without a state its worker was lost
		do    func(l *ledger.Ledger, c ledger.Claim) error
		want  ledger.RowState
	}{
		{"SettleWaiting", ledger.Outcome{}, func(l *ledger.Ledger, c ledger.Claim) error {
			return settle(l, c, ledger.Outcome{State: ledger.Waiting, Code: "no_connection", Class: "unsent"})
		}, ledger.Waiting},
		{"SettleQueued", doubt, func(l *ledger.Ledger, c ledger.Claim) error {
			return settle(l, c, ledger.Outcome{State: ledger.Queued, Code: "5", Class: "broke"})
		}, ledger.Queued},
		{"Release", ledger.Outcome{}, func(l *ledger.Ledger, c ledger.Claim) error {
			_, err := l.Release(ctx, c)
			return err
		}, ledger.Queued},
		{"SendAgain", doubt, func(l *ledger.Ledger, c ledger.Claim) error {
			return ignoring(l.Decide(ctx, c.Campaign, c.Row, c.Fence, ledger.SendAgain, "ana", false), ledger.ErrMoved)
		}, ledger.Queued},
		{"TryAgain", failed, func(l *ledger.Ledger, c ledger.Claim) error {
			return ignoring(l.Decide(ctx, c.Campaign, c.Row, c.Fence, ledger.TryAgain, "ana", false), ledger.ErrMoved)
		}, ledger.Queued},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		addr := rdb.(*redis.Client).Options().Addr
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				for _, silent := range []bool{false, true} {
					for commands := 0; ; commands++ {
						if commands > 10 {
							t.Fatal("it never ends")
						}
						c := finished(t, rdb, l, tt.first)
						done := dying(t, addr, commands, silent, func(mortal *ledger.Ledger) error { return tt.do(mortal, c) })
						wantLookedAt(t, l)
						letGo(t, l) // another worker has looked, and found nothing to do
						if err := tt.do(l, c); err != nil {
							t.Fatal(err)
						}
						wantLookedAt(t, l)
						if e := entry(t, l, "c1", 2); e.State != tt.want {
							t.Fatalf("row: %+v, want %s", e.Record, tt.want)
						}
						if done {
							break
						}
					}
				}
			})
		}
	})
}

func ignoring(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// finished is a campaign of one row that ended, and that nobody looks at any more.
func finished(t *testing.T, rdb redis.UniversalClient, l *ledger.Ledger, o ledger.Outcome) ledger.Claim {
	t.Helper()
	forgetAll(t, rdb, "c1")
	launch(t, l, "c1", 1)
	c, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", 0)
	if err != nil || c.Verdict != ledger.Go {
		t.Fatalf("claim: %+v %v", c, err)
	}
	if o.State == "" {
		if ok, err := l.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Fatalf("expire: %v %v", ok, err)
		}
	} else if err := settle(l, c, o); err != nil {
		t.Fatal(err)
	}
	steer(t, l, ledger.Steering{Verb: ledger.Finish}, ledger.Finished, true)
	letGo(t, l)
	return c
}

// letGo is what a worker does with a campaign that is over.
func letGo(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	c, err := l.Control(ctx, "c1")
	if err == nil && c.State == ledger.Finished {
		err = l.Retire(ctx, "c1")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dying does something in a process that dies after some commands, and reports whether it came to the end.
func dying(t *testing.T, addr string, commands int, silent bool, do func(*ledger.Ledger) error) bool {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	c := &cut{silent: silent}
	c.left.Store(int64(commands))
	rdb.AddHook(c)
	err := do(newLedger(t, rdb))
	if err != nil && !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	return err == nil
}

func wantLookedAt(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	c, err := l.Control(ctx, "c1")
	active, failed := l.Active(ctx)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if c.State == ledger.Running && !slices.Contains(active, "c1") {
		t.Fatalf("it runs and nobody looks at it: %+v", c)
	}
}

// The answer is lost after another worker let go of the campaign: whoever asks again puts it before the workers.
func TestALostAnswerLeavesNobodyAsleep(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		c := finished(t, rdb, l, ledger.Outcome{})
		addr := rdb.(*redis.Client).Options().Addr
		flaky := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		defer func() { _ = flaky.Close() }()
		flaky.AddHook(&meanwhile{do: func() { letGo(t, l) }}) // right after the first Activate
		lost := &loses{}
		flaky.AddHook(lost)
		if _, err := newLedger(t, flaky).Release(ctx, c); !errors.Is(err, errCut) {
			t.Fatalf("release: %v", err)
		}
		if ok, err := l.Release(ctx, c); err != nil || ok {
			t.Errorf("release again: %v %v", ok, err)
		}
		wantLookedAt(t, l)
		if next, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", time.Hour); err != nil ||
			next.Verdict != ledger.Go {
			t.Errorf("claim: %+v %v", next, err)
		}
	})
}

// loses loses the answer of the script that gives a claim back at last.
type loses struct{}

func (*loses) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*loses) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		args := cmd.Args()
		if err == nil && (cmd.Name() == "evalsha" || cmd.Name() == "eval") && args[len(args)-1] == 1 {
			cmd.SetErr(errCut)
			return errCut
		}
		return err
	}
}

func (*loses) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
