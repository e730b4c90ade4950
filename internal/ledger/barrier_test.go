package ledger_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pregon/internal/ledger"
)

// Workers of these tests: j… keep a journal, w… do not.
const (
	ana   = "jana00"
	bela  = "jbela0"
	carla = "wcarla"
	dora  = "wdora0"
)

// stage is a campaign on a Redis that a test kills, and what each worker says again when it is asked.
type stage struct {
	*mortal
	l    *ledger.Ledger
	done map[string][]deed
	said map[string]string
}

type deed struct {
	claim   ledger.Claim
	outcome ledger.Outcome
}

func newStage(t *testing.T, rows int, workers ...string) *stage {
	t.Helper()
	s := &stage{mortal: newMortal(t), done: make(map[string][]deed), said: make(map[string]string)}
	s.l = newLedger(t, s.rdb)
	launch(t, s.l, "c1", rows)
	for _, w := range workers {
		if b := s.beat(w); !b.Open() {
			t.Fatalf("first beat of %s: %+v", w, b)
		}
	}
	return s
}

// beat is one pulse, as jobs does it.
func (s *stage) beat(worker string) ledger.Beat {
	s.t.Helper()
	b, err := s.l.Beat(ctx, "c1", worker, s.said[worker])
	if err == nil && b.Assert != "" {
		for _, d := range s.done[worker] {
			if _, err := s.l.Reassert(ctx, d.claim, d.outcome, time.Now()); err != nil {
				s.t.Fatal(err)
			}
		}
		s.said[worker] = b.Assert
		b, err = s.l.Beat(ctx, "c1", worker, s.said[worker])
	}
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(b.Waiting)
	return b
}

func (s *stage) wantWaiting(worker string, want ...string) {
	s.t.Helper()
	if b := s.beat(worker); !slices.Equal(b.Waiting, want) || b.Open() {
		s.t.Errorf("%s is told %+v, want to wait for %v", worker, b, want)
	}
}

func (s *stage) wantOpen(worker string) {
	s.t.Helper()
	if b := s.beat(worker); !b.Open() {
		s.t.Errorf("%s is told %+v, want to go on", worker, b)
	}
}

// send claims a row and says what came of it; without an outcome it is under way.
func (s *stage) send(worker string, row int, o ledger.Outcome) ledger.Claim {
	s.t.Helper()
	c, err := s.l.Claim(ctx, ledger.NewClaim("c1", row, worker), "CO", time.Hour)
	if err != nil || c.Verdict != ledger.Go {
		s.t.Fatalf("claim of %s: %+v %v", worker, c, err)
	}
	if o.State != "" {
		if err := settle(s.l, c, o); err != nil {
			s.t.Fatal(err)
		}
	}
	s.done[worker] = append(s.done[worker], deed{c, o})
	return c
}

func (s *stage) verdict(row int) ledger.Verdict {
	s.t.Helper()
	return claim(s.t, s.l, "c1", row).Verdict
}

func (s *stage) person(v ledger.Verb) {
	s.t.Helper()
	steer(s.t, s.l, ledger.Steering{Verb: v, Reason: "epoch", Person: true}, ledger.Running, true)
}

func (s *stage) askAPerson() {
	s.t.Helper()
	steer(s.t, s.l, ledger.Steering{Verb: ledger.Pause, Reason: "epoch"}, ledger.Paused, true)
}

func TestWhatRedisForgotIsSaidAgainBeforeAnybodySends(t *testing.T) {
	t.Parallel()
	s := newStage(t, 6, ana, bela)
	kept := s.send(ana, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "kept", Account: "cv"})
	size := s.size()
	s.send(ana, 3, ledger.Outcome{State: ledger.Accepted, MessageID: "lost", Account: "cv"})
	s.send(ana, 4, ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected", Tried: true, Why: "no WhatsApp"})
	s.send(bela, 5, ledger.Outcome{State: ledger.InDoubt, Code: "timeout", Class: "unknown"})
	underway := s.send(bela, 6, ledger.Outcome{})
	s.restart(size)

	wantCounts(t, s.l, "c1", map[ledger.RowState]int{
		ledger.Accepted: 1, ledger.Queued: 5, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
	})
	for row := 3; row <= 7; row++ {
		if v := s.verdict(row); v != ledger.Epoch {
			t.Errorf("claim of row %d: %s", row, v)
		}
	}
	if v := s.verdict(kept.Row); v != ledger.Done {
		t.Errorf("claim of what was kept: %s", v)
	}
	s.wantWaiting(ana, bela)
	s.ago("c1", 3*time.Second)
	s.wantWaiting(ana, bela)
	s.wantOpen(bela)
	s.wantOpen(ana)
	wantCounts(t, s.l, "c1", map[ledger.RowState]int{
		ledger.Accepted: 2, ledger.Failed: 1, ledger.InDoubt: 1, ledger.Sending: 1, ledger.Queued: 1,
		ledger.InvalidRow: 1, ledger.SkippedRow: 1,
	})
	for row, want := range map[int]ledger.Verdict{
		3: ledger.Done, 4: ledger.Done, 5: ledger.Doubt, 6: ledger.Busy, 7: ledger.Go,
	} {
		if v := s.verdict(row); v != want {
			t.Errorf("claim of row %d: %s, want %s", row, v, want)
		}
	}
	if err := settle(s.l, underway, ledger.Outcome{State: ledger.Accepted, MessageID: "late", Account: "cv"}); err != nil {
		t.Errorf("settle of what was under way: %v", err)
	}
	place, ok, err := s.l.Find(ctx, "cv", "lost", time.Now())
	if want := (ledger.Place{Campaign: "c1", Row: 3, Fence: 1}); err != nil || !ok || place != want {
		t.Errorf("the message id said again: %+v %v %v", place, ok, err)
	}
	e, _, err := s.l.Entry(ctx, "c1", 4)
	if err != nil || e.Why != "no WhatsApp" || e.Tries != 1 {
		t.Errorf("the refusal said again: %+v %v", e.Record, err)
	}
}

func TestTheBarrierWaitsForEveryLiveWorkerToBeNoticed(t *testing.T) {
	t.Parallel()
	s := newStage(t, 1, ana)
	s.restart(s.size())
	s.wantWaiting(ana)
	s.wantWaiting(dora) // nobody knew of her
	if b, err := s.l.Beat(ctx, "c1", bela, ""); err != nil || b.Assert == "" {
		t.Fatalf("first beat of bela: %+v %v", b, err)
	}
	s.ago("c1", 1900*time.Millisecond)
	s.wantWaiting(ana, bela) // who came must say, too
	s.ago("c1", 200*time.Millisecond)
	s.wantWaiting(ana, bela)
	s.wantOpen(bela)
	if v := s.verdict(2); v != ledger.Go {
		t.Errorf("claim: %s", v)
	}
}

func TestWhoIsWaitedFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		silent time.Duration // since when bela and carla had not beaten when Redis was killed
		leave  bool          // they had let go of the campaign
		passed time.Duration // since the barrier began
		want   []string      // still waited for
	}{
		{"AtFirst", time.Second, false, 3 * time.Second, []string{bela, carla}},
		{"NearlyThirtySeconds", time.Second, false, 28 * time.Second, []string{bela, carla}},
		{"SilentForThirtySeconds", time.Second, false, 30 * time.Second, []string{bela}},
		{"TheJournalWithoutEnd", time.Second, false, 24 * time.Hour, []string{bela}},
		{"JustWithinFiveSeconds", 4500 * time.Millisecond, false, 3 * time.Second, []string{bela, carla}},
		{"SilentLongBefore", 6 * time.Second, false, 3 * time.Second, nil},
		{"Left", 0, true, 3 * time.Second, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 1, bela, carla, ana)
			s.ago("c1", tt.silent, bela, carla)
			if tt.leave {
				for _, w := range []string{bela, carla} {
					if err := s.l.Leave(ctx, "c1", w); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.wantOpen(ana)
			s.restart(s.size())
			s.beat(ana)
			if tt.leave {
				s.ago("c1", tt.passed)
			} else {
				s.ago("c1", tt.passed, bela, carla)
			}
			if tt.want == nil {
				s.wantOpen(ana)
			} else {
				s.wantWaiting(ana, tt.want...)
			}
		})
	}
}

// However long it takes to say again what it did, a worker that is heard of is not given up.
func TestASlowWorkerIsNotGivenUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, 1, ana, carla)
	s.restart(s.size())
	s.beat(ana)
	s.ago("c1", time.Minute, carla)
	if b, err := s.l.Beat(ctx, "c1", carla, ""); err != nil || b.Assert == "" { // and she begins
		t.Fatalf("beat: %+v %v", b, err)
	}
	s.wantWaiting(ana, carla)
	s.ago("c1", time.Minute, carla)
	s.wantOpen(ana)
}

// Redis is killed again while some are waited for: they still are, however long ago they were heard of.
func TestASecondRestartForgetsNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2, ana, bela, carla)
	size := s.size()
	s.send(bela, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "m"})
	s.restart(size)
	s.wantWaiting(ana, bela, carla)
	s.ago("c1", 10*time.Second, bela, carla)
	s.wantWaiting(ana, bela, carla)
	for range 2 {
		s.restart(s.size())
		s.wantWaiting(ana, bela, carla)
		s.ago("c1", 10*time.Second, bela, carla)
	}
	s.ago("c1", 31*time.Second, bela, carla)
	s.wantWaiting(ana, bela)
	s.wantOpen(bela)
	if v := s.verdict(2); v != ledger.Done {
		t.Errorf("claim of what bela sent: %s", v)
	}
}

func TestAPersonMayGoOnWithoutAWorker(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2, ana, bela)
	size := s.size()
	s.send(bela, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "m"})
	s.restart(size)
	s.beat(ana)
	s.ago("c1", time.Hour, bela)
	s.wantWaiting(ana, bela)
	s.askAPerson()
	s.person(ledger.Resume)
	s.wantOpen(ana)
	if v := s.verdict(3); v != ledger.Go {
		t.Errorf("claim: %s", v)
	}
	// Bela comes back after all, before her row is sent again.
	s.wantOpen(bela)
	if v := s.verdict(2); v != ledger.Done {
		t.Errorf("claim of what bela sent: %s", v)
	}
}

// The person answered for what one restart may have lost, and not for the next one.
func TestAnAnswerHoldsForOneRestart(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2, ana, bela)
	s.restart(s.size())
	s.beat(ana)
	s.ago("c1", time.Hour, bela)
	s.wantWaiting(ana, bela)
	s.askAPerson()
	s.restart(s.size())
	s.person(ledger.Resume)
	if v := s.verdict(2); v != ledger.Epoch {
		t.Errorf("claim: %s", v)
	}
	s.wantWaiting(ana, bela)
}

func TestWhoLeavesSaysFirstWhatItDid(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2, ana, bela)
	size := s.size()
	s.send(bela, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "m"})
	s.restart(size)
	if err := s.l.Leave(ctx, "c1", bela); !errors.Is(err, ledger.ErrUnsaid) {
		t.Errorf("leave before she said it: %v", err)
	}
	s.wantWaiting(ana, bela)
	s.wantWaiting(bela)
	if err := s.l.Leave(ctx, "c1", bela); err != nil {
		t.Errorf("leave: %v", err)
	}
	s.ago("c1", 3*time.Second)
	s.wantOpen(ana)
	if v := s.verdict(2); v != ledger.Done {
		t.Errorf("claim of what bela sent: %s", v)
	}
	left, err := s.rdb.ZRange(ctx, "pregon:{c1}:workers", 0, -1).Result()
	if diff := cmp.Diff([]string{ana}, left); err != nil || diff != "" {
		t.Errorf("at work (-want +got): %v\n%s", err, diff)
	}
}

// A worker that nobody waited for is asked all the same, once.
func TestWhoComesLateIsAsked(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2, ana, carla)
	size := s.size()
	s.send(carla, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "m"})
	s.restart(size)
	s.beat(ana)
	s.ago("c1", time.Minute, carla)
	s.wantOpen(ana)
	b, err := s.l.Beat(ctx, "c1", carla, s.said[carla])
	if err != nil || b.Assert == "" {
		t.Errorf("carla is told %+v %v", b, err)
	}
	s.wantOpen(carla)
	s.wantOpen(carla)
	if v := s.verdict(2); v != ledger.Done {
		t.Errorf("claim of what carla sent: %s", v)
	}
}
