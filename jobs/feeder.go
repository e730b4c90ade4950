package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/crash"
	"pregon/internal/ledger"
)

// How many hints a campaign keeps ahead: what a minute sends, within bounds. A usual campaign is all there, a huge
// one never fills Redis.
const (
	hintsAhead    = time.Minute
	hintsAtLeast  = 500
	hintsAtMost   = 10_000
	pagesPerLook  = 40    // with open rows, so that a look stays short
	closedPerLook = 400   // with closed rows only: they are read and no more
	emptyPerLook  = 2_000 // without any: a stray row far below the others makes many
	feedLease     = 5 * time.Second
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
	return &feeder{ledger: l, campaign: c, recorder: newRecorder(rdb)}
}

// feed adds pages of hints until about `target` are in the queue, of which `live` are there already.
func (f *feeder) feed(ctx context.Context, control ledger.Control, live, target int) error {
	// A client remembers that asynq knows the queue; a new one tells it again, in case somebody deleted the queue.
	f.client = asynq.NewClientFromRedisClient(f.recorder)
	pages, rows := control.FedPages, control.FedRows
	last := ledger.PageOf(f.campaign.LastRow)
	for full, closed, empty := 0, 0, 0; full < pagesPerLook && closed < closedPerLook && live < target && pages <= last; {
		entries, err := f.ledger.Entries(ctx, f.campaign.ID, pages)
		if err != nil {
			return err
		}
		pages++
		if len(entries) == 0 && pages <= last && empty < emptyPerLook {
			empty++
			continue // the cursor moves with the next page that has rows
		}
		before := live
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
		if live > before {
			full++
		} else {
			closed++
		}
		if _, err := f.recorder.Flush(ctx); err != nil {
			return err
		}
		crash.Point("hinted")
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
	unknown bool // Redis did not answer, or asynq cannot count: it fails on a damaged entry
}

// inspect reads the queue. It comes before the ledger's status: a row that closes between the two readings then makes
// the hints look too many, never too few.
func (k *keeper) inspect() queueState {
	info, err := k.queue.GetQueueInfo(k.campaign.ID)
	if err == nil {
		return queueState{hints: info.Pending + info.Active + info.Scheduled + info.Retry, paused: info.Paused}
	}
	exists, err := k.queueExists()
	return queueState{unknown: exists || err != nil}
}

// queueExists reports whether the campaign's queue was ever fed. Most of what asynq does with a queue fails in a way of
// its own when there is none.
func (k *keeper) queueExists() (bool, error) {
	queues, err := k.queue.Queues()
	if err != nil {
		return false, fmt.Errorf("list queues: %w", err)
	}
	return slices.Contains(queues, k.campaign.ID), nil
}

// openAndFed is how many open rows should have a hint; an estimate from below once a generation was raised.
func openAndFed(s ledger.Status) int { return s.Counts.Open() - (s.Campaign.Valid - s.Control.FedRows) }

// feed keeps enough hints in the queue, one worker at a time, and notices lost ones.
func (k *keeper) feed(ctx context.Context, s ledger.Status, q queueState) error {
	if q.unknown { // what the ledger knows stands in
		q.hints = max(openAndFed(s), 0)
	}
	perSecond := rateOf(k.lane.Account, k.campaign.Rate)
	missing := k.watch.hintsLost(s, q.hints, k.feeder.done(s.Control), perSecond, k.worker.now())
	mine, err := k.ledger.Lease(ctx, "feed:"+k.campaign.ID, k.worker.name, feedLease)
	if err != nil || !mine {
		return err
	}
	bereaved, err := k.ledger.Bereaved(ctx, k.campaign.ID)
	if err != nil {
		return err
	}
	if missing || bereaved {
		return k.hintAnew(ctx, s, q)
	}
	if s.Control.Generation > 1 {
		// Hints of older generations may be all dead: only those of this one count.
		q.hints = max(openAndFed(s), 0)
	}
	target := min(max(int(perSecond*hintsAhead.Seconds()), hintsAtLeast), hintsAtMost)
	if q.hints >= target || k.feeder.done(s.Control) {
		return nil
	}
	return k.feeder.feed(ctx, s.Control, q.hints, target)
}

// hintAnew raises the generation. The hints of the one before are taken out: what is left of them would only ask about
// the same rows once more. Nobody else feeds meanwhile.
func (k *keeper) hintAnew(ctx context.Context, s ledger.Status, q queueState) error {
	if err := k.clear(); err != nil {
		return err
	}
	raised, err := k.ledger.NewGeneration(ctx, k.campaign.ID, s.Control.Generation)
	if raised {
		k.log.WarnContext(ctx, "hints lost: the open rows are hinted anew", "hints", q.hints, "open", s.Counts.Open())
	}
	return err
}

// When hints count as lost.
const (
	lostAfter  = 60 * time.Second // fewer live hints than fed open rows for so long
	stuckAfter = 20 * time.Second // nothing changed for so long although rows could go; doubled each time it did not help
	stuckMost  = 10 * time.Minute
)

// watch remembers what a keeper saw, to tell a passing moment from a lasting state.
type watch struct {
	elsewhere time.Time // since when the queue is paused and the ledger not
	fewSince  time.Time // since when there are fewer hints than open rows
	counts    string    // at the last change
	since     time.Time // the last change, or the last time that hints were made anew
	raised    int       // how often they were, since the last change
	seen      int       // the generation at the last look
}

// elsewhereAfter is how long only the queue must be paused to be taken for paused in the dashboard: a pause or a resume
// of ours passes through that state for a moment.
const elsewhereAfter = 2 * time.Second

// pausedElsewhere reports a pause that only the queue dashboard can have made.
func (w *watch) pausedElsewhere(paused bool, now time.Time) bool {
	if !paused {
		w.elsewhere = time.Time{}
	} else if w.elsewhere.IsZero() {
		w.elsewhere = now
	}
	return paused && now.Sub(w.elsewhere) >= elsewhereAfter
}

// hintsLost reports whether the open rows must be hinted anew.
func (w *watch) hintsLost(s ledger.Status, live int, fed bool, perSecond float64, now time.Time) bool {
	if counts := fmt.Sprint(s.Counts); counts != w.counts {
		w.counts, w.since, w.raised = counts, now, 0
	}
	if s.Control.Generation != w.seen { // another worker has just made them anew
		w.seen, w.since, w.fewSince = s.Control.Generation, now, time.Time{}
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
	// Hints in the hands of a dead worker are counted as live, and asynq takes two minutes to give them back. Rows that
	// wait have a time of their own.
	patience := max(stuckAfter, time.Duration(10/perSecond*float64(time.Second)))
	patience = min(patience<<min(w.raised, 10), max(patience, stuckMost))
	stuck := s.Counts[ledger.Queued] > 0 && now.Sub(w.since) >= patience
	if few || stuck {
		w.fewSince, w.since = time.Time{}, now
		w.raised++
		return true
	}
	return false
}
