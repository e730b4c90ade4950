package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

func TestLaunchKeepsEveryRow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		const n = 700
		launch(t, l, "c1", n)
		want := file(n)
		var got []ledger.Row
		for e, err := range l.Rows(ctx, "c1") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Row)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{ledger.Queued: n, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
	})
}

func TestALaunchKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		const n = 600
		for _, written := range []int{0, 1, 255, 256, 300, n + 2} {
			if _, err := load(l, definition("c1", n), file(n)[:written]); err != nil {
				t.Fatal(err)
			}
			// The half launch kept some rows only in memory; the next one starts over and ends with all of them.
			s, err := l.Status(ctx, "c1")
			if err != nil || s.Control.State != ledger.Draft || s.Counts[ledger.Queued] != n {
				t.Fatalf("a draft: %+v %v", s, err)
			}
		}
		launch(t, l, "c1", n)
		if state, err := l.Commit(ctx, definition("c1", n)); err != nil || state != ledger.Running {
			t.Errorf("commit again: %v %v", state, err)
		}
	})
}

func TestALaunchThatWasCutIsCompleteAfterwards(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		const n = 600
		w, err := l.Create(ctx, definition("c1", n))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range file(n)[:520] { // two pages are sealed, the third is lost with the process
			if err := w.Write(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		launch(t, l, "c1", n)
		seen := 0
		for _, err := range l.Rows(ctx, "c1") {
			if err != nil {
				t.Fatal(err)
			}
			seen++
		}
		if seen != n+2 {
			t.Errorf("%d rows, want %d", seen, n+2)
		}
	})
}

func TestALaunchMayChangeTheRulesOfADraftOnly(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		given := definition("c1", 3)
		given.AnyHour = true
		if _, err := load(l, given, file(3)); err != nil { // killed before its commit
			t.Fatal(err)
		}
		launch(t, l, "c1", 3)
		for _, reader := range []*ledger.Ledger{l, newLedger(t, rdb)} {
			if c, err := reader.Campaign(ctx, "c1"); err != nil || c.AnyHour {
				t.Errorf("the campaign runs with the rules of the launch that was given up: %+v %v", c, err)
			}
		}
		if _, err := l.Commit(ctx, given); err != nil {
			t.Fatal(err)
		}
		if c, err := newLedger(t, rdb).Campaign(ctx, "c1"); err != nil || c.AnyHour {
			t.Errorf("a later commit changed the rules: %+v %v", c, err)
		}
	})
}

func TestARowThatOpensAgainWakesAFinishedCampaign(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		late, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := l.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Fatalf("expire: %v %v", ok, err)
		}
		steer(t, l, ledger.Steering{Verb: ledger.Finish}, ledger.Finished, true)
		if err := l.Retire(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
		// The worker was only asleep, and its message provably never left.
		if err := settle(l, late, ledger.Outcome{State: ledger.Waiting, Code: "no_connection"}); err != nil {
			t.Fatal(err)
		}
		c, err := l.Control(ctx, "c1")
		if err != nil || c.State != ledger.Running || !c.FinishedAt.IsZero() {
			t.Errorf("control: %+v %v", c, err)
		}
		active, err := l.Active(ctx)
		if err != nil || !slices.Contains(active, "c1") {
			t.Errorf("active: %v %v", active, err)
		}
		if next := claim(t, l, "c1", 2); next.Verdict != ledger.Go {
			t.Errorf("claim: %+v", next)
		}
	})
}

func TestAnotherDefinitionUnderTheSameIDIsRefused(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 3)
		other := definition("c1", 3)
		other.Content = "beef"
		if _, err := newLedger(t, rdb).Create(ctx, other); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("create: %v", err)
		}
	})
}

func TestAMissingPageIsNoticed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 600)
		if err := rdb.Del(ctx, "pregon:{c1}:page:1").Err(); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range l.Rows(ctx, "c1") {
			last = err
		}
		if !errors.Is(last, ledger.ErrCorrupt) {
			t.Errorf("walk over a missing page: %v", last)
		}
	})
}

func TestPagesAreBoundToTheirPlaceAndKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 600)
		sealed, err := rdb.Get(ctx, "pregon:{c1}:page:0").Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"57300", "Muñoz", "phone_letters"} {
			if bytes.Contains(sealed, []byte(word)) {
				t.Errorf("the stored page shows %q", word)
			}
		}
		if err := rdb.Set(ctx, "pregon:{c1}:page:1", sealed, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Page(ctx, "c1", 1); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("a page in another's place: %v", err)
		}
		stranger, err := ledger.New(rdb, bytes.Repeat([]byte{8}, ledger.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := l.Verify(ctx); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
		if err := stranger.Verify(ctx); !errors.Is(err, ledger.ErrMasterKey) {
			t.Errorf("verify with another master key: %v", err)
		}
		if _, err := stranger.Page(ctx, "c1", 0); !errors.Is(err, ledger.ErrMasterKey) {
			t.Errorf("a process with another master key: %v", err)
		}
	})
}

func TestFeedCursor(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 600)
		for _, step := range []struct {
			generation, pages, rows int
			want                    bool
		}{{1, 1, 254, true}, {1, 1, 254, false}, {1, 3, 600, true}, {1, 2, 510, false}, {2, 1, 254, false}} {
			if ok, err := l.Fed(ctx, "c1", step.generation, step.pages, step.rows); err != nil || ok != step.want {
				t.Errorf("fed %+v: %v %v", step, ok, err)
			}
		}
		if ok, err := l.NewGeneration(ctx, "c1", 1); err != nil || !ok {
			t.Errorf("new generation: %v %v", ok, err)
		}
		if ok, err := l.NewGeneration(ctx, "c1", 1); err != nil || ok {
			t.Errorf("new generation by a second worker: %v %v", ok, err)
		}
		c, err := l.Control(ctx, "c1")
		if err != nil || c.Generation != 2 || c.FedPages != 0 || c.FedRows != 0 {
			t.Errorf("control: %+v %v", c, err)
		}
	})
}

func TestIndexFindsTheRowOfAMessage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		now := time.Now()
		place := ledger.Place{Campaign: "c1", Row: 4213, Fence: 2}
		for _, id := range []string{"0e1add43-f91c-4e7c-8805-221ef6b27b98", "wamid.HBg=:x"} {
			if err := l.Index(ctx, "cv", id, place, now.Add(-20*24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			got, ok, err := l.Find(ctx, "cv", id, now)
			if err != nil || !ok || got != place {
				t.Errorf("find: %+v %v %v", got, ok, err)
			}
			if _, ok, err := l.Find(ctx, "other", id, now); ok || err != nil {
				t.Errorf("another account finds it: %v %v", ok, err)
			}
		}
		keys, err := rdb.Keys(ctx, "pregon:mid:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if ttl := rdb.TTL(ctx, key).Val(); ttl <= 10*24*time.Hour || ttl > 66*24*time.Hour {
				t.Errorf("slice %s lives %v", key, ttl)
			}
		}
	})
}

func TestSameContentIsRemembered(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		if _, err := l.SameContent(ctx, "abc", "c1"); err != nil {
			t.Fatal(err)
		}
		got, err := l.SameContent(ctx, "abc", "")
		if err != nil || !slices.Equal(got, []string{"c1"}) {
			t.Errorf("same content: %v %v", got, err)
		}
	})
}

func TestNudgesArrive(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		nudges := l.Nudges(t.Context())
		// A subscription is not ready at once; a person presses the button again.
		deadline := time.After(10 * time.Second)
		verbs := []ledger.Verb{ledger.Pause, ledger.Resume}
		for i := 0; ; i++ {
			if _, _, err := l.Steer(ctx, "c1", ledger.Steering{Verb: verbs[i%2], Reason: "operator", Person: true}); err != nil {
				t.Fatal(err)
			}
			select {
			case id := <-nudges:
				if id != "c1" {
					t.Errorf("nudge for %q", id)
				}
				return
			case <-deadline:
				t.Fatal("no nudge in ten seconds")
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
}

func TestSettleIndexesTheMessage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 3)
		for row := 2; row <= 4; row++ {
			c := claim(t, l, "c1", row)
			if row == 3 { // as after a restart of Redis
				if err := rdb.ScriptFlush(ctx).Err(); err != nil {
					t.Fatal(err)
				}
			}
			id := "message-" + strconv.Itoa(row)
			o := ledger.Outcome{State: ledger.Accepted, MessageID: id, Account: "cv"}
			for range 2 {
				if err := settle(l, c, o); err != nil {
					t.Fatal(err)
				}
			}
			got, ok, err := l.Find(ctx, "cv", id, time.Now())
			if want := (ledger.Place{Campaign: "c1", Row: row, Fence: 1}); err != nil || !ok || got != want {
				t.Errorf("find: %+v %v %v", got, ok, err)
			}
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.Accepted: 3, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
	})
}

// meanwhile does something once, right after a campaign was put before the workers.
type meanwhile struct {
	once sync.Once
	do   func()
}

func (m *meanwhile) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *meanwhile) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "sadd" {
			m.once.Do(m.do)
		}
		return err
	}
}

func (m *meanwhile) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A worker that lets go of a finished campaign while a late settle wakes it must not leave it without anybody.
func TestACampaignThatIsLetGoWhileARowOpensIsLookedAt(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		late, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := l.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Fatalf("expire: %v %v", ok, err)
		}
		steer(t, l, ledger.Steering{Verb: ledger.Finish}, ledger.Finished, true)
		rdb.AddHook(&meanwhile{do: func() {
			if err := l.Retire(ctx, "c1"); err != nil {
				t.Error(err)
			}
		}})
		if err := settle(l, late, ledger.Outcome{State: ledger.Waiting, Code: "no_connection"}); err != nil {
			t.Fatal(err)
		}
		if active, err := l.Active(ctx); err != nil || !slices.Contains(active, "c1") {
			t.Errorf("active: %v %v", active, err)
		}
	})
}
