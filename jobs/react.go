package jobs

import (
	"context"
	"time"

	"pregon/internal/ledger"
)

// react does what one answer means for more than its row. trial says that the message was to try the account out.
func (s *sender) react(ctx context.Context, v verdict, trial bool) {
	ctx = context.WithoutCancel(ctx)
	var err error
	switch {
	case v.close != "":
		err = s.closed(ctx, v, trial)
	case v.halt:
		err = s.halt(ctx, reasonTemplate, v.note)
	case v.strain:
		err = s.strained(ctx, v, trial)
	case v.slow:
		err = s.lane.limiter.Slow(ctx)
	}
	if err == nil && !v.strain {
		s.lane.well.Add(1)
		if trial && v.close == "" {
			err = s.reopen(ctx)
		}
	}
	if err != nil { // the next answer of the same kind, or the governor, does it again
		s.log.ErrorContext(ctx, "not told to the others", "campaign", s.campaign.ID, "err", err)
	}
}

// halt pauses this campaign.
func (s *sender) halt(ctx context.Context, reason, detail string) error {
	s.live.stopped()
	_, _, err := s.ledger.Steer(ctx, s.campaign.ID, ledger.Steering{Verb: ledger.Pause, Reason: reason, Detail: detail})
	return err
}

// closed closes the account for all its campaigns. Where only a message can tell whether the trouble is over, it says
// when one may try; an account that a trial found blocked is for a person.
func (s *sender) closed(ctx context.Context, v verdict, trial bool) error {
	s.live.stopped()
	a := ledger.Account{Reason: v.close, Code: v.code, Detail: v.note}
	switch {
	case v.code == codeWallet:
		a.Until = s.now().Add(probeEvery)
	case v.rest > 0 && !trial:
		a.Until = s.now().Add(v.rest)
	}
	if err := s.ledger.CloseAccount(ctx, s.lane.Name, a); err != nil {
		return err
	}
	if trial { // it was closed before, for as long as this
		if err := s.ledger.HoldAccount(ctx, s.lane.Name, a.Until); err != nil {
			return err
		}
	}
	return s.halt(ctx, v.close, v.note)
}

// strained tells the breaker of a message that may have been sent, or that provably never left, and stops the account
// when there are too many of them.
func (s *sender) strained(ctx context.Context, v verdict, trial bool) error {
	stop, err := s.ledger.Strain(ctx, s.lane.Name, int(s.lane.well.Swap(0)), true, trial)
	if err != nil || stop == 0 {
		return err
	}
	s.live.stopped()
	until := s.now().Add(stop)
	err = s.ledger.CloseAccount(ctx, s.lane.Name, ledger.Account{
		Reason: reasonBreaker, Code: v.code, Detail: v.note, Until: until,
	})
	if err == nil && trial {
		err = s.ledger.HoldAccount(ctx, s.lane.Name, until)
	}
	if err != nil {
		return err
	}
	return s.halt(ctx, reasonBreaker, v.note)
}

// reopen opens the account after a trial that ended well.
func (s *sender) reopen(ctx context.Context) error {
	if _, err := s.ledger.OpenAccount(ctx, s.lane.Name); err != nil {
		return err
	}
	if err := s.ledger.EndProbe(ctx, s.campaign.ID); err != nil {
		return err
	}
	return s.ledger.Unlease(ctx, dutyTrial+s.lane.Name)
}

// alarm stops a campaign whose answers say that not its rows but its template, its list or its account is wrong.
func (s *sender) alarm(ctx context.Context, alarm ledger.Alarm, o ledger.Outcome) {
	reason := map[ledger.Alarm]string{ledger.ContentAlarm: reasonTemplate, ledger.SuspectAlarm: reasonList}[alarm]
	if reason == "" {
		return
	}
	detail := o.Code
	if o.Why != "" {
		detail += " " + o.Why
	}
	if err := s.halt(ctx, reason, detail); err != nil { // the next answer of the same kind does it again
		s.log.ErrorContext(ctx, "campaign not paused", "campaign", s.campaign.ID, "reason", reason, "err", err)
	}
}

// codeWallet is contacto-virtual's "no balance" that may speak of the provider's own wallet: the account's balance does
// not tell when it is over.
const codeWallet = "1003"

// probeEvery is how long such a provider is left alone before one message tries it out again.
const probeEvery = 15 * time.Minute
