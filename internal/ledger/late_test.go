package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// attempted gives a row a history: each outcome is another attempt, and one without a state is still under way.
func attempted(t *testing.T, l *ledger.Ledger, id string, history []ledger.Outcome) (last ledger.Claim) {
	t.Helper()
	for _, o := range history {
		if last = claim(t, l, id, 2); last.Verdict != ledger.Go {
			t.Fatalf("claim: %+v", last)
		}
		if o.State == "" {
			continue
		}
		if err := settle(l, last, o); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// A worker that nobody waited for comes back when Redis has forgotten what it did and its row was given out again, so that
// the number of its attempt is another's, or says nothing at all.
func TestWhoComesBackTooLateNeverOpensARow(t *testing.T) {
	t.Parallel()
	underway := ledger.Outcome{}
	accepted := ledger.Outcome{State: ledger.Accepted, MessageID: "late"}
	doubt := ledger.Outcome{State: ledger.InDoubt, Code: "timeout", Class: "unknown"}
	unsent := ledger.Outcome{State: ledger.Waiting, Code: "no_connection", Class: "unsent"}
	broke := ledger.Outcome{State: ledger.Queued, Code: "5", Class: "broke"}
	refused := ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected"}
	type list = []ledger.Outcome
	tests := []struct {
		name  string
		since list // what came of the row since then
		fence int  // of the late attempt
		says  ledger.Outcome
		want  ledger.RowState
	}{
		{"UnsentWhileSending", list{underway}, 1, unsent, ledger.Sending},
		{"BrokeWhileSending", list{underway}, 1, broke, ledger.Sending},
		{"RefusedWhileSending", list{underway}, 1, refused, ledger.Sending},
		{"DoubtWhileSending", list{underway}, 1, doubt, ledger.Sending},
		{"AcceptedWhileSending", list{underway}, 1, accepted, ledger.Accepted},
		{"SecondUnsentWhileSending", list{underway}, 2, unsent, ledger.Sending},
		{"SecondUnderWayWhileSending", list{underway}, 2, underway, ledger.Sending},
		{"SecondRefusedWhileSending", list{underway}, 2, refused, ledger.Sending},
		{"SecondUnsentAfterAccepted", list{{State: ledger.Accepted}}, 2, unsent, ledger.Accepted},
		{"SecondBrokeAfterAccepted", list{{State: ledger.Accepted}}, 2, broke, ledger.Accepted},
		{"SecondUnderWayAfterAccepted", list{{State: ledger.Accepted}}, 2, underway, ledger.Accepted},
		{"SecondRefusedAfterAccepted", list{{State: ledger.Accepted}}, 2, refused, ledger.Accepted},
		{"UnsentAfterDoubt", list{doubt}, 1, unsent, ledger.InDoubt},
		{"SecondUnsentAfterDoubt", list{doubt}, 2, unsent, ledger.InDoubt},
		{"AcceptedAfterDoubt", list{doubt}, 1, accepted, ledger.Accepted},
		{"SecondAcceptedAfterDoubt", list{doubt}, 2, accepted, ledger.Accepted},
		{"SecondUnsentAfterRefused", list{refused}, 2, unsent, ledger.Failed},
		{"AcceptedAfterUnsent", list{unsent}, 1, accepted, ledger.Accepted},
		{"AcceptedAfterUnsentTwice", list{unsent, unsent}, 1, accepted, ledger.Accepted},
		{"AcceptedAfterDoubtInTheSecond", list{unsent, doubt}, 1, accepted, ledger.Accepted},
		{"UnsentAfterUnsentTwice", list{unsent, unsent}, 1, unsent, ledger.Waiting},
		{"SecondDoubtAfterUnsent", list{unsent}, 2, doubt, ledger.InDoubt},
		{"SecondUnderWayAfterUnsent", list{unsent}, 2, underway, ledger.Sending},
		{"SecondRefusedAfterUnsent", list{unsent}, 2, refused, ledger.Failed},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id := strings.ToLower(tt.name)
				launch(t, l, id, 1)
				now := attempted(t, l, id, tt.since)
				late := ledger.NewClaim(id, 2, "j00000")
				late.Fence, late.Deadline = tt.fence, time.Now().Add(time.Hour)
				for range 2 { // its answer may be lost, too
					if _, err := l.Reassert(ctx, late, tt.says, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				e, _, err := l.Entry(ctx, id, 2)
				if err != nil || e.State != tt.want || e.Fence < max(now.Fence, 1) {
					t.Errorf("row: %+v %v, want %s", e.Record, err, tt.want)
				}
				wantCounts(t, l, id, map[ledger.RowState]int{tt.want: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
				if len(tt.since) == 1 && tt.since[0] == underway { // who sends it now can still say how it ended
					if err := settle(l, now, ledger.Outcome{State: ledger.Accepted, MessageID: "now"}); err != nil {
						t.Errorf("settle of the attempt under way: %v", err)
					}
				}
			})
		}
	})
}

// A worker says again what was under way while the claim is given back at the same time: the row must not stay taken.
func TestWhatWasGivenBackIsNotSaidToBeUnderWay(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		c := ledger.NewClaim("c1", 2, worker)
		c.Fence, c.Deadline = 1, time.Now().Add(time.Hour)
		if ok, err := l.Release(ctx, c); err != nil || ok {
			t.Fatalf("release of a claim that redis has forgotten: %v %v", ok, err)
		}
		if changed, err := l.Reassert(ctx, c, ledger.Outcome{}, time.Time{}); err != nil || changed {
			t.Errorf("said again: %v %v", changed, err)
		}
		if next := claim(t, l, "c1", 2); next.Verdict != ledger.Go {
			t.Errorf("claim: %+v", next)
		}
	})
}

func TestARowUnderWayWakesAFinishedCampaign(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		attempted(t, l, "c1", []ledger.Outcome{{State: ledger.Failed, Code: "1002"}})
		steer(t, l, ledger.Steering{Verb: ledger.Finish}, ledger.Finished, true)
		if err := l.Retire(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
		// A person had the row retried, and Redis has forgotten that. It is asked what it knows before anybody claims again.
		if err := rdb.HSet(ctx, "pregon:{c1}:control", "epoch", "another").Err(); err != nil {
			t.Fatal(err)
		}
		c := ledger.NewClaim("c1", 2, worker)
		c.Fence, c.Deadline = 2, time.Now().Add(time.Hour)
		if _, err := l.Reassert(ctx, c, ledger.Outcome{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		control, err := l.Control(ctx, "c1")
		if active, failed := l.Active(ctx); err != nil || failed != nil || control.State != ledger.Running || len(active) != 1 {
			t.Errorf("control %+v %v, active %v %v", control, err, active, failed)
		}
	})
}
