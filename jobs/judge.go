package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"pregon/internal/ledger"
	"pregon/providers"
)

// The limits of trying again. They count what the ledger counts, not what asynq does.
const (
	maxTries     = 5                // refusals "not now" before a row fails
	maxLater     = 2                // "a day later" before a row fails: one more try
	firstBackoff = 2 * time.Second  // first wait
	lastBackoff  = 5 * time.Minute  // longest wait
	laterWait    = 24 * time.Hour   // shortest wait after "a day later"
	pauseCheck   = 5 * time.Second  // when a hint that found its campaign paused looks again
	staleCheck   = 15 * time.Second // when a hint that could not be looked at looks again
)

// verdict is what follows from one attempt: what the ledger records, what the hint becomes, and who else must know.
type verdict struct {
	outcome ledger.Outcome
	code    string        // the provider's or ours
	note    string        // for the hint: code and reason, never a person
	slow    bool          // the provider said "too fast"
	halt    bool          // stop this campaign: no message of it can fare better
	close   string        // stop the account: "account" or "balance"
	rest    time.Duration // how long to leave a closed account alone before one message tries it out; 0 = not said
	release bool          // nothing was tried: give the claim back
	strain  bool          // the message may have been sent, or provably never left: the breaker counts it
}

// errGate is why a body was held back at the last moment. The row was not tried.
var errGate = errors.New("held back at the gate")

// codeInternal is our code for what a provider said in a way in which it says nothing.
const codeInternal = "internal"

// judge turns what Send returned into a verdict. It is the only place where a class becomes an action.
func judge(r providers.Receipt, err error, claim ledger.Claim) verdict {
	if err == nil {
		return verdict{outcome: ledger.Outcome{
			State: ledger.Accepted, MessageID: r.ID, Class: providers.Accepted.String(),
		}}
	}
	e, ok := errors.AsType[*providers.Error](err)
	switch {
	case ok && e == nil: // a provider that breaks its contract, as in the last case: the class is Unknown
		e = &providers.Error{Code: codeInternal}
		err = e
	case errors.Is(err, errGate):
		return verdict{release: true, note: errGate.Error()}
	case !ok:
		e = &providers.Error{Code: codeInternal}
	}
	v := verdict{code: e.Code, note: note(e), halt: e.Halt}
	switch providers.ClassOf(err) {
	case providers.Unsent:
		v.strain = true
		v.outcome = ledger.Outcome{State: ledger.Waiting, Code: e.Code, After: max(e.RetryAfter, backoff(claim.Fence))}
	case providers.NotNow:
		v.slow = true
		v.outcome = again(e, claim, maxTries, max(e.RetryAfter, backoff(claim.Tries+1)))
	case providers.Later:
		v.outcome = again(e, claim, maxLater, max(e.RetryAfter, laterWait))
	case providers.Rejected, providers.Content:
		v.outcome = ledger.Outcome{State: ledger.Failed, Code: e.Code, Tried: true}
	case providers.Blocked:
		v.rest = e.RetryAfter
		v.outcome, v.close = ledger.Outcome{State: ledger.Queued, Code: e.Code}, closeAccount
	case providers.Broke:
		v.outcome, v.close = ledger.Outcome{State: ledger.Queued, Code: e.Code}, closeBalance
	default:
		v.strain = true
		v.outcome = ledger.Outcome{State: ledger.InDoubt, Code: e.Code, Tried: true}
	}
	v.outcome.Class, v.outcome.Why, v.outcome.Suspect = providers.ClassOf(err).String(), e.Reason, e.Suspect
	return v
}

// again waits for another try, or gives up when the tries are used up.
func again(e *providers.Error, claim ledger.Claim, limit int, wait time.Duration) ledger.Outcome {
	if claim.Tries+1 >= limit {
		return ledger.Outcome{State: ledger.Failed, Code: e.Code, Tried: true}
	}
	return ledger.Outcome{State: ledger.Waiting, Code: e.Code, After: wait, Tried: true}
}

// backoff waits longer after each attempt, with full jitter so that a fleet does not come back all at once.
func backoff(attempt int) time.Duration {
	ceiling := lastBackoff
	if attempt < 9 { // 2 s · 2⁸ is above the maximum
		ceiling = min(firstBackoff<<max(attempt-1, 0), lastBackoff)
	}
	return min(firstBackoff/2+rand.N(ceiling), lastBackoff)
}

// note is what the queue dashboard shows of an error: the code and the provider's masked words.
func note(e *providers.Error) string {
	if e.Reason == "" {
		return e.Code
	}
	return e.Code + " " + e.Reason
}

// hintError is how a hint ends when it does not simply succeed. asynq shows its text.
type hintError struct {
	text    string
	delay   time.Duration // until it looks again
	failure bool          // a try was counted
	shelve  bool          // a person decides: keep it aside to be seen
}

func (e *hintError) Error() string { return e.text }

// Is makes asynq archive a hint that only a person can bring on.
func (e *hintError) Is(target error) bool {
	return e.shelve && target == asynq.SkipRetry //nolint:errorlint // this is what errors.Is asks
}

// retryDelay is asynq's RetryDelayFunc: the hint itself says when.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if e, ok := errors.AsType[*hintError](err); ok {
		return max(e.delay, time.Second)
	}
	return staleCheck
}

// isFailure is asynq's IsFailure: only what counts as a try counts as a failure there. A lease that ran out says
// nothing about the row.
func isFailure(err error) bool {
	if errors.Is(err, asynq.ErrLeaseExpired) || errors.Is(err, context.Canceled) {
		return false
	}
	e, ok := errors.AsType[*hintError](err)
	return ok && (e.failure || e.shelve)
}
