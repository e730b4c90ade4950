package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"pregon/internal/crash"
	"pregon/internal/ledger"
	"pregon/jobs/journal"
)

// recall is what this worker did and may have to say again to a Redis that has forgotten it: its attempts, which the
// journal keeps, and the claims that it gave back lately, which sent nothing.
type recall struct {
	journal *journal.Journal

	mu    sync.Mutex
	given []ledger.Claim // back, the newest last
}

// mostGiven bounds the claims given back that are remembered. One that is forgotten twice, by Redis and here, ends in
// doubt for nothing.
const mostGiven = 4096

// Dropped notes that a claim is given back.
func (r *recall) Dropped(c ledger.Claim) {
	r.journal.Dropped(c)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.given) >= 2*mostGiven {
		r.given = append(r.given[:0], r.given[mostGiven:]...)
	}
	r.given = append(r.given, c)
}

func (r *recall) givenBack(campaign string) []ledger.Claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	var claims []ledger.Claim
	for _, c := range r.given {
		if c.Campaign == campaign {
			claims = append(claims, c)
		}
	}
	return claims
}

// assertAtOnce is how many attempts are said again at the same time: a journal holds tens of thousands.
const assertAtOnce = 16

// reassert says again to the ledger what this worker did for a campaign. It reports whether the ledger has forgotten
// more than the journal can tell: then only a person knows what may be sent.
func (r *recall) reassert(
	ctx context.Context, book *ledger.Ledger, campaign string, log *slog.Logger,
) (deep bool, err error) {
	for _, c := range r.givenBack(campaign) {
		if _, err := book.Release(ctx, c); err != nil && !errors.Is(err, ledger.ErrCorrupt) {
			return false, err
		}
	}
	entries := r.journal.Entries(campaign)
	var forgotten atomic.Int64
	var oldest atomic.Bool // the oldest attempt that the journal remembers was forgotten too
	err = atOnce(len(entries), func(i int) error {
		changed, err := book.Reassert(ctx, entries[i].Claim, entries[i].Outcome, entries[i].SettledAt)
		crash.Point("asserted")
		if changed {
			forgotten.Add(1)
			oldest.CompareAndSwap(false, i == 0)
		}
		if errors.Is(err, ledger.ErrCorrupt) {
			return nil // a damaged record is never given out
		}
		return err
	})
	if n := forgotten.Load(); n > 0 {
		log.WarnContext(ctx, "redis had forgotten what was sent: it was told again", "campaign", campaign, "rows", n)
	}
	return oldest.Load() && !r.journal.Forgot(campaign).IsZero(), err
}

// atOnce does n things, some at the same time, and returns one of their errors.
func atOnce(n int, do func(int) error) (err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(assertAtOnce, n) {
		wg.Go(func() {
			for i := range next {
				if failed := do(i); failed != nil {
					mu.Lock()
					err = failed
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return err
}

// takeOver settles what a predecessor of this worker left under way in its journal: it may have been sent, and nobody
// will hear what came of it.
func (r *recall) takeOver(ctx context.Context, book *ledger.Ledger) error {
	lost := ledger.Outcome{State: ledger.InDoubt, Code: codeLost, Class: "unknown", Tried: true}
	for _, campaign := range r.journal.Campaigns() {
		for _, e := range r.journal.Entries(campaign) {
			if e.Outcome.State != "" {
				continue
			}
			_, err := book.Settle(ctx, e.Claim, lost)
			if err != nil && !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, ledger.ErrCorrupt) {
				return err
			}
			r.journal.Settled(e.Claim, lost)
		}
	}
	return nil
}

// codeLost is the ledger's code for a claim whose worker died.
const codeLost = "worker_lost"
