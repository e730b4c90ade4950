package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"pregon/internal/crash"
	"pregon/internal/ledger"
	"pregon/providers"
)

// The times of one send. A claim outlives the longest send, so that only a dead worker leaves an overdue one.
const (
	claimLead   = 15 * time.Millisecond  // from the claim to the slot: a few round trips to Redis
	sendWindow  = 5 * time.Second        // from the claim to the first byte of the body
	settleTime  = 15 * time.Second       // for what comes after the answer
	freshFor    = 5 * time.Second        // a copy of the campaign's state older than this counts as paused
	settlePause = 200 * time.Millisecond // between two tries to record an outcome
	claimTries  = 3
	shelfRoom   = 1000 // hints per campaign kept aside for people to see
)

// SendBudget is how long a provider may take to answer; its client keeps to it.
var SendBudget = crash.Duration("SEND_BUDGET", 60*time.Second)

// claimTime is how long a claim lives.
var claimTime = sendWindow + SendBudget + settleTime

// The reasons why an account or a campaign stands still, as stored and shown.
const (
	closeAccount   = "account"
	closeBalance   = "balance"
	reasonOperator = "operator"
	reasonWindow   = "window"
	reasonTemplate = "template"
	reasonList     = "list"
	reasonEpoch    = "epoch"
	reasonForgot   = "forgotten"
	reasonBreaker  = "breaker"
	reasonAsynqmon = "asynqmon"
)

// lane is one account as this process uses it.
type lane struct {
	Account
	limiter *Limiter
	well    atomic.Int64 // sends that ended well since the breaker was last told
}

// sender handles the hints of one campaign on this worker.
type sender struct {
	ledger   *ledger.Ledger
	lane     *lane
	campaign *ledger.Campaign
	own      *Limiter        // the campaign's own rate under the account's; nil = none
	inFlight chan struct{}   // sends in flight in this process, all campaigns together
	stop     context.Context // ends when this worker lets go of the campaign: nothing new starts
	pages    *pageCache
	live     *liveness
	recall   *recall
	barrier  *barrier
	now      func() time.Time // Redis's clock
	log      *slog.Logger
	troubled bool // the last pulse failed: said once, not every second

	background *sync.WaitGroup // releases that go on after their hint
	giveUp     context.Context // ends when the process cannot wait for them any longer
}

// ProcessTask looks at the row that a hint names. Whatever it returns, the ledger has decided before.
func (s *sender) ProcessTask(ctx context.Context, t *asynq.Task) error {
	h, err := parseHint(t)
	if err != nil || h.Campaign != s.campaign.ID {
		return &hintError{text: "not a hint of this campaign", shelve: true}
	}
	row, err := s.pages.row(ctx, h.Row)
	switch {
	case err != nil:
		s.log.ErrorContext(ctx, "row not readable", "campaign", h.Campaign, "row", h.Row, "err", err)
		return &hintError{text: "row not readable; see the worker's log", delay: staleCheck}
	case row == nil || row.Kind != ledger.Valid:
		return nil // nothing to send under this number
	}
	return s.attempt(ctx, h, row)
}

// attempt takes a slot, claims the row, and sends it in the slot.
func (s *sender) attempt(ctx context.Context, h hint, row *ledger.Row) error {
	slot, err := s.slot()
	if err != nil {
		return s.unlooked(ctx, h, "slot", err)
	}
	// A row claimed long before its slot would be in doubt for nothing if this process died meanwhile.
	if wait := time.Until(slot) - claimLead; wait > 0 && !sleep(s.stop, wait) {
		return soon("stopping")
	}
	select { // after the slot: a slow campaign must not hold what a fast one could use
	case s.inFlight <- struct{}{}:
		defer func() { <-s.inFlight }()
	case <-s.stop.Done():
		return soon("stopping")
	}
	claimed := time.Now() // before it is asked for: the answer may come long after the claim was given
	run := s.barrier.runs.Load()
	crash.Point("claim")
	claim, err := s.claim(ctx, ledger.NewClaim(h.Campaign, h.Row, s.barrier.worker), row.Country)
	if err != nil {
		s.lane.limiter.Return(slot)
		return s.unlooked(ctx, h, "claim", err)
	}
	if claim.Verdict != ledger.Go {
		s.lane.limiter.Return(slot)
		return s.notNow(ctx, claim)
	}
	crash.Point("claimed")
	if err := s.recall.journal.Claimed(claim); err != nil { // what is not written down is not sent
		s.lane.limiter.Return(slot)
		s.release(claim)
		return s.unlooked(ctx, h, "journal", err)
	}
	if !s.paced(slot, claimed) {
		s.release(claim)
		return soon("slot missed")
	}
	return s.send(ctx, claim, s.message(row, claim, claimed, run))
}

// send hands the message over, once, and records what came of it.
func (s *sender) send(ctx context.Context, claim ledger.Claim, m providers.Message) error {
	began := time.Now()
	receipt, sendErr := s.lane.Provider.Send(context.WithoutCancel(ctx), m)
	crash.Point("answered")
	v := s.verdict(ctx, receipt, sendErr, claim)
	v.outcome.Took = time.Since(began)
	err := s.finish(ctx, claim, v)
	crash.Point("hint-done")
	return err
}

// slot leases the time in which to send: the campaign's own rate first, then the account's.
func (s *sender) slot() (time.Time, error) {
	if s.own != nil {
		slot, err := s.own.Take(s.stop)
		if err != nil {
			return slot, err
		}
		if !s.own.Pace(s.stop, slot) {
			return slot, errors.New("slot of the campaign missed")
		}
	}
	return s.lane.limiter.Take(s.stop)
}

// paced waits for the slot, or for another one when it was missed, as long as the claim may still be used.
func (s *sender) paced(slot, claimed time.Time) bool {
	ctx, cancel := context.WithDeadline(s.stop, claimed.Add(sendWindow/2))
	defer cancel()
	for !s.lane.limiter.Pace(ctx, slot) {
		var err error
		if slot, err = s.lane.limiter.Take(ctx); err != nil {
			return false
		}
	}
	return true
}

// claim asks for the row, with one nonce however often the answer is lost. When no answer comes at all the claim is
// released in the background: it may have been given, and it certainly sent nothing.
func (s *sender) claim(ctx context.Context, ticket ledger.Claim, country string) (ledger.Claim, error) {
	var err error
	for range claimTries {
		var claim ledger.Claim
		if claim, err = s.ledger.Claim(ctx, ticket, country, claimTime); err == nil {
			return claim, nil
		}
		if errors.Is(err, ledger.ErrCorrupt) {
			return ticket, err
		}
	}
	s.release(ticket)
	return ticket, err
}

// release gives a claim back that sent nothing, in the background until Redis has it: also long after the claim is
// over, when the row is in doubt for nothing.
func (s *sender) release(claim ledger.Claim) {
	s.recall.Dropped(claim)
	s.background.Go(func() {
		for {
			_, err := s.ledger.Release(s.giveUp, claim)
			if err == nil || errors.Is(err, ledger.ErrCorrupt) || !sleep(s.giveUp, settlePause) {
				return
			}
		}
	})
}

// message makes what is sent. Its gate is the last instruction before the money.
func (s *sender) message(row *ledger.Row, claim ledger.Claim, claimed time.Time, run int64) providers.Message {
	wall := claimed.Round(0) // without the monotonic clock, which stands still while a machine sleeps
	return providers.Message{
		To: row.Phone, Template: s.campaign.Template, Vars: row.Vars, MediaURL: row.Media, CustomField: row.Custom,
		Ref: claim.Campaign + ":" + strconv.Itoa(claim.Row) + ":" + strconv.Itoa(claim.Fence),
		Gate: func() error {
			switch {
			case time.Since(claimed) > sendWindow || time.Now().Round(0).Sub(wall).Abs() > sendWindow:
				return fmt.Errorf("the claim is too old: %w", errGate)
			case s.barrier.runs.Load() != run:
				return fmt.Errorf("the claim is of another run of redis: %w", errGate)
			case s.stop.Err() != nil || !s.live.fresh():
				return fmt.Errorf("the campaign does not run: %w", errGate)
			}
			crash.Point("body-open")
			return nil
		},
	}
}

// verdict judges an answer; a code that means "no balance or inactive" is decided by the balance.
func (s *sender) verdict(ctx context.Context, r providers.Receipt, err error, claim ledger.Claim) verdict {
	if e, ok := errors.AsType[*providers.Error](err); ok && e != nil && e.AskBalance {
		if b, can := s.lane.Provider.(balancer); can {
			balance, balanceErr := b.Balance(context.WithoutCancel(ctx))
			if balanceErr == nil {
				err = e.WithBalance(balance, s.lane.lowBalance())
			}
		}
	}
	return judge(r, err, claim)
}

// lowBalance is what no longer pays a message.
func (a Account) lowBalance() float64 {
	if a.Cost == nil {
		return 0
	}
	return *a.Cost
}

// finish records what came of a claim and tells those concerned.
func (s *sender) finish(ctx context.Context, claim ledger.Claim, v verdict) error {
	if v.release {
		s.release(claim)
		return paused(v.note)
	}
	v.outcome.Account = s.lane.Name
	s.recall.journal.Settled(claim, v.outcome)
	s.react(ctx, v, claim.Probe)
	crash.Point("settle")
	s.settle(ctx, claim, v.outcome)
	crash.Point("settled")
	switch v.outcome.State {
	case ledger.Failed:
		return s.shelve(ctx, v.note+"; enqueue retry")
	case ledger.InDoubt:
		return s.shelve(ctx, v.note+"; enqueue doubt")
	case ledger.Waiting:
		return &hintError{text: v.note, delay: v.outcome.After, failure: v.outcome.Tried}
	case ledger.Queued:
		return &hintError{text: v.note, delay: pauseCheck}
	}
	return nil
}

// settle records an outcome and does not give up before Redis has it: no one else knows it.
func (s *sender) settle(ctx context.Context, claim ledger.Claim, o ledger.Outcome) {
	ctx = context.WithoutCancel(ctx)
	for tried := 0; ; tried++ {
		alarm, err := s.ledger.Settle(ctx, claim, o)
		switch {
		case err == nil:
			s.alarm(ctx, alarm, o)
			return
		case errors.Is(err, ledger.ErrFenced), errors.Is(err, ledger.ErrCorrupt):
			s.log.ErrorContext(ctx, "outcome not recorded", "campaign", claim.Campaign, "row", claim.Row,
				"fence", claim.Fence, "outcome", o.State, "code", o.Code, "err", err)
			return
		case tried == 0:
			s.log.WarnContext(ctx, "outcome waits for Redis", "campaign", claim.Campaign, "row", claim.Row, "err", err)
		}
		sleep(ctx, settlePause)
	}
}

// notNow turns a claim that was not given into what its hint becomes.
func (s *sender) notNow(ctx context.Context, c ledger.Claim) error {
	switch c.Verdict {
	case ledger.Busy:
		return &hintError{text: "being sent", delay: min(c.Retry, claimTime)}
	case ledger.Wait:
		return &hintError{text: "not before its time", delay: time.Until(c.Due)}
	case ledger.Closed:
		return paused("paused " + c.Reason)
	case ledger.Window:
		return paused("outside contact hours")
	case ledger.Probing:
		return paused("one message tries the account out")
	case ledger.Epoch:
		return soon("redis was restarted: workers are asked what they did")
	case ledger.Doubt:
		return s.shelve(ctx, c.Code+"; enqueue doubt")
	case ledger.Done:
		if c.State == ledger.Failed {
			return s.shelve(ctx, c.Code+"; enqueue retry")
		}
		return nil
	}
	return soon("released")
}

// shelve keeps a hint where people see it, as long as there is room: the ledger has the row in any case.
func (s *sender) shelve(ctx context.Context, text string) error {
	room, err := s.ledger.Shelve(context.WithoutCancel(ctx), s.campaign.ID, shelfRoom)
	if err != nil || !room {
		return nil //nolint:nilerr // the shelf is a courtesy
	}
	return &hintError{text: text, shelve: true}
}

// unlooked is a hint that could not be looked at: Redis is away, or this worker is stopping.
func (s *sender) unlooked(ctx context.Context, h hint, step string, err error) error {
	if s.stop.Err() != nil {
		return soon("stopping")
	}
	s.log.WarnContext(ctx, "row not looked at", "campaign", h.Campaign, "row", h.Row, "step", step, "err", err)
	return &hintError{text: step + " not possible", delay: pauseCheck}
}

func paused(why string) error { return &hintError{text: why, delay: pauseCheck} }

// soon is for a row that nothing stands in the way of: this worker was only not the one to send it now.
func soon(why string) error { return &hintError{text: why, delay: time.Second} }
