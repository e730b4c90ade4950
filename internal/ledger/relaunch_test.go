package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// forgetAll is a Redis that has lost a whole campaign.
func forgetAll(t *testing.T, rdb redis.UniversalClient, id string) {
	t.Helper()
	keys, err := rdb.Keys(ctx, "pregon:{"+id+"}:*").Result()
	if err == nil && len(keys) > 0 {
		err = rdb.Del(ctx, keys...).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Redis forgot a launch, workers say again what they sent of it, and the person launches once more: before, between and
// after what the workers say.
func TestALaunchThatRedisForgotKeepsWhatWasSent(t *testing.T) {
	t.Parallel()
	deeds := []ledger.Outcome{
		{State: ledger.Accepted, MessageID: "m"},
		{State: ledger.Failed, Code: "1002", Class: "rejected"},
		{State: ledger.InDoubt, Code: "timeout", Class: "unknown"},
		{State: ledger.Waiting, Code: "429", After: time.Hour, Tried: true},
		{}, // under way
	}
	verdicts := []ledger.Verdict{ledger.Done, ledger.Done, ledger.Doubt, ledger.Wait, ledger.Busy, ledger.Go}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for name, at := range map[string][2]int{ // how many deeds are said before the pages, and before the commit
			"Before": {5, 5}, "Between": {0, 5}, "After": {0, 0}, "Throughout": {2, 4},
		} {
			t.Run(name, func(t *testing.T) {
				const n = 6
				l := newLedger(t, rdb)
				launch(t, l, name, n)
				claims := make([]ledger.Claim, len(deeds))
				for i, o := range deeds {
					claims[i] = claim(t, l, name, i+2)
					if o.State != "" {
						if err := settle(l, claims[i], o); err != nil {
							t.Fatal(err)
						}
					}
				}
				forgetAll(t, rdb, name)
				say := func(from, to int) {
					for i := from; i < to; i++ {
						if changed, err := l.Reassert(ctx, claims[i], deeds[i], time.Now()); err != nil || !changed {
							t.Fatalf("say again row %d: %v %v", i+2, changed, err)
						}
					}
				}
				say(0, at[0])
				if _, err := load(l, definition(name, n), file(n)); err != nil {
					t.Fatal(err)
				}
				say(at[0], at[1])
				wantCounts(t, l, name, draftCounts(at[1], n))
				if state, err := l.Commit(ctx, definition(name, n)); err != nil || state != ledger.Running {
					t.Fatalf("commit: %v %v", state, err)
				}
				open(t, l, name, farAway)
				say(at[1], len(deeds))
				want := draftCounts(len(deeds), n)
				wantCounts(t, l, name, want)
				for i, v := range verdicts {
					if got := claim(t, l, name, i+2); got.Verdict != v {
						t.Errorf("claim of row %d: %s, want %s", i+2, got.Verdict, v)
					}
				}
				// Another process, which never knew the first launch's key, reads the same file.
				for _, reader := range []*ledger.Ledger{l, newLedger(t, rdb)} {
					if e, ok, err := reader.Entry(ctx, name, 2); err != nil || !ok || e.Phone != file(n)[0].Phone {
						t.Errorf("row 2: %+v %v %v", e, ok, err)
					}
				}
			})
		}
	})
}

// draftCounts are the counts when the first deeds of n rows have been said again.
func draftCounts(said, n int) map[ledger.RowState]int {
	states := []ledger.RowState{ledger.Accepted, ledger.Failed, ledger.InDoubt, ledger.Waiting, ledger.Sending}
	want := map[ledger.RowState]int{ledger.Queued: n - said, ledger.InvalidRow: 1, ledger.SkippedRow: 1}
	for _, s := range states[:said] {
		want[s]++
	}
	return want
}

// A process that knows the key of the launch that Redis forgot reads the pages of the one that another process made.
func TestALaunchMadeAgainIsReadWithItsOwnKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		old := newLedger(t, rdb)
		launch(t, old, "c1", 3)
		if _, err := old.Page(ctx, "c1", 0); err != nil {
			t.Fatal(err)
		}
		forgetAll(t, rdb, "c1")
		launch(t, newLedger(t, rdb), "c1", 3)
		if rows, err := old.Page(ctx, "c1", 0); err != nil || len(rows) != 5 {
			t.Errorf("page: %v %v", rows, err)
		}
		forgetAll(t, rdb, "c1")
		launch(t, old, "c1", 3)
		if rows, err := newLedger(t, rdb).Page(ctx, "c1", 0); err != nil || len(rows) != 5 {
			t.Errorf("page: %v %v", rows, err)
		}
	})
}

func TestALaunchMadeAgainWaitsForWhatWorkersRemember(t *testing.T) {
	t.Parallel()
	s := &stage{mortal: newMortal(t), done: make(map[string][]deed), said: make(map[string]string)}
	s.l = newLedger(t, s.rdb)
	size := s.size()
	launch(t, s.l, "c1", 2)
	s.wantOpen(ana)
	s.wantOpen(bela)
	s.send(bela, 2, ledger.Outcome{State: ledger.Accepted, MessageID: "m"})
	if _, err := s.l.Campaign(ctx, "c1"); err != nil { // every worker knows it
		t.Fatal(err)
	}
	s.restart(size)
	s.beat(ana)                                           // her campaign is gone, and she does not know it yet
	if err := s.l.Recount(ctx, "c1", false); err != nil { // as after any restart
		t.Fatal(err)
	}
	launch(t, s.l, "c1", 2)
	if v := s.verdict(2); v != ledger.Epoch {
		t.Errorf("claim before bela has said what she sent: %s", v)
	}
	s.ago("c1", time.Second)
	s.wantWaiting(bela)
	s.ago("c1", 2*time.Second)
	s.wantOpen(bela)
	if v := s.verdict(2); v != ledger.Done {
		t.Errorf("claim: %s", v)
	}
	wantCounts(t, s.l, "c1", map[ledger.RowState]int{
		ledger.Accepted: 1, ledger.Queued: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
	})
	if ids, err := s.l.Active(ctx); err != nil || !slices.Contains(ids, "c1") {
		t.Errorf("active: %v %v", ids, err)
	}
}
