package jobs

import (
	"context"
	"errors"
	"fmt"

	"pregon/internal/ledger"
	"pregon/providers"
)

// Retry asks for failed rows to be tried again.
type Retry struct {
	Code  string // only rows with this code; "" = those whose failure was a passing one
	Again bool   // also rows that a person retried before
	Who   string
}

// Retried is what came of it.
type Retried struct {
	Campaign string `json:"campaign"`
	Rows     []int  `json:"rows"`    // that are open again
	Before   int    `json:"before"`  // left out: retried before
	Lasting  int    `json:"lasting"` // left out: a retry would fare the same
	// Codes are those of the lasting ones, with how many rows bear each.
	Codes map[string]int `json:"codes"`
}

// Errors of a retry.
var (
	// ErrNeverRetry means that rows with this code are not to be tried again: the person asked not to be written to.
	ErrNeverRetry = errors.New("people who asked not to get messages are not retried")
	// ErrNoAccount means that the campaign's account is not configured here, so that nobody can tell what a code means.
	ErrNoAccount = errors.New("the campaign's account is not configured here")
)

// passing are the classes of failures that were the moment's, not the row's.
var passing = map[string]bool{
	providers.NotNow.String(): true, providers.Later.String(): true, providers.Unsent.String(): true,
	providers.Broke.String(): true, providers.Blocked.String(): true,
}

// Passing reports whether failures with this code are the moment's: a retry without a code includes them.
func (a Account) Passing(code string) bool {
	m, ok := a.Describe(code)
	return ok && passing[m.Class.String()]
}

// Retryable is how many failed rows of a campaign a retry without a code would find, as far as the codes tell.
func (a Account) Retryable(s Status) int {
	if s.State == ledger.Cancelled {
		return 0
	}
	n := s.Counts[ledger.Failed]
	for code, rows := range s.Codes {
		// Rows that bear a lasting code have failed, all of them; a passing one may be that of a row that waits.
		if m, ok := a.Describe(code); ok && (m.Class == providers.Rejected || m.Class == providers.Content) {
			n -= rows
		}
	}
	return max(n, 0)
}

// Retry opens failed rows again, each at most once unless Again: those whose failure was a passing one, or all with one
// code, which a person names after mending what it says. Rows in doubt are never among them.
func (o *Operator) Retry(ctx context.Context, id string, r Retry) (Retried, error) {
	done := Retried{Campaign: id, Rows: []int{}, Codes: map[string]int{}}
	if err := o.MayRetry(ctx, id, r.Code); err != nil {
		return done, err
	}
	for e, err := range o.ledger.Rows(ctx, id) {
		if err != nil {
			return done, err
		}
		switch {
		case e.State != ledger.Failed, r.Code != "" && e.Code != r.Code:
			continue
		case r.Code == "" && !passing[e.Class]:
			done.Lasting++
			done.Codes[e.Code]++
			continue
		}
		err := o.ledger.Decide(ctx, id, e.Number, e.Fence, ledger.TryAgain, r.Who, r.Again)
		switch {
		case err == nil:
			done.Rows = append(done.Rows, e.Number)
		case errors.Is(err, ledger.ErrRetried):
			done.Before++
		case !errors.Is(err, ledger.ErrMoved): // another retry was first
			return done, err
		}
	}
	if len(done.Rows) == 0 {
		return done, nil
	}
	return done, hintAnew(ctx, o.ledger, id)
}

// MayRetry refuses what must not be tried again: a cancelled campaign, and people who asked not to get messages.
func (o *Operator) MayRetry(ctx context.Context, id, code string) error {
	if err := o.mayBeSent(ctx, id); err != nil || code == "" {
		return err
	}
	c, err := o.ledger.Campaign(ctx, id)
	if err != nil {
		return err
	}
	a, ok := o.accounts[c.Account]
	if !ok {
		return fmt.Errorf("retry code %s of campaign %s: account %q: %w", code, id, c.Account, ErrNoAccount)
	}
	if m, ok := a.Describe(code); ok && m.Suppress == providers.Forever {
		return fmt.Errorf("retry code %s of campaign %s: %w", code, id, ErrNeverRetry)
	}
	return nil
}
