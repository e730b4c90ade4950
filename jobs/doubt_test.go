package jobs

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers"
	"pregon/providers/simulator"
)

func (s *stage) doubts(id string) Doubts {
	s.t.Helper()
	d, err := s.operator().Doubts(ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// seen are the rows that a campaign has in doubt, as a person sees them now.
func (s *stage) seen(id string) []Seen {
	s.t.Helper()
	var list []Seen
	for _, d := range s.doubts(id).Rows {
		list = append(list, Seen{Row: d.Row, Attempt: d.Attempt})
	}
	return list
}

func (s *stage) rule(id string, r Ruling) Ruled {
	s.t.Helper()
	r.Who = "ana@equipo"
	got, err := s.operator().Decide(ctx, id, r)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// resend has rows in doubt sent again, and waits until the campaign has ended.
func (s *stage) resend(id string, rows ...Seen) {
	s.t.Helper()
	if r := s.rule(id, Ruling{Decision: ledger.SendAgain, Rows: rows}); len(r.Done) != len(rows) || len(r.Left) != 0 {
		s.t.Fatalf("%+v", r)
	}
	if state := s.status(id).State; state != ledger.Running && state != ledger.Finished { // a worker may be that quick
		s.t.Errorf("the campaign is %s", state)
	}
	s.becomes(id, ledger.Finished, "")
}

// wantHistory checks what a row went through: class and code of each attempt.
func (s *stage) wantHistory(id string, row int, want ...string) {
	s.t.Helper()
	r, ok, err := s.operator().Row(ctx, id, row)
	if err != nil || !ok {
		s.t.Fatalf("row %d: %v %v", row, ok, err)
	}
	var got []string
	for _, a := range r.History {
		got = append(got, a.Class+" "+a.Code)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("row %d went through %q, want %q", row, got, want)
	}
}

func TestRowsInDoubtAreListedWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		people := append(contacts(6), special("0408"), special("0000"), special("0502"), special("0200"))
		began := time.Now().Add(-time.Second)
		id := s.launch(people)
		s.work()
		s.becomes(id, ledger.Finished, "")
		d := s.doubts(id)
		codes := map[int]string{8: providers.CodeTimeout, 9: providers.CodeReset, 10: "http_502", 11: providers.CodeNotJSON}
		if len(d.Rows) != len(codes) || len(d.Decisions) != 0 {
			t.Fatalf("%+v", d)
		}
		for _, row := range d.Rows {
			if row.Code != codes[row.Row] || row.Phone != "57"+people[row.Row-2].phone || row.Attempt < 1 || len(row.History) != 1 {
				t.Errorf("%+v", row)
			}
			if row.From.Before(began) || row.To.Before(row.From) || row.To.After(time.Now().Add(time.Second)) {
				t.Errorf("row %d was sent from %s to %s", row.Row, row.From, row.To)
			}
			if row.Orphans != 0 || row.KnownDoubts < 1 || row.Replied != nil {
				t.Errorf("%+v", row)
			}
		}
		if slow := d.Rows[0]; slow.To.Sub(slow.From) < 4*time.Second { // until its client gave up
			t.Errorf("the answer that never came took from %s to %s", slow.From, slow.To)
		}
		if len(s.doubts(id).Of(func(row int) bool { return row == 9 }).Rows) != 1 {
			t.Error("one row alone is not shown")
		}
	})
}

func TestReportsAndRepliesAreEvidence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		unknown := ledger.Outcome{State: ledger.InDoubt, Code: "http_500", Class: "unknown", Tried: true}
		take(t, s.ledger, "c1", 2, unknown)
		take(t, s.ledger, "c1", 3, unknown)
		now := time.Now()
		for id, when := range map[string]time.Time{"m1": now, "m2": now, "long-ago": now.Add(-time.Hour)} {
			if err := s.ledger.AddOrphan(ctx, "cv", ledger.Orphan{MessageID: id, At: when}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.ledger.AddReply(ctx, ledger.Place{Campaign: "c1", Row: 3, Fence: 1}, now); err != nil {
			t.Fatal(err)
		}
		rows := s.doubts("c1").Rows
		if len(rows) != 2 || rows[0].Orphans != 2 || rows[0].KnownDoubts != 2 || rows[0].Replied != nil || rows[1].Replied == nil {
			t.Errorf("%+v", rows)
		}
		// A reply to an earlier attempt proves nothing about a later one.
		s.rule("c1", Ruling{Decision: ledger.SendAgain, Rows: []Seen{{3, 1}}})
		take(t, s.ledger, "c1", 3, unknown)
		if rows := s.doubts("c1").Rows; len(rows) != 2 || rows[1].Attempt != 2 || rows[1].Replied != nil {
			t.Errorf("after another attempt: %+v", rows)
		}
	})
}

func TestAPersonDecidesAboutRowsInDoubt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		// Row 5 arrived, row 6 arrives each time and never says so, row 7 did not arrive and will be accepted.
		id := s.launch(append(contacts(3), special("0502"), special("0500"), special("0503")))
		s.work()
		s.becomes(id, ledger.Finished, "")
		seen := s.seen(id)
		if !slices.Equal(seen, []Seen{{5, 1}, {6, 1}, {7, 1}}) {
			t.Fatalf("%v", seen)
		}

		counted := Ruling{Decision: ledger.CountAsSent, Rows: []Seen{seen[0], {2, 1}, {99, 0}}}
		r := s.rule(id, counted)
		left := []Left{{2, LeftDecided, ledger.Accepted}, {99, LeftNoRow, ""}}
		if !slices.Equal(r.Done, []int{5}) || !slices.Equal(r.Left, left) || r.Campaign != id || r.Decision != "sent" {
			t.Errorf("counted as sent: %+v", r)
		}
		if r = s.rule(id, counted); len(r.Done) != 0 || r.Left[0] != (Left{5, LeftDecided, ledger.Accepted}) {
			t.Errorf("the same decision once more: %+v", r)
		}
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 4, ledger.InDoubt: 2})
		if s.status(id).State != ledger.Finished {
			t.Error("counting a row as sent woke the campaign")
		}

		s.resend(id, seen[2])
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 5, ledger.InDoubt: 1})
		s.wantHistory(id, 7, "unknown http_503", "person decided_resend", "accepted ")

		s.resend(id, seen[1])
		s.wantHistory(id, 6, "unknown http_500", "person decided_resend", "unknown http_500")
		twice := s.provider.Receipts()
		if twice.Phones[international("0500")] != 2 || twice.Total != 7 || twice.Duplicates != 1 {
			t.Errorf("%+v arrived", twice)
		}
		s.decidedOnce(id, seen[1])

		if d := s.doubts(id).Decisions; len(d) != 3 || d[0].Row != 5 || d[0].Code != "http_502" || d[0].Who != "ana@equipo" ||
			d[2].Decision != ledger.SendAgain || d[2].Attempt != 1 {
			t.Errorf("decisions %+v", d)
		}
	})
}

// decidedOnce repeats the decision to send a row again, as a person does who did not see that it was done.
func (s *stage) decidedOnce(id string, before Seen) {
	s.t.Helper()
	now := Seen{Row: before.Row, Attempt: before.Attempt + 1}
	for _, c := range []struct {
		seen   Seen
		again  bool
		reason string
	}{
		{before, false, LeftResent}, {before, true, LeftChanged}, {now, false, LeftResent},
	} {
		r := s.rule(id, Ruling{Decision: ledger.SendAgain, Rows: []Seen{c.seen}, Again: c.again})
		if len(r.Done) != 0 || len(r.Left) != 1 || r.Left[0] != (Left{before.Row, c.reason, ledger.InDoubt}) {
			s.t.Errorf("%+v: %+v, want %s", c, r, c.reason)
		}
	}
	if state := s.status(id).State; state != ledger.Finished {
		s.t.Errorf("nothing was to be sent, and the campaign is %s", state)
	}
	if n := s.provider.Receipts().Phones[international("0500")]; n != 2 {
		s.t.Errorf("%d messages arrived", n)
	}
}

func TestTwoPeopleWhoDecideAtTheSameTimeSendOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2))
		take(t, s.ledger, "c1", 2, ledger.Outcome{State: ledger.InDoubt, Code: "http_500", Class: "unknown", Tried: true})
		results := make(chan Ruled)
		const people = 8
		for range people {
			go func() {
				r, err := s.operator().Decide(ctx, "c1", Ruling{Decision: ledger.SendAgain, Rows: []Seen{{2, 1}}, Again: true, Who: "x"})
				if err != nil {
					t.Error(err)
				}
				results <- r
			}()
		}
		done := 0
		for range people {
			done += len((<-results).Done)
		}
		if decided := s.doubts("c1").Decisions; done != 1 || len(decided) != 1 {
			t.Errorf("%d were told that it is done, %d decisions are on record", done, len(decided))
		}
	})
}

func TestNothingOfACancelledCampaignIsSentAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		o := s.operator()
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		take(t, s.ledger, "c1", 2, ledger.Outcome{State: ledger.InDoubt, Code: "http_500", Class: "unknown", Tried: true})
		take(t, s.ledger, "c1", 3, ledger.Outcome{State: ledger.Failed, Code: "429", Class: "not_now", Tried: true})
		if err := o.Cancel(ctx, "c1", ""); err != nil {
			t.Fatal(err)
		}
		again := Ruling{Decision: ledger.SendAgain, Rows: []Seen{{2, 1}}, Who: "x"}
		if r, err := o.Decide(ctx, "c1", again); !errors.Is(err, ledger.ErrCancelled) || len(r.Done) != 0 {
			t.Errorf("resend: %+v %v", r, err)
		}
		if r, err := o.Retry(ctx, "c1", Retry{Who: "x"}); !errors.Is(err, ledger.ErrCancelled) || len(r.Rows) != 0 {
			t.Errorf("retry: %+v %v", r, err)
		}
		s.wantCounts("c1", ledger.Counts{ledger.InDoubt: 1, ledger.Failed: 1, ledger.CancelledRow: 1})
		if r := s.rule("c1", Ruling{Decision: ledger.CountAsSent, Rows: []Seen{{2, 1}}}); len(r.Done) != 1 {
			t.Errorf("count as sent: %+v", r)
		}
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 1, ledger.Failed: 1, ledger.CancelledRow: 1})
		if s.status("c1").State != ledger.Cancelled {
			t.Error("a decision woke a cancelled campaign")
		}
	})
}

func TestWhatIsNoDecisionIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		o := newFakeStage(t, rdb, new(fake)).operator()
		for _, d := range []ledger.Decision{"", "retry", "SENT"} {
			if _, err := o.Decide(ctx, "c1", Ruling{Decision: d}); err == nil {
				t.Errorf("%q was taken for a decision", d)
			}
		}
		for name, ask := range map[string]func() error{
			"doubts": func() error { _, err := o.Doubts(ctx, "nobody"); return err },
			"resend": func() error { _, err := o.Decide(ctx, "nobody", Ruling{Decision: ledger.SendAgain}); return err },
			"sent":   func() error { _, err := o.Decide(ctx, "nobody", Ruling{Decision: ledger.CountAsSent}); return err },
			"retry":  func() error { _, err := o.Retry(ctx, "nobody", Retry{}); return err },
			"row":    func() error { _, _, err := o.Row(ctx, "nobody", 2); return err },
		} {
			if err := ask(); !errors.Is(err, ledger.ErrNoCampaign) {
				t.Errorf("%s of no campaign: %v", name, err)
			}
		}
	})
}
