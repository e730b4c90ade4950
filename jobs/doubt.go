package jobs

import (
	"context"
	"math"
	"time"

	"pregon/internal/ledger"
)

// Doubts are the rows of a campaign that may or may not have been sent, with all that is known about them.
type Doubts struct {
	Campaign  string           `json:"campaign"`
	Rows      []Doubt          `json:"rows"`
	Balance   *BalanceEvidence `json:"balance,omitempty"`
	Decisions []DecisionOfARow `json:"decisions"`
}

// Of is the part about some of the rows. The balance and what was decided stay as they are.
func (d Doubts) Of(wanted func(row int) bool) Doubts {
	rows := []Doubt{}
	for _, doubt := range d.Rows {
		if wanted(doubt.Row) {
			rows = append(rows, doubt)
		}
	}
	d.Rows = rows
	return d
}

// Doubt is one row in doubt.
type Doubt struct {
	Row     int        `json:"row"`
	Phone   string     `json:"phone"`
	Attempt int        `json:"attempt"` // its fence: what is decided is about this attempt only
	From    time.Time  `json:"from"`    // when it was claimed
	To      time.Time  `json:"to"`      // when it became in doubt
	Code    string     `json:"code"`
	Why     string     `json:"why,omitempty"` // the provider's words
	Replied *time.Time `json:"replied_at,omitempty"`
	// Orphans is how many messages that no row knows were reported about in its time; KnownDoubts is how many rows in
	// doubt could be meant by them.
	Orphans     int       `json:"orphans"`
	KnownDoubts int       `json:"doubts_in_time"`
	History     []Attempt `json:"history,omitempty"`
}

// BalanceEvidence compares the account's balance before the first and after the last doubt with what was accepted
// meanwhile. Others may have used the account too.
type BalanceEvidence struct {
	Before   time.Time `json:"before"`
	After    time.Time `json:"after"`
	Spent    float64   `json:"spent"`
	Accepted int       `json:"accepted"`          // rows of this campaign
	Doubts   int       `json:"in_doubt"`          // rows that came into doubt meanwhile, also those decided about since
	Cost     *float64  `json:"cost,omitempty"`    // of a message; null when the account has no price configured
	Charged  *int      `json:"charged,omitempty"` // of those in doubt; null when the figures do not add up
}

// DecisionOfARow is what a person decided earlier.
type DecisionOfARow struct {
	At       time.Time       `json:"at"`
	Decision ledger.Decision `json:"decision"`
	Row      int             `json:"row"`
	Attempt  int             `json:"attempt"`
	Code     string          `json:"code"`
	Who      string          `json:"who"`
}

// orphanSlack is how long after a row became in doubt a report about its message may still say that it was sent.
const orphanSlack = time.Minute

// Doubts lists the rows of a campaign that are in doubt, with their evidence, and what was decided before.
func (o *Operator) Doubts(ctx context.Context, id string) (Doubts, error) {
	c, err := o.ledger.Campaign(ctx, id)
	if err != nil {
		return Doubts{}, err
	}
	d := Doubts{Campaign: id, Rows: []Doubt{}, Decisions: []DecisionOfARow{}}
	rows, err := o.ledger.InDoubt(ctx, id)
	if err != nil {
		return d, err
	}
	for _, row := range rows {
		doubt, still, err := o.doubt(ctx, c, row)
		if err != nil {
			return d, err
		}
		if still {
			d.Rows = append(d.Rows, doubt)
		}
	}
	shareTime(d.Rows)
	if d.Balance, err = o.balanceEvidence(ctx, c, d.Rows); err != nil {
		return d, err
	}
	decided, err := o.ledger.Decisions(ctx, id)
	for _, x := range decided {
		d.Decisions = append(d.Decisions, DecisionOfARow{
			At: x.At.UTC(), Decision: x.Decision, Row: x.Row, Attempt: x.Fence, Code: x.Code, Who: x.Who,
		})
	}
	return d, err
}

// doubt gathers what is known about one row; false when it is no longer in doubt.
func (o *Operator) doubt(ctx context.Context, c *ledger.Campaign, row int) (Doubt, bool, error) {
	e, ok, err := o.ledger.Entry(ctx, c.ID, row)
	if err != nil || !ok || e.State != ledger.InDoubt {
		return Doubt{}, false, err
	}
	d := Doubt{
		Row: row, Phone: e.Phone, Attempt: e.Fence, From: e.ChangedAt.Add(-e.Took).UTC(), To: e.ChangedAt.UTC(),
		Code: e.Code, Why: e.Why, History: history(e.Record),
	}
	at, fence, replied, err := o.ledger.Reply(ctx, c.ID, row)
	if err != nil {
		return d, true, err
	}
	if replied && fence >= e.Fence {
		d.Replied = instant(at)
	}
	orphans, err := o.ledger.Orphans(ctx, c.Account, d.From, d.To.Add(orphanSlack))
	d.Orphans = len(orphans)
	return d, true, err
}

// shareTime counts for each row how many could be meant by a report of its time.
func shareTime(rows []Doubt) {
	for i := range rows {
		for _, other := range rows {
			if other.From.Before(rows[i].To.Add(orphanSlack)) && rows[i].From.Before(other.To.Add(orphanSlack)) {
				rows[i].KnownDoubts++
			}
		}
	}
}

// balanceEvidence compares the last balance before the first doubt with the first one after the last; nil when there
// are none.
func (o *Operator) balanceEvidence(ctx context.Context, c *ledger.Campaign, rows []Doubt) (*BalanceEvidence, error) {
	marks, err := o.ledger.BalanceMarks(ctx, c.ID)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	before, after := around(marks, rows)
	if before == nil || after == nil {
		return nil, nil
	}
	e := BalanceEvidence{
		Before: before.At.UTC(), After: after.At.UTC(), Spent: before.Amount - after.Amount,
		Accepted: after.Accepted - before.Accepted, Doubts: after.InDoubt - before.InDoubt,
	}
	if a, ok := o.accounts[c.Account]; ok && a.Cost != nil && *a.Cost > 0 {
		e.Cost = a.Cost
		charged := int(math.Round(e.Spent / *a.Cost)) - e.Accepted
		if charged >= 0 && charged <= e.Doubts {
			e.Charged = &charged
		}
	}
	return &e, nil
}

// around finds the balances between which all these rows came into doubt. The first one after must have seen them all:
// moments are known to the second only.
func around(marks []ledger.BalanceMark, rows []Doubt) (before, after *ledger.BalanceMark) {
	first, last := rows[0].From, rows[0].To
	for _, d := range rows {
		if d.From.Before(first) {
			first = d.From
		}
		if d.To.After(last) {
			last = d.To
		}
	}
	for i, m := range marks {
		switch {
		case !m.At.After(first), m.Accepted+m.InDoubt == 0: // rows know their moments to the second
			before = &marks[i]
		case before != nil && m.At.After(last) && m.InDoubt-before.InDoubt >= len(rows):
			return before, &marks[i]
		}
	}
	return before, nil
}
