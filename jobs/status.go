package jobs

import (
	"context"
	"errors"
	"iter"
	"time"

	"pregon/campaign"
	"pregon/internal/ledger"
)

// Status is a campaign as people and scripts see it.
type Status struct {
	Campaign   string         `json:"campaign"`
	Name       string         `json:"name"`
	State      ledger.State   `json:"state"`
	Reason     string         `json:"reason"`
	Detail     string         `json:"detail,omitempty"`
	Trial      bool           `json:"trial,omitempty"` // it runs to try the account out with one message
	Account    string         `json:"account"`
	Total      int            `json:"total"`
	Counts     ledger.Counts  `json:"counts"`
	Codes      map[string]int `json:"codes"`
	Rate       float64        `json:"rate"` // messages per second that it may reach
	ETA        *time.Time     `json:"eta"`  // null when it does not run
	CreatedAt  *time.Time     `json:"created_at"`
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
	Scheduled  *time.Time     `json:"scheduled_at,omitempty"`
	Template   string         `json:"template,omitempty"`
	File       string         `json:"file"`
}

// Over reports whether nothing will be sent any more without a person.
func (s Status) Over() bool { return s.State == ledger.Finished || s.State == ledger.Cancelled }

// Status reads one campaign; its cost does not grow with the campaign.
func (o *Operator) Status(ctx context.Context, id string) (Status, error) {
	s, err := o.ledger.Status(ctx, id)
	if err != nil {
		return Status{}, err
	}
	c := s.Campaign
	rate := c.Rate
	if a, ok := o.accounts[c.Account]; ok {
		rate = rateOf(a, c.Rate)
	}
	status := Status{
		Campaign: c.ID, Name: c.Name, State: s.Control.State, Reason: s.Control.Reason, Detail: s.Control.Detail,
		Account: c.Account, Total: c.Rows, Counts: s.Counts, Codes: s.Codes, Rate: rate, Template: c.Template,
		File: c.File, CreatedAt: instant(c.CreatedAt), StartedAt: instant(s.Control.StartedAt),
		FinishedAt: instant(s.Control.FinishedAt), Scheduled: instant(c.At),
	}
	status.Trial = s.Control.State == ledger.Running && s.Control.Probing
	if s.Control.State == ledger.Running && rate > 0 && s.Counts.Open() > 0 {
		launch := Launch{AnyHour: c.AnyHour, Purpose: campaign.Purpose(c.Purpose)}
		eta := finishTime(time.Now(), s.Counts.Open(), rate, launch).Truncate(time.Second)
		status.ETA = &eta
	}
	return status, nil
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// List reads all campaigns, the newest first.
func (o *Operator) List(ctx context.Context) ([]Status, error) {
	ids, err := o.ledger.List(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Status, 0, len(ids))
	for _, id := range ids {
		s, err := o.Status(ctx, id)
		if errors.Is(err, ledger.ErrNoCampaign) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Result is one row of a campaign: what it was to be and what became of it.
type Result struct {
	Row       int             `json:"row"`
	Phone     string          `json:"phone,omitempty"`
	State     ledger.RowState `json:"state"`
	Code      string          `json:"code,omitempty"`
	Column    string          `json:"column,omitempty"` // of a row that was refused at the check
	MessageID string          `json:"message_id,omitempty"`
	Attempts  int             `json:"attempts"`
	History   []Attempt       `json:"history,omitempty"`
	ChangedAt *time.Time      `json:"changed_at,omitempty"`
	Vars      []string        `json:"vars,omitempty"`
	Custom    string          `json:"custom_field,omitempty"`

	problem *ledger.Problem
}

// Reason says in words why a row was refused or left out at the check of its file; "" for other rows, whose codes
// Account.Describe explains.
func (r Result) Reason(lang string) string {
	if r.problem == nil {
		return ""
	}
	p := campaign.Problem{
		Row: r.Row, Column: r.problem.Column, Value: r.problem.Value, Code: r.problem.Code, Args: r.problem.Args,
	}
	return p.Reason(lang)
}

// Results walks the rows of a campaign in the order of the file, in constant memory.
func (o *Operator) Results(ctx context.Context, id string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for e, err := range o.ledger.Rows(ctx, id) {
			if err != nil {
				yield(Result{}, err)
				return
			}
			r := result(e)
			if !yield(r, nil) {
				return
			}
		}
	}
}

func result(e ledger.Entry) Result {
	r := Result{
		Row: e.Number, Phone: e.Phone, State: e.State, Code: e.Code, MessageID: e.MessageID,
		History: history(e.Record), ChangedAt: instant(e.ChangedAt), Vars: e.Vars, Custom: e.Custom, problem: e.Problem,
	}
	r.Attempts = attempts(r.History, e.Record)
	if e.Problem != nil {
		r.Code, r.Column = e.Problem.Code, e.Problem.Column
	}
	return r
}

// Row reads one row of a campaign; false when the file has none of that number.
func (o *Operator) Row(ctx context.Context, id string, row int) (Result, bool, error) {
	if _, err := o.ledger.Campaign(ctx, id); err != nil {
		return Result{}, false, err
	}
	e, ok, err := o.ledger.Entry(ctx, id, row)
	return result(e), ok && err == nil, err
}
