package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"pregon/campaign"
	"pregon/internal/crash"
	"pregon/internal/ledger"
)

// keeper looks after one campaign on one worker. Everything it does is safe when another worker does it too.
type keeper struct {
	worker   *Worker
	ledger   *ledger.Ledger
	campaign *ledger.Campaign
	lane     *lane
	feeder   *feeder
	queue    *asynq.Inspector
	log      *slog.Logger
	nudged   chan struct{}

	live     liveness
	barrier  *barrier
	server   *server
	watch    watch
	troubled bool // the last look failed: said once, not every second
	marked   mark
	asks     sync.WaitGroup // for the balance
}

// How often a keeper looks: every second while its campaign runs, seldom otherwise; a nudge comes at once.
const (
	runningLook = time.Second
	idleLook    = 5 * time.Second
	sweepBatch  = 200
)

var errForeign = errors.New("this worker does not have the campaign's account")

// newKeeper returns nil for a draft: until it is launched, its rules may change.
func (w *Worker) newKeeper(ctx context.Context, id string) (*keeper, error) {
	control, err := w.cfg.Ledger.Control(ctx, id)
	if err != nil || control.State == ledger.Draft {
		return nil, err
	}
	c, err := w.cfg.Ledger.Campaign(ctx, id)
	if err != nil {
		return nil, err
	}
	k := &keeper{
		worker: w, ledger: w.cfg.Ledger, campaign: c, lane: w.lanes[c.Account], log: w.log.With("campaign", id),
		nudged: make(chan struct{}, 1), queue: asynq.NewInspectorFromRedisClient(w.cfg.Redis),
		feeder: newFeeder(w.cfg.Redis, w.cfg.Ledger, c),
	}
	k.barrier = &barrier{ledger: w.cfg.Ledger, recall: w.recall, campaign: id, worker: w.short, log: w.log}
	if k.lane == nil {
		k.log.WarnContext(ctx, "campaign left to other workers", "account", c.Account, "err", errForeign)
	}
	return k, nil
}

// keep looks after the campaign until it is over or ctx ends; then it drains.
func (k *keeper) keep(ctx context.Context) {
	defer k.barrier.leave()
	defer k.asks.Wait()
	defer k.unserve()
	for {
		look, over := k.look(ctx)
		if over {
			return
		}
		t := time.NewTimer(look)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-k.nudged:
			t.Stop()
		case <-t.C:
		}
	}
}

// look does what the campaign needs now. It returns when to look again, and whether the campaign is over.
func (k *keeper) look(ctx context.Context) (time.Duration, bool) {
	queue := k.inspect()
	s, err := k.ledger.Status(ctx, k.campaign.ID)
	if err != nil {
		k.trouble(ctx, "read", err)
		return runningLook, false
	}
	if !s.Sound() {
		k.log.ErrorContext(ctx, "the states of the campaign do not add up: they are counted anew", "counts", s.Counts)
		if err := k.ledger.Recount(ctx, k.campaign.ID, true); err != nil {
			k.trouble(ctx, "recount", err)
		}
		return runningLook, false
	}
	over := false
	switch {
	case s.Control.State == ledger.Finished || s.Control.State == ledger.Cancelled:
		k.unserve()
		over, err = k.end(ctx, s)
	case k.lane == nil: // what needs the account is for other workers
		return idleLook, false
	case s.Control.State == ledger.Running:
		err = errors.Join(k.run(ctx, s, queue), k.settleStrain(ctx))
	case s.Control.State == ledger.Paused:
		k.watch = watch{} // time that passes from here on says nothing about hints
		k.unserve()
		err = k.wait(ctx, s, queue)
	case s.Control.State == ledger.Scheduled:
		err = k.schedule(ctx)
	}
	if over {
		return 0, true
	}
	k.trouble(ctx, "serve", err)
	k.markBalance(ctx, s)
	if s.Control.State == ledger.Running {
		return runningLook, false
	}
	return idleLook, false
}

// trouble says what went wrong when it begins, and nothing while it lasts.
func (k *keeper) trouble(ctx context.Context, step string, err error) {
	if err != nil && !k.troubled && ctx.Err() == nil {
		k.log.WarnContext(ctx, "campaign not looked after fully", "step", step, "err", err)
	}
	k.troubled = err != nil
}

// run governs, sweeps, feeds and serves a running campaign.
func (k *keeper) run(ctx context.Context, s ledger.Status, queue queueState) error {
	pause, err := k.obstacle(ctx, s.Control, queue)
	if err != nil {
		return err
	}
	if pause.Verb != "" {
		k.live.stopped()
		_, _, err := k.ledger.Steer(ctx, k.campaign.ID, pause) // first: letting go may wait for a provider's answer
		k.unserve()
		return err
	}
	if err := k.sweep(ctx); err != nil {
		return err
	}
	if s.Counts.Open() == 0 {
		_, _, err := k.ledger.Steer(ctx, k.campaign.ID, ledger.Steering{Verb: ledger.Finish})
		return err
	}
	if k.server == nil {
		if k.marked.at.IsZero() { // what was spent since then tells about doubts of the first second too
			k.marked = mark{at: time.Now(), inDoubt: s.Counts[ledger.InDoubt]}
			k.askBalance(ctx, s.Counts, "first-balance:")
		}
		if k.server, err = k.worker.serve(ctx, k.campaign, k.lane, &k.live, k.barrier); err != nil {
			return err
		}
	}
	return k.feed(ctx, s, queue)
}

// obstacle says why a running campaign must pause, if it must, and otherwise tells CLAIM until when it may go on.
func (k *keeper) obstacle(ctx context.Context, c ledger.Control, q queueState) (ledger.Steering, error) {
	account, err := k.ledger.Account(ctx, k.campaign.Account)
	if err != nil {
		return ledger.Steering{}, err
	}
	switch {
	case account.Closed && !(c.Probing && k.worker.now().Sub(c.Since) < probeTime):
		return ledger.Steering{Verb: ledger.Pause, Reason: account.Reason, Detail: account.Detail}, nil
	case c.Probing && !account.Closed: // who sent the trial message died before it told
		if err := k.ledger.EndProbe(ctx, k.campaign.ID); err != nil {
			return ledger.Steering{}, err
		}
	}
	closing, opens := k.hours(k.worker.now())
	if len(closing) == 0 {
		detail := "opens " + opens.Format(time.RFC3339)
		return ledger.Steering{Verb: ledger.Pause, Reason: reasonWindow, Detail: detail}, nil
	}
	if k.watch.pausedElsewhere(q.paused, k.worker.now()) {
		return ledger.Steering{Verb: ledger.Pause, Reason: reasonAsynqmon, Detail: "paused in the queue dashboard"}, nil
	}
	return ledger.Steering{}, k.ledger.OpenUntil(ctx, k.campaign.ID, closing)
}

// openStretch bounds how long a country stays open without a worker looking: rules may change.
const openStretch = 10 * time.Minute

// hours says until when each country of the campaign may be contacted, and, when none may, when the first opens.
func (k *keeper) hours(now time.Time) (closing map[string]time.Time, opens time.Time) {
	stretch := now.Add(openStretch)
	if k.campaign.AnyHour {
		return map[string]time.Time{"*": stretch}, time.Time{}
	}
	closing = make(map[string]time.Time)
	for _, country := range k.campaign.Countries {
		open, change := campaign.Hours(country, campaign.Purpose(k.campaign.Purpose)).Open(now)
		switch {
		case open && (change.IsZero() || change.After(stretch)):
			closing[country] = stretch
		case open:
			closing[country] = change
		case opens.IsZero() || change.Before(opens):
			opens = change
		}
	}
	return closing, opens
}

// wait keeps a paused campaign as it is, and resumes it when the reason of a machine's pause is gone.
func (k *keeper) wait(ctx context.Context, s ledger.Status, queue queueState) error {
	if err := k.sweep(ctx); err != nil {
		return err
	}
	if s.Counts.Open() == 0 {
		_, _, err := k.ledger.Steer(ctx, k.campaign.ID, ledger.Steering{Verb: ledger.Finish})
		return err
	}
	if s.Control.Reason == reasonAsynqmon && !s.Control.ByPerson {
		if queue.paused || queue.unknown {
			return nil
		}
		resume := ledger.Steering{Verb: ledger.Resume, Reason: reasonAsynqmon}
		return k.worker.operator.resume(ctx, k.campaign.ID, resume)
	}
	gone, trial, err := k.reasonGone(ctx, s.Control)
	if err != nil {
		return err
	}
	if gone {
		resume := ledger.Steering{Verb: ledger.Resume, Reason: s.Control.Reason, Probe: trial}
		return k.worker.operator.resume(ctx, k.campaign.ID, resume)
	}
	if queue.paused || time.Since(s.Control.Since) < 2*time.Second {
		return nil
	}
	return k.assertPause(ctx)
}

// assertPause shows the ledger's pause in the queue dashboard. Somebody may be resuming at this very moment, so it
// looks once more afterwards.
func (k *keeper) assertPause(ctx context.Context) error {
	if err := k.queue.PauseQueue(k.campaign.ID); err != nil {
		return nil //nolint:nilerr // it is paused already, or has no queue yet
	}
	now, err := k.ledger.Control(ctx, k.campaign.ID)
	if err == nil && now.State == ledger.Running {
		_ = k.queue.UnpauseQueue(k.campaign.ID) // an error means that it is not paused
	}
	return err
}

// reasonGone says whether what paused the campaign is over, or whether one message may find out. A person's pause never
// is.
func (k *keeper) reasonGone(ctx context.Context, c ledger.Control) (gone, trial bool, err error) {
	if c.ByPerson {
		return false, false, nil
	}
	switch c.Reason {
	case reasonEpoch: // until who was missed has said what it did, or a person says to go on
		p, err := k.barrier.pass(ctx)
		if p.open {
			k.barrier.leave() // nobody sends yet
		}
		return p.open, false, err
	case reasonWindow:
		closing, _ := k.hours(k.worker.now())
		return len(closing) > 0, false, nil
	case closeAccount, closeBalance, reasonBreaker:
		a, err := k.ledger.Account(ctx, k.campaign.Account)
		if err != nil || !a.Closed {
			return err == nil, false, err
		}
		return k.reopened(ctx, a)
	}
	return false, false, nil
}

// schedule starts a campaign whose time has come.
func (k *keeper) schedule(ctx context.Context) error {
	if k.worker.now().Before(k.campaign.At) {
		return nil
	}
	_, _, err := k.ledger.Steer(ctx, k.campaign.ID, ledger.Steering{Verb: ledger.Start})
	return err
}

// end clears up after a campaign that is over: no hint that would be looked at stays, and no claim is left without a
// result.
func (k *keeper) end(ctx context.Context, s ledger.Status) (bool, error) {
	if err := k.sweep(ctx); err != nil {
		return false, err
	}
	if err := k.clear(); err != nil {
		return false, err
	}
	if s.Counts[ledger.Sending] > 0 {
		return false, nil
	}
	_ = k.queue.UnpauseQueue(k.campaign.ID) // an error means that it is not paused
	if s.Counts[ledger.InDoubt] > 0 && k.lane != nil {
		k.askBalance(ctx, s.Counts, "last-balance:")
	}
	if err := k.ledger.Retire(ctx, k.campaign.ID); err != nil {
		return false, err
	}
	// A late settle may have woken the campaign since its status was read, and put it before the workers for nothing.
	now, err := k.ledger.Control(ctx, k.campaign.ID)
	if err == nil && now.State != ledger.Finished && now.State != ledger.Cancelled {
		err = k.ledger.Activate(ctx, k.campaign.ID)
	}
	return err == nil, err
}

// clear takes the hints of a campaign that is over out of its queue: those of a cancelled one, and those of an older
// generation than the one that finished it.
func (k *keeper) clear() error {
	if exists, err := k.queueExists(); err != nil || !exists {
		return err
	}
	for _, remove := range []func(string) (int, error){
		k.queue.DeleteAllPendingTasks, k.queue.DeleteAllScheduledTasks, k.queue.DeleteAllRetryTasks,
	} {
		if _, err := remove(k.campaign.ID); err != nil {
			return fmt.Errorf("clear queue: %w", err)
		}
	}
	return nil
}

// sweep puts claims that outlived their deadline in doubt.
func (k *keeper) sweep(ctx context.Context) error {
	rows, err := k.ledger.Overdue(ctx, k.campaign.ID, claimTime, sweepBatch)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := k.ledger.Expire(ctx, k.campaign.ID, row); err != nil {
			return err
		}
		crash.Point("swept")
	}
	return nil
}

func (k *keeper) unserve() {
	k.live.stopped()
	if k.server != nil {
		k.server.close()
		k.server = nil
	}
}
