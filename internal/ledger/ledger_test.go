package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

var ctx = context.Background()

const farAway = 365 * 24 * time.Hour

func newLedger(t testing.TB, rdb redis.UniversalClient) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(rdb, bytes.Repeat([]byte{7}, ledger.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// worker is who claims in these tests: it never beats, and so is never taken for dead.
const worker = "w00000"

func settle(l *ledger.Ledger, c ledger.Claim, o ledger.Outcome) error {
	_, err := l.Settle(ctx, c, o)
	return err
}

// file makes the rows of a small file: rows 2 to n+1 valid, then one invalid and one skipped.
func file(n int) []ledger.Row {
	rows := make([]ledger.Row, 0, n+2)
	for i := range n {
		rows = append(rows, ledger.Row{
			Number: i + 2, Kind: ledger.Valid, Phone: fmt.Sprintf("57300%07d", i), Country: "CO",
			Vars: []string{"Muñoz", "$ 1.000"},
		})
	}
	return append(rows,
		ledger.Row{Number: n + 2, Kind: ledger.Invalid, Problem: &ledger.Problem{Code: "phone_letters", Column: "celular"}},
		ledger.Row{Number: n + 3, Kind: ledger.Skipped, Phone: "573000000000", Problem: &ledger.Problem{Code: "duplicate"}})
}

func definition(id string, n int) ledger.Campaign {
	return ledger.Campaign{
		ID: id, Name: "Citas", Account: "contactovirtual", Template: "990", Content: "c0ffee", Rows: n + 2, Valid: n,
		Invalid: 1, Skipped: 1, LastRow: n + 3, CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Countries: []string{"CO"},
	}
}

func launch(t testing.TB, l *ledger.Ledger, id string, n int) {
	t.Helper()
	if _, err := load(l, definition(id, n), file(n)); err != nil {
		t.Fatal(err)
	}
	if state, err := l.Commit(ctx, definition(id, n)); err != nil || state != ledger.Running {
		t.Fatalf("commit: %v %v", state, err)
	}
	open(t, l, id, farAway)
}

func load(l *ledger.Ledger, c ledger.Campaign, rows []ledger.Row) (int, error) {
	w, err := l.Create(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if err := w.Write(ctx, r); err != nil {
			return 0, err
		}
	}
	pages, _, err := w.Close(ctx)
	return pages, err
}

func open(t testing.TB, l *ledger.Ledger, id string, d time.Duration) {
	t.Helper()
	if err := l.OpenUntil(ctx, id, map[string]time.Time{"CO": time.Now().Add(d)}); err != nil {
		t.Fatal(err)
	}
}

func claim(t testing.TB, l *ledger.Ledger, id string, row int) ledger.Claim {
	t.Helper()
	c, err := l.Claim(ctx, ledger.NewClaim(id, row, worker), "CO", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func counts(t testing.TB, l *ledger.Ledger, id string) map[ledger.RowState]int {
	t.Helper()
	s, err := l.Status(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Counts.Total() != s.Campaign.Rows {
		t.Errorf("counts %v add up to %d, the file has %d rows", s.Counts, s.Counts.Total(), s.Campaign.Rows)
	}
	nonzero := make(map[ledger.RowState]int)
	for state, n := range s.Counts {
		if n != 0 {
			nonzero[state] = n
		}
	}
	return nonzero
}

func wantCounts(t testing.TB, l *ledger.Ledger, id string, want map[ledger.RowState]int) {
	t.Helper()
	if diff := cmp.Diff(want, counts(t, l, id)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestClaimIsGivenOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 3)
		first := claim(t, l, "c1", 2)
		if first.Verdict != ledger.Go || first.Fence != 1 || first.Tries != 0 {
			t.Fatalf("first claim: %+v", first)
		}
		if second := claim(t, l, "c1", 2); second.Verdict != ledger.Busy || second.Retry <= 0 {
			t.Errorf("second claim while the first is under way: %+v", second)
		}
		again, err := l.Claim(ctx, first, "CO", time.Hour)
		if err != nil || again.Verdict != ledger.Go || again.Fence != 1 || !again.Deadline.Equal(first.Deadline) {
			t.Errorf("same nonce again: %+v %v", again, err)
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.Queued: 2, ledger.Sending: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
	})
}

func TestSettleRecordsTheOutcomeOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		outcome ledger.Outcome
		state   ledger.RowState
		codes   map[string]int
	}{
		{"Accepted", ledger.Outcome{State: ledger.Accepted, MessageID: "0e1add43-f91c-4e7c-8805-221ef6b27b98"},
			ledger.Accepted, map[string]int{}},
		{"AcceptedWithoutIdentifier", ledger.Outcome{State: ledger.Accepted}, ledger.Accepted, map[string]int{}},
		{"AcceptedWithAStrangeIdentifier", ledger.Outcome{State: ledger.Accepted, MessageID: "a:b|c ñ"},
			ledger.Accepted, map[string]int{}},
		{"Refused", ledger.Outcome{State: ledger.Failed, Code: "1002"}, ledger.Failed, map[string]int{"1002": 1}},
		{"StrangeCode", ledger.Outcome{State: ledger.Failed, Code: "a:b c"}, ledger.Failed, map[string]int{"a_b_c": 1}},
		{"InDoubt", ledger.Outcome{State: ledger.InDoubt, Code: "timeout"}, ledger.InDoubt, map[string]int{"timeout": 1}},
		{"NotNow", ledger.Outcome{State: ledger.Waiting, Code: "429", After: time.Hour, Tried: true},
			ledger.Waiting, map[string]int{"429": 1}},
		{"AccountTrouble", ledger.Outcome{State: ledger.Queued}, ledger.Queued, map[string]int{}},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id := strings.ToLower(tt.name)
				launch(t, l, id, 1)
				c := claim(t, l, id, 2)
				for range 2 { // the second time the answer of the first was lost
					if err := settle(l, c, tt.outcome); err != nil {
						t.Fatal(err)
					}
				}
				wantCounts(t, l, id, map[ledger.RowState]int{tt.state: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
				status, err := l.Status(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.codes, status.Codes); diff != "" {
					t.Errorf("codes (-want +got):\n%s", diff)
				}
				entries, err := l.Entries(ctx, id, 0)
				if err != nil {
					t.Fatal(err)
				}
				got := entries[0]
				if got.State != tt.state || got.MessageID != tt.outcome.MessageID || got.Fence != 1 {
					t.Errorf("row: %+v", got.Record)
				}
				if tried := got.Tries == 1; tried != tt.outcome.Tried {
					t.Errorf("tries %d after an outcome with Tried %v", got.Tries, tt.outcome.Tried)
				}
			})
		}
	})
}

func TestADefiniteResultStands(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 2)
		c := claim(t, l, "c1", 2)
		if err := settle(l, c, ledger.Outcome{State: ledger.InDoubt, Code: "timeout"}); err != nil {
			t.Fatal(err)
		}
		if v := claim(t, l, "c1", 2); v.Verdict != ledger.Doubt {
			t.Errorf("claim of a row in doubt: %+v", v)
		}
		if err := settle(l, c, ledger.Outcome{State: ledger.Accepted, MessageID: "m"}); err != nil {
			t.Errorf("late answer of the same attempt: %v", err)
		}
		if err := settle(l, c, ledger.Outcome{State: ledger.Failed, Code: "x"}); !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("another result afterwards: %v", err)
		}
		if v := claim(t, l, "c1", 2); v.Verdict != ledger.Done || v.State != ledger.Accepted {
			t.Errorf("claim of an accepted row: %+v", v)
		}
	})
}

func TestAnOlderAttemptIsFenced(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		old := claim(t, l, "c1", 2)
		if err := settle(l, old, ledger.Outcome{State: ledger.Waiting, Code: "429", Tried: true}); err != nil {
			t.Fatal(err)
		}
		last := claim(t, l, "c1", 2)
		if last.Verdict != ledger.Go || last.Fence != 2 || last.Tries != 1 {
			t.Fatalf("second attempt: %+v", last)
		}
		err := settle(l, old, ledger.Outcome{State: ledger.Failed, Code: "x"})
		if !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("settle of the first attempt: %v", err)
		}
	})
}

func TestReleaseGivesTheRowBackAndVoidsTheNonce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 2)
		c := claim(t, l, "c1", 2)
		if ok, err := l.Release(ctx, c); err != nil || !ok {
			t.Fatalf("release: %v %v", ok, err)
		}
		if late, err := l.Claim(ctx, c, "CO", time.Hour); err != nil || late.Verdict != ledger.Void {
			t.Errorf("the same claim arriving late: %+v %v", late, err)
		}
		if next := claim(t, l, "c1", 2); next.Verdict != ledger.Go || next.Fence != 2 {
			t.Errorf("next attempt: %+v", next)
		}
		if ok, err := l.Release(ctx, c); err != nil || ok {
			t.Errorf("release of another's claim: %v %v", ok, err)
		}
		// A release may overtake its own claim: then the claim must not follow.
		ticket := ledger.NewClaim("c1", 3, worker)
		if ok, err := l.Release(ctx, ticket); err != nil || ok {
			t.Fatalf("release before the claim: %v %v", ok, err)
		}
		if late, err := l.Claim(ctx, ticket, "CO", time.Hour); err != nil || late.Verdict != ledger.Void {
			t.Errorf("claim after its release: %+v %v", late, err)
		}
	})
}

func TestClaimRefusesUnlessTheCampaignRunsAndTheCountryIsOpen(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		if _, err := load(l, definition("c1", 2), file(2)); err != nil {
			t.Fatal(err)
		}
		if c := claim(t, l, "c1", 2); c.Verdict != ledger.Closed || c.Control != ledger.Draft {
			t.Errorf("claim in a draft: %+v", c)
		}
		if _, err := l.Commit(ctx, definition("c1", 2)); err != nil {
			t.Fatal(err)
		}
		if c := claim(t, l, "c1", 2); c.Verdict != ledger.Window {
			t.Errorf("claim before any country is open: %+v", c)
		}
		open(t, l, "c1", -time.Second)
		if c := claim(t, l, "c1", 2); c.Verdict != ledger.Window {
			t.Errorf("claim after closing time: %+v", c)
		}
		open(t, l, "c1", time.Hour)
		if c, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "PE", time.Hour); err != nil || c.Verdict != ledger.Window {
			t.Errorf("claim for a country that nobody opened: %+v %v", c, err)
		}
		steer(t, l, ledger.Steering{Verb: ledger.Pause, Reason: "operator", Person: true}, ledger.Paused, true)
		if c := claim(t, l, "c1", 2); c.Verdict != ledger.Closed || c.Reason != "operator" {
			t.Errorf("claim while paused: %+v", c)
		}
		steer(t, l, ledger.Steering{Verb: ledger.Resume, Person: true}, ledger.Running, true)
		if c := claim(t, l, "c1", 2); c.Verdict != ledger.Go {
			t.Errorf("claim after resume: %+v", c)
		}
		if err := l.OpenUntil(ctx, "c1", map[string]time.Time{"*": time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if c, err := l.Claim(ctx, ledger.NewClaim("c1", 3, worker), "PE", time.Hour); err != nil || c.Verdict != ledger.Go {
			t.Errorf("claim when every country is open: %+v %v", c, err)
		}
	})
}

func steer(t *testing.T, l *ledger.Ledger, s ledger.Steering, want ledger.State, applied bool) {
	t.Helper()
	state, ok, err := l.Steer(ctx, "c1", s)
	if err != nil || state != want || ok != applied {
		t.Errorf("%+v: %v %v %v, want %v %v", s, state, ok, err, want, applied)
	}
}

func TestSteering(t *testing.T) {
	t.Parallel()
	person := func(v ledger.Verb) ledger.Steering { return ledger.Steering{Verb: v, Reason: "operator", Person: true} }
	machine := func(v ledger.Verb, why string) ledger.Steering { return ledger.Steering{Verb: v, Reason: why} }
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 2)
		steer(t, l, machine(ledger.Pause, "balance"), ledger.Paused, true)
		steer(t, l, machine(ledger.Resume, "window"), ledger.Paused, false) // another reason
		steer(t, l, machine(ledger.Resume, "balance"), ledger.Running, true)
		steer(t, l, person(ledger.Pause), ledger.Paused, true)
		steer(t, l, machine(ledger.Pause, "window"), ledger.Paused, false) // does not rename a person's pause
		steer(t, l, machine(ledger.Resume, "operator"), ledger.Paused, false)
		steer(t, l, person(ledger.Resume), ledger.Running, true)
		steer(t, l, machine(ledger.Finish, ""), ledger.Running, false) // rows are open
		held := claim(t, l, "c1", 2)
		steer(t, l, person(ledger.Cancel), ledger.Cancelled, true)
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.Sending: 1, ledger.CancelledRow: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
		if c := claim(t, l, "c1", 3); c.Verdict != ledger.Done || c.State != ledger.CancelledRow {
			t.Errorf("claim in a cancelled campaign: %+v", c)
		}
		if err := settle(l, held, ledger.Outcome{State: ledger.Waiting, After: time.Hour, Code: "429"}); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.CancelledRow: 2, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
		entries, err := l.Entries(ctx, "c1", 0)
		if err != nil || entries[0].State != ledger.CancelledRow || entries[1].State != ledger.CancelledRow {
			t.Errorf("rows of a cancelled campaign: %+v %v", entries, err)
		}
		steer(t, l, person(ledger.Resume), ledger.Cancelled, false)
	})
}

func TestAnOverdueClaimIsInDoubt(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 3)
		late, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", 0)
		if err != nil || late.Verdict != ledger.Go {
			t.Fatalf("claim: %+v %v", late, err)
		}
		alive := claim(t, l, "c1", 3)
		rows, err := l.Overdue(ctx, "c1", time.Hour, 100)
		if err != nil || len(rows) != 1 || rows[0] != 2 {
			t.Fatalf("overdue: %v %v", rows, err)
		}
		if ok, err := l.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Errorf("expire the overdue: %v %v", ok, err)
		}
		if ok, err := l.Expire(ctx, "c1", alive.Row); err != nil || ok {
			t.Errorf("expire one under way: %v %v", ok, err)
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.InDoubt: 1, ledger.Sending: 1, ledger.Queued: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
		if err := settle(l, late, ledger.Outcome{State: ledger.Accepted, MessageID: "m"}); err != nil {
			t.Errorf("the late settle of the same attempt: %v", err)
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.Accepted: 1, ledger.Sending: 1, ledger.Queued: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
	})
}

func TestADamagedRecordIsNeverSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 2)
		if err := rdb.HSet(ctx, "pregon:{c1}:rows:0", "2", "garbage").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", time.Hour); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("claim of a damaged record: %v", err)
		}
		if _, err := l.Entries(ctx, "c1", 0); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("read of a damaged record: %v", err)
		}
	})
}
