package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"pregon/internal/crash"
	"pregon/internal/ledger"
)

// barrier is one worker's part in what happens to a campaign after a restart of Redis: each says again what it did, and
// nobody claims until all have.
type barrier struct {
	ledger   *ledger.Ledger
	recall   *recall
	campaign string
	worker   string // its name in the ledger
	log      *slog.Logger
	said     string // the run of Redis to which this worker has said what it did

	runs atomic.Int64 // how many runs of Redis there were: a claim of one is not sent in the next
}

// passage is how a worker found the barrier.
type passage struct {
	open   bool
	assert bool   // it was a new run of Redis
	reason string // the campaign must wait for a person
	detail string
}

// epochPatience is how long the workers wait for one that keeps a journal before a person is asked.
const epochPatience = time.Minute

// pass says that this worker is at work, and takes part in the barrier if there is one.
func (b *barrier) pass(ctx context.Context) (p passage, err error) {
	beat, err := b.ledger.Beat(ctx, b.campaign, b.worker, b.said)
	if err == nil && beat.Assert != "" {
		p.assert = true
		b.runs.Add(1) // first: what is not said below must not be sent either
		deep, err := b.recall.reassert(ctx, b.ledger, b.campaign, b.log)
		if err != nil {
			return p, err
		}
		if deep {
			p.reason = reasonForgot
			p.detail = fmt.Sprintf("redis has forgotten more than worker %s remembers", b.worker)
		}
		if err := b.ledger.Recount(ctx, b.campaign, false); err != nil {
			return p, err
		}
		crash.Point("said")
		b.said = beat.Assert
		beat, err = b.ledger.Beat(ctx, b.campaign, b.worker, b.said)
		if err != nil {
			return p, err
		}
	}
	if err != nil {
		return p, err
	}
	if beat.Since > epochPatience && p.reason == "" {
		p.reason = reasonEpoch
		p.detail = "workers with a journal that have not come back: " + strings.Join(beat.Waiting, ", ")
	}
	p.open = beat.Open() && p.reason == ""
	return p, nil
}

// leave says that this worker has let go of the campaign. Who does not leave is waited for, no more.
func (b *barrier) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	err := b.ledger.Leave(ctx, b.campaign, b.worker)
	if errors.Is(err, ledger.ErrUnsaid) { // Redis was restarted since: it is told first
		if _, err = b.pass(ctx); err == nil {
			_ = b.ledger.Leave(ctx, b.campaign, b.worker)
		}
	}
}

// leaveTimeout bounds how long a worker takes to leave a Redis that does not answer.
const leaveTimeout = 2 * time.Second
