package ledger_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// model is the ledger as plain data: what the scripts must agree with after every step.
type model struct {
	id      string
	ledger  *ledger.Ledger
	state   ledger.State
	person  bool
	reason  string
	rows    map[int]*modelRow
	retried map[int]bool
	claims  []ledger.Claim // all that were ever given, for late and repeated calls
	void    map[string]bool
	sends   map[string]bool // row:fence pairs that got GO
}

type modelRow struct {
	state   ledger.RowState
	fence   int
	tries   int
	nonce   string
	overdue bool // sending past its deadline
	due     bool // waiting and may go now
	code    string
}

const modelRows = 4

var modelID atomic.Int64

func newModel(t *rapid.T, l *ledger.Ledger) *model {
	m := &model{
		id: fmt.Sprintf("m%d", modelID.Add(1)), ledger: l, state: ledger.Running,
		rows: make(map[int]*modelRow), retried: make(map[int]bool), void: make(map[string]bool), sends: make(map[string]bool),
	}
	if _, err := load(l, definition(m.id, modelRows), file(modelRows)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit(ctx, definition(m.id, modelRows)); err != nil {
		t.Fatal(err)
	}
	if err := l.OpenUntil(ctx, m.id, map[string]time.Time{"CO": time.Now().Add(farAway)}); err != nil {
		t.Fatal(err)
	}
	for row := 2; row < 2+modelRows; row++ {
		m.rows[row] = &modelRow{state: ledger.Queued}
	}
	return m
}

func (m *model) row(t *rapid.T) (int, *modelRow) {
	n := rapid.IntRange(2, 1+modelRows).Draw(t, "row")
	return n, m.rows[n]
}

// wantClaim says what a claim must answer, and changes the model as it does.
func (m *model) wantClaim(n int, nonce string, overdue bool) ledger.Verdict {
	r := m.rows[n]
	switch {
	case r.state == ledger.Sending && r.overdue:
		r.state, r.code = ledger.InDoubt, "worker_lost"
		return ledger.Doubt
	case r.state == ledger.Sending && r.nonce == nonce:
		return ledger.Go
	case r.state == ledger.Sending:
		return ledger.Busy
	case r.state == ledger.InDoubt:
		return ledger.Doubt
	case r.state != ledger.Queued && r.state != ledger.Waiting, m.state == ledger.Cancelled:
		return ledger.Done
	case m.state != ledger.Running:
		return ledger.Closed
	case r.state == ledger.Waiting && !r.due:
		return ledger.Wait
	case m.void[nonce], r.nonce == nonce:
		return ledger.Void
	}
	r.state, r.nonce, r.overdue, r.code = ledger.Sending, nonce, overdue, ""
	r.fence++
	return ledger.Go
}

func (m *model) claimWith(t *rapid.T, ticket ledger.Claim, overdue bool) {
	ttl := time.Hour
	if overdue {
		ttl = 0
	}
	before := *m.rows[ticket.Row]
	want := m.wantClaim(ticket.Row, ticket.Nonce, overdue)
	got, err := m.ledger.Claim(ctx, ticket, "CO", ttl)
	if err != nil || got.Verdict != want {
		t.Fatalf("claim row %d (%+v): %v %v, want %v", ticket.Row, before, got.Verdict, err, want)
	}
	if want != ledger.Go {
		return
	}
	if got.Fence != m.rows[ticket.Row].fence || got.Tries != m.rows[ticket.Row].tries {
		t.Fatalf("claim row %d: fence %d tries %d, want %+v", ticket.Row, got.Fence, got.Tries, m.rows[ticket.Row])
	}
	if before.state != ledger.Sending {
		key := fmt.Sprintf("%d:%d", got.Row, got.Fence)
		if m.sends[key] {
			t.Fatalf("row %d fence %d was given twice", got.Row, got.Fence)
		}
		m.sends[key] = true
		m.claims = append(m.claims, got)
	}
}

func (m *model) claim(t *rapid.T) {
	n, _ := m.row(t)
	m.claimWith(t, ledger.NewClaim(m.id, n, worker), rapid.Bool().Draw(t, "overdue"))
}

func (m *model) oldClaim(t *rapid.T) ledger.Claim {
	if len(m.claims) == 0 {
		t.Skip("no claim yet")
	}
	return rapid.SampledFrom(m.claims).Draw(t, "claim")
}

func (m *model) claimAgain(t *rapid.T) { m.claimWith(t, m.oldClaim(t), false) }

func (m *model) release(t *rapid.T) {
	c := m.oldClaim(t)
	r := m.rows[c.Row]
	m.void[c.Nonce] = true
	lost := r.state == ledger.InDoubt && r.code == "worker_lost"
	mine := (r.state == ledger.Sending || lost) && r.nonce == c.Nonce
	if mine {
		r.state, r.code, r.nonce = ledger.Queued, "", ""
		m.reopen()
	}
	got, err := m.ledger.Release(ctx, c)
	if err != nil || got != mine {
		t.Fatalf("release row %d (%+v): %v %v, want %v", c.Row, r, got, err, mine)
	}
}

var outcomes = []ledger.Outcome{
	{State: ledger.Accepted, MessageID: "0e1add43-f91c-4e7c-8805-221ef6b27b98"},
	{State: ledger.Failed, Code: "1002"},
	{State: ledger.InDoubt, Code: "timeout"},
	{State: ledger.Waiting, Code: "429", After: time.Hour, Tried: true},
	{State: ledger.Waiting, Code: "no_connection"},
	{State: ledger.Queued},
}

func (m *model) settle(t *rapid.T) {
	c := m.oldClaim(t)
	r := m.rows[c.Row]
	o := rapid.SampledFrom(outcomes).Draw(t, "outcome")
	proof := o.State == ledger.Accepted && (r.state == ledger.Queued || r.state == ledger.Waiting ||
		r.state == ledger.InDoubt || r.code == "decided_sent")
	fenced := true
	switch {
	case r.fence != c.Fence && !proof:
	case r.state == o.State && !proof:
		fenced = false
	case proof, r.state == ledger.Sending, r.state == ledger.InDoubt && o.State != ledger.InDoubt:
		fenced = false
		r.state, r.code, r.due, r.nonce, r.tries = o.State, o.Code, o.After == 0, c.Nonce, c.Tries
		if o.Tried {
			r.tries++
		}
		if o.State == ledger.Waiting || o.State == ledger.Queued {
			m.reopen()
		}
	}
	err := settle(m.ledger, c, o)
	if fenced != errors.Is(err, ledger.ErrFenced) || (!fenced && err != nil) {
		t.Fatalf("settle row %d fence %d as %v (%+v): %v", c.Row, c.Fence, o.State, r, err)
	}
}

func (m *model) reopen() {
	if m.state == ledger.Finished {
		m.state, m.person, m.reason = ledger.Running, false, ""
	}
}

// decide lets a person decide about a row as it is, or as it was an attempt ago.
func (m *model) decide(t *rapid.T) {
	n, r := m.row(t)
	d := rapid.SampledFrom([]ledger.Decision{ledger.CountAsSent, ledger.SendAgain, ledger.TryAgain}).Draw(t, "decision")
	fence := r.fence - rapid.IntRange(0, 1).Draw(t, "old")
	again := rapid.Bool().Draw(t, "again")
	var want error
	from := ledger.InDoubt
	if d == ledger.TryAgain {
		from = ledger.Failed
	}
	switch {
	case fence != r.fence, r.state != from:
		want = ledger.ErrMoved
	case m.state == ledger.Cancelled && d != ledger.CountAsSent:
		want = ledger.ErrCancelled
	case d == ledger.TryAgain && m.retried[n] && !again:
		want = ledger.ErrRetried
	case d == ledger.CountAsSent:
		r.state, r.code, r.nonce = ledger.Accepted, "decided_sent", ""
	default:
		r.state, r.code, r.nonce, r.due = ledger.Queued, "decided_"+string(d), "", true
		if d == ledger.TryAgain {
			r.tries, m.retried[n] = 0, true
		}
		m.reopen()
	}
	if err := m.ledger.Decide(ctx, m.id, n, fence, d, "ana", again); !errors.Is(err, want) {
		t.Fatalf("decide %s about row %d (%+v): %v, want %v", d, n, r, err, want)
	}
}

func (m *model) expire(t *rapid.T) {
	n, r := m.row(t)
	want := r.state == ledger.Sending && r.overdue
	if want {
		r.state, r.code = ledger.InDoubt, "worker_lost"
	}
	got, err := m.ledger.Expire(ctx, m.id, n)
	if err != nil || got != want {
		t.Fatalf("expire row %d (%+v): %v %v", n, r, got, err)
	}
}

func (m *model) steer(t *rapid.T) {
	s := ledger.Steering{
		Verb: rapid.SampledFrom([]ledger.Verb{
			ledger.Pause, ledger.Resume, ledger.Pause, ledger.Resume, ledger.Cancel, ledger.Finish,
		}).Draw(t, "verb"),
		Reason: rapid.SampledFrom([]string{"balance", "window"}).Draw(t, "reason"),
		Person: rapid.Bool().Draw(t, "person"),
	}
	want, applies := m.state, false
	switch s.Verb {
	case ledger.Pause:
		applies = m.state == ledger.Running || (m.state == ledger.Paused && s.Person)
		want = ledger.Paused
	case ledger.Resume:
		applies = m.state == ledger.Paused && (s.Person || (!m.person && m.reason == s.Reason))
		want = ledger.Running
	case ledger.Cancel:
		applies = m.state == ledger.Running || m.state == ledger.Paused
		want = ledger.Cancelled
	case ledger.Finish:
		open := m.counts()
		applies = (m.state == ledger.Running || m.state == ledger.Paused) &&
			open[ledger.Queued]+open[ledger.Waiting]+open[ledger.Sending] == 0
		want = ledger.Finished
	}
	if applies {
		m.state, m.person, m.reason = want, s.Person, s.Reason
	}
	got, ok, err := m.ledger.Steer(ctx, m.id, s)
	if err != nil || ok != applies || got != m.state {
		t.Fatalf("%+v: %v %v %v, want %v %v", s, got, ok, err, m.state, applies)
	}
}

func (m *model) counts() map[ledger.RowState]int {
	counts := map[ledger.RowState]int{ledger.InvalidRow: 1, ledger.SkippedRow: 1}
	for _, r := range m.rows {
		counts[m.seen(r)]++
	}
	return counts
}

func (m *model) seen(r *modelRow) ledger.RowState {
	if m.state == ledger.Cancelled && (r.state == ledger.Queued || r.state == ledger.Waiting) {
		return ledger.CancelledRow
	}
	return r.state
}

// check compares everything the ledger says with the model.
func (m *model) check(t *rapid.T) {
	s, err := m.ledger.Status(ctx, m.id)
	if err != nil {
		t.Fatal(err)
	}
	want := m.counts()
	for _, state := range ledger.RowStates {
		if s.Counts[state] != want[state] {
			t.Fatalf("counts %v, want %v", s.Counts, want)
		}
	}
	codes := make(map[string]int)
	for _, r := range m.rows {
		if r.code != "" {
			codes[r.code]++
		}
	}
	for code, n := range codes {
		if s.Codes[code] != n {
			t.Fatalf("codes %v, want %v", s.Codes, codes)
		}
	}
	if len(codes) != len(s.Codes) {
		t.Fatalf("codes %v, want %v", s.Codes, codes)
	}
	entries, err := m.ledger.Entries(ctx, m.id, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries[:modelRows] {
		r := m.rows[e.Number]
		if e.State != m.seen(r) || e.Fence != r.fence || e.Tries != r.tries || e.Code != r.code {
			t.Fatalf("row %d is %+v, want %+v", e.Number, e.Record, r)
		}
	}
}

// TestTheScriptsAgreeWithTheModel runs random histories of claims, settles, releases, steerings and their
// repetitions.
func TestTheScriptsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		rapid.Check(t, func(t *rapid.T) {
			m := newModel(t, l)
			t.Repeat(map[string]func(*rapid.T){
				"":           m.check,
				"claim":      m.claim,
				"claimAgain": m.claimAgain,
				"release":    m.release,
				"settle":     m.settle,
				"expire":     m.expire,
				"decide":     m.decide,
				"steer":      m.steer,
			})
		})
	})
}
