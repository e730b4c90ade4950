package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
)

// How many hints a campaign keeps ahead: what a minute sends, within bounds. A usual campaign is all there, a huge
// one never fills Redis.
const (
	hintsAhead   = time.Minute
	hintsAtLeast = 500
	hintsAtMost  = 10_000
	pagesPerLook = 40 // so that a look stays short
	feedLease    = 5 * time.Second
)

// feeder puts the hints of one campaign into its queue, in the order of the file. It reads the records of each page
// and hints open rows only, so that the first feeding and the one after lost hints are the same.
type feeder struct {
	ledger   *ledger.Ledger
	campaign *ledger.Campaign
	recorder *recorder
	client   *asynq.Client
}

func newFeeder(rdb redis.UniversalClient, l *ledger.Ledger, c *ledger.Campaign) *feeder {
	r := newRecorder(rdb)
	return &feeder{ledger: l, campaign: c, recorder: r, client: asynq.NewClientFromRedisClient(r)}
}

// feed adds pages of hints until about `target` are in the queue, of which `live` are there already.
func (f *feeder) feed(ctx context.Context, control ledger.Control, live, target int) error {
	pages, rows := control.FedPages, control.FedRows
	last := ledger.PageOf(f.campaign.LastRow)
	for range pagesPerLook {
		if live >= target || pages > last {
			return nil
		}
		entries, err := f.ledger.Entries(ctx, f.campaign.ID, pages)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Kind != ledger.Valid {
				continue
			}
			rows++
			if e.State != ledger.Queued && e.State != ledger.Waiting {
				continue
			}
			if err := f.add(e.Number, control.Generation); err != nil {
				return err
			}
			live++
		}
		if _, err := f.recorder.Flush(ctx); err != nil {
			return err
		}
		pages++
		ok, err := f.ledger.Fed(ctx, f.campaign.ID, control.Generation, pages, rows)
		if err != nil || !ok {
			return err // another worker is further: the next look sees it
		}
	}
	return nil
}

func (f *feeder) add(row, generation int) error {
	t, err := newHint(f.campaign.ID, row, generation)
	if err != nil {
		return err
	}
	if _, err := f.client.Enqueue(t); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("hint row %d of campaign %s: %w", row, f.campaign.ID, err)
	}
	return nil
}

// done reports whether every page has its hints.
func (f *feeder) done(c ledger.Control) bool { return c.FedPages > ledger.PageOf(f.campaign.LastRow) }

// queueState is what a keeper needs to know of its queue.
type queueState struct {
	hints   int // that will be looked at: pending, running, scheduled or to be retried
	paused  bool
	unknown bool // asynq cannot count a queue with a damaged entry
}

// inspect reads the queue. It comes before the ledger's status: a row that closes between the two readings then makes
// the hints look too many, never too few.
func (k *keeper) inspect() queueState {
	info, err := k.queue.GetQueueInfo(k.campaign.ID)
	switch {
	case err == nil:
		return queueState{hints: info.Pending + info.Active + info.Scheduled + info.Retry, paused: info.Paused}
	case errors.Is(err, asynq.ErrQueueNotFound):
		return queueState{}
	}
	return queueState{unknown: true}
}

// openAndFed is how many open rows should have a hint; an estimate from below once a generation was raised.
func openAndFed(s ledger.Status) int { return s.Counts.Open() - (s.Campaign.Valid - s.Control.FedRows) }

// feed keeps enough hints in the queue, one worker at a time, and notices lost ones.
func (k *keeper) feed(ctx context.Context, s ledger.Status, q queueState) error {
	if q.unknown { // what the ledger knows stands in
		q.hints = max(openAndFed(s), 0)
	}
	perSecond := rateOf(k.lane.Account, k.campaign.Rate)
	if k.watch.hintsLost(s, q.hints, k.feeder.done(s.Control), perSecond, k.worker.now()) {
		raised, err := k.ledger.NewGeneration(ctx, k.campaign.ID, s.Control.Generation)
		if raised {
			k.log.WarnContext(ctx, "hints lost: the open rows are hinted anew", "hints", q.hints, "open", s.Counts.Open())
		}
		return err
	}
	target := min(max(int(perSecond*hintsAhead.Seconds()), hintsAtLeast), hintsAtMost)
	if q.hints >= target || k.feeder.done(s.Control) {
		return nil
	}
	mine, err := k.ledger.Lease(ctx, "feed:"+k.campaign.ID, k.worker.name, feedLease)
	if err != nil || !mine {
		return err
	}
	return k.feeder.feed(ctx, s.Control, q.hints, target)
}

// When hints count as lost.
const (
	lostAfter  = 60 * time.Second // fewer live hints than fed open rows for so long
	stuckAfter = 3 * time.Minute  // nothing changed for so long although rows could go
)

// watch remembers what a keeper saw, to tell a passing moment from a lasting state.
type watch struct {
	elsewhere bool      // the queue was paused at the last look, the ledger not
	fewSince  time.Time // since when there are fewer hints than open rows
	counts    string    // at the last change
	since     time.Time
}

// pausedElsewhere reports a pause that only the queue dashboard can have made: seen twice, since a pause or a
// resume of ours passes through that state for a moment.
func (w *watch) pausedElsewhere(paused bool) bool {
	twice := paused && w.elsewhere
	w.elsewhere = paused
	return twice
}

// hintsLost reports whether the open rows must be hinted anew.
func (w *watch) hintsLost(s ledger.Status, live int, fed bool, perSecond float64, now time.Time) bool {
	if counts := fmt.Sprint(s.Counts, s.Control.Generation, s.Control.FedPages); counts != w.counts {
		w.counts, w.since = counts, now
	}
	open := s.Counts.Open()
	if !fed {
		open = openAndFed(s)
	}
	if live >= open {
		w.fewSince = time.Time{}
	} else if w.fewSince.IsZero() {
		w.fewSince = now
	}
	few := !w.fewSince.IsZero() && now.Sub(w.fewSince) >= lostAfter
	// Hints in the hands of dead workers are counted as live. Rows that wait have a time of their own.
	patience := max(stuckAfter, time.Duration(10/perSecond*float64(time.Second)))
	stuck := s.Counts[ledger.Queued] > 0 && s.Counts[ledger.Sending] == 0 && now.Sub(w.since) >= patience
	if few || stuck {
		w.fewSince, w.since = time.Time{}, now
		return true
	}
	return false
}
