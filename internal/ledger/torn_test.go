package ledger_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"pregon/internal/ledger"
)

// Redis is killed in the midst of writing what a script did. It keeps all of it or nothing; but where the file ends within
// a command, Redis 7.0 leaves the beginning of the transaction in it, and runs that when it starts once more. Counts and
// queues that this tears are made anew from the records.
func TestATornFileIsMended(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3, ana)
	before := s.size()
	s.send(ana, 2, ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected", Why: "no WhatsApp"})
	whole, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	torn, claimed := 0, false
	for size := before; size <= int64(len(whole)); size += (int64(len(whole)) - before) / 12 {
		s.kill()
		if err := os.WriteFile(s.file(), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s.start()
		first := s.status()
		e := entry(t, s.l, "c1", 2)
		if !first.Sound() || first.Counts[e.State] != 1+map[bool]int{true: 2}[e.State == ledger.Queued] {
			t.Errorf("cut after %d bytes: row %+v, counts %v", size-before, e.Record, first.Counts)
		}
		claimed = claimed || e.State == ledger.Sending
		s.said, s.done = map[string]string{}, map[string][]deed{}
		s.beat(ana)
		s.ago("c1", 3*time.Second)
		s.beat(ana)
		s.send(ana, 3, ledger.Outcome{})
		s.restart(s.size())
		if second := s.status(); !second.Sound() {
			torn++
		}
		for range 2 {
			if err := s.l.Recount(ctx, "c1", false); err != nil {
				t.Fatal(err)
			}
		}
		s.wantWhole(size - before)
	}
	if !claimed {
		t.Error("no cut came between the claim and the settle")
	}
	t.Logf("redis tore %d of the scripts", torn)
}

func (s *stage) status() ledger.Status {
	s.t.Helper()
	status, err := s.l.Status(ctx, "c1")
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// wantWhole holds counts and queues against the records.
func (s *stage) wantWhole(cut int64) {
	s.t.Helper()
	entries, err := s.l.Entries(ctx, "c1", 0)
	if err != nil {
		s.t.Fatal(err)
	}
	want, sending := make(ledger.Counts), []string{}
	for _, e := range entries {
		want[e.State]++
		if e.State == ledger.Sending {
			sending = append(sending, string(rune('0'+e.Number)))
		}
	}
	for state, n := range s.status().Counts {
		if n != want[state] {
			s.t.Errorf("cut after %d bytes: %d rows count as %s, and %d are", cut, n, state, want[state])
		}
	}
	queue := s.rdb.ZRange(ctx, "pregon:{c1}:sending", 0, -1).Val()
	slices.Sort(queue)
	if !slices.Equal(queue, sending) {
		s.t.Errorf("cut after %d bytes: %v are to be swept, and %v are under way", cut, queue, sending)
	}
}
