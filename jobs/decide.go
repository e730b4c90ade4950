package jobs

import (
	"context"
	"errors"
	"fmt"

	"pregon/internal/ledger"
)

// Ruling is what a person decides about rows in doubt.
type Ruling struct {
	Decision ledger.Decision // CountAsSent or SendAgain
	Rows     []Seen
	Again    bool // send again also what was sent again before
	Who      string
}

// Seen is a row as the person saw it: only that attempt is decided about.
type Seen struct {
	Row, Attempt int
}

// Ruled is what came of a ruling.
type Ruled struct {
	Campaign string          `json:"campaign"`
	Decision ledger.Decision `json:"decision"`
	Done     []int           `json:"done"`
	Left     []Left          `json:"left"`
}

// Left is a row that a ruling left as it was.
type Left struct {
	Row    int             `json:"row"`
	Reason string          `json:"reason"`          // one of those below
	State  ledger.RowState `json:"state,omitempty"` // what the row is
}

// Why a row was left.
const (
	LeftDecided = "not_in_doubt" // or no longer
	LeftChanged = "changed"      // in doubt, but after another attempt than the person saw
	LeftResent  = "resent_before"
	LeftNoRow   = "no_such_row"
)

// Decide lets a person decide about rows in doubt: they count as sent, or they are sent again, each at most once unless
// Again. Nothing of a cancelled campaign is sent again (ledger.ErrCancelled).
func (o *Operator) Decide(ctx context.Context, id string, r Ruling) (Ruled, error) {
	ruled := Ruled{Campaign: id, Decision: r.Decision, Done: []int{}, Left: []Left{}}
	if r.Decision != ledger.CountAsSent && r.Decision != ledger.SendAgain {
		return ruled, fmt.Errorf("decision %q is not %s or %s", r.Decision, ledger.CountAsSent, ledger.SendAgain)
	}
	err := o.mayBeSent(ctx, id)
	if err != nil && (r.Decision == ledger.SendAgain || !errors.Is(err, ledger.ErrCancelled)) {
		return ruled, err
	}
	resent := make(map[int]bool)
	if r.Decision == ledger.SendAgain && !r.Again {
		if resent, err = o.resent(ctx, id); err != nil {
			return ruled, err
		}
	}
	for _, seen := range r.Rows {
		if err := o.rule(ctx, id, seen, r, resent[seen.Row], &ruled); err != nil {
			return ruled, err
		}
	}
	if r.Decision == ledger.CountAsSent || len(ruled.Done) == 0 {
		return ruled, nil
	}
	return ruled, hintAnew(ctx, o.ledger, id)
}

// rule decides about one row, if it is as the person saw it.
func (o *Operator) rule(ctx context.Context, id string, seen Seen, r Ruling, resent bool, ruled *Ruled) error {
	var err error
	if !resent {
		err = o.ledger.Decide(ctx, id, seen.Row, seen.Attempt, r.Decision, r.Who, false)
		if err == nil {
			ruled.Done = append(ruled.Done, seen.Row)
			return nil
		}
		if !errors.Is(err, ledger.ErrMoved) {
			return err
		}
	}
	e, ok, err := o.ledger.Entry(ctx, id, seen.Row)
	if err != nil {
		return err
	}
	left := Left{Row: seen.Row, State: e.State, Reason: LeftDecided}
	switch {
	case !ok:
		left.Reason = LeftNoRow
	case e.State == ledger.InDoubt && resent:
		left.Reason = LeftResent
	case e.State == ledger.InDoubt:
		left.Reason = LeftChanged
	}
	ruled.Left = append(ruled.Left, left)
	return nil
}

// resent are the rows that a person had sent again before. Who saw a later attempt of such a row saw it after that was
// written.
func (o *Operator) resent(ctx context.Context, id string) (map[int]bool, error) {
	decided, err := o.ledger.Decisions(ctx, id)
	rows := make(map[int]bool)
	for _, d := range decided {
		if d.Decision == ledger.SendAgain {
			rows[d.Row] = true
		}
	}
	return rows, err
}

// mayBeSent refuses unknown and cancelled campaigns.
func (o *Operator) mayBeSent(ctx context.Context, id string) error {
	if _, err := o.ledger.Campaign(ctx, id); err != nil {
		return err
	}
	control, err := o.ledger.Control(ctx, id)
	if err == nil && control.State == ledger.Cancelled {
		err = fmt.Errorf("campaign %s: %w", id, ledger.ErrCancelled)
	}
	return err
}

// hintAnew makes the open rows of a campaign be looked at without waiting until their hints are missed.
func hintAnew(ctx context.Context, l *ledger.Ledger, id string) error {
	control, err := l.Control(ctx, id)
	if err != nil {
		return err
	}
	_, err = l.NewGeneration(ctx, id, control.Generation)
	return err
}
