package jobs

import (
	"context"
	"sync/atomic"
	"time"

	"pregon/internal/ledger"
)

// liveness is what this worker last saw of the campaign: the gate trusts it for a few seconds only.
type liveness struct{ seen atomic.Int64 }

// running notes that the campaign ran at a moment: before it was asked, not when the answer came.
func (l *liveness) running(at time.Time) { l.seen.Store(at.UnixNano()) }
func (l *liveness) stopped()             { l.seen.Store(0) }

func (l *liveness) fresh() bool {
	return time.Since(time.Unix(0, l.seen.Load())) < freshFor
}

// pulse says every second, until ctx ends, that this worker is at work on the campaign, and keeps what it last saw of
// it fresh. It is apart from the keeper, whose looks may take long: feeding a large campaign must not look like a
// pause. And it outlives the server's stop: who is still waiting for answers is not dead.
func (s *sender) pulse(ctx context.Context) {
	tick := time.NewTicker(runningLook)
	defer tick.Stop()
	for {
		at := time.Now()
		open, err := s.beat(ctx)
		if err == nil && s.stop.Err() == nil {
			err = s.look(ctx, at, open)
		}
		if err != nil && !s.troubled && ctx.Err() == nil {
			s.log.WarnContext(ctx, "no pulse", "campaign", s.campaign.ID, "err", err)
		}
		s.troubled = err != nil // and what was seen goes stale by itself
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// arrive is the first beat. It comes before the first claim, because a Redis that forgets that claim must know whom to
// wait for. Hints that a predecessor of the same journal died with are made anew.
func (s *sender) arrive(ctx context.Context) error {
	died, err := s.ledger.AtWork(ctx, s.campaign.ID, s.barrier.worker)
	if err != nil {
		return err
	}
	if _, err := s.beat(ctx); err != nil || !died {
		return err
	}
	return hintAnew(ctx, s.ledger, s.campaign.ID)
}

// look notes whether the campaign runs and whether its rows may be claimed.
func (s *sender) look(ctx context.Context, at time.Time, open bool) error {
	c, err := s.ledger.Control(ctx, s.campaign.ID)
	if err != nil {
		return err
	}
	if open && c.State == ledger.Running {
		s.live.running(at)
	} else {
		s.live.stopped()
	}
	return nil
}

// beat says that this worker is at work, and halts the campaign where a person must know what Redis lost.
func (s *sender) beat(ctx context.Context) (bool, error) {
	b, err := s.barrier.pass(ctx)
	if b.assert {
		s.live.stopped()
	}
	if err == nil && b.reason != "" && s.stop.Err() == nil {
		err = s.halt(ctx, b.reason, b.detail)
	}
	return b.open, err
}
