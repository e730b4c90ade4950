package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/providers"
	"pregon/providers/simulator"
)

// TestTheSearchForCanariesFindsThem leaks on purpose: every other test relies on this search when it ends.
func TestTheSearchForCanariesFindsThem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		for what, leak := range map[string]func(*stage) error{
			"log":       func(s *stage) error { s.log.logger().Info("sent", "to", international("2000")); return nil },
			"key":       func(s *stage) error { return rdb.Set(ctx, "cap:"+international("2000"), 1, 0).Err() },
			"string":    func(s *stage) error { return rdb.Set(ctx, "x", "hola "+canaryName, 0).Err() },
			"hash":      func(s *stage) error { return rdb.HSet(ctx, "x", "login", canaryLogin).Err() },
			"list":      func(s *stage) error { return rdb.RPush(ctx, "x", "a", canaryToken).Err() },
			"set":       func(s *stage) error { return rdb.SAdd(ctx, "x", phonePrefix+"2000").Err() },
			"sortedset": func(s *stage) error { return rdb.ZAdd(ctx, "x", redis.Z{Member: canaryName}).Err() },
		} {
			s := &stage{t: t, rdb: rdb, log: new(tap)}
			if leaks := s.leaks(); len(leaks) != 0 {
				t.Fatalf("before anything leaked: %v", leaks)
			}
			if err := leak(s); err != nil {
				t.Fatal(err)
			}
			if leaks := s.leaks(); len(leaks) != 1 {
				t.Errorf("%s: found %v, want one leak", what, leaks)
			}
			if err := rdb.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestRunFromTheDashboardDoesNotHurryWhatIsForLater presses "run" on a row that must wait a day.
func TestRunFromTheDashboardDoesNotHurryWhatIsForLater(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		f.send = func(context.Context, providers.Message) (providers.Receipt, error) {
			return providers.Receipt{}, &providers.Error{Class: providers.Later, Code: "131049"}
		}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		s.work()
		waits := func(words string) bool {
			tasks, err := s.queue.ListRetryTasks("c1")
			return err == nil && len(tasks) == 1 && tasks[0].LastErr == words &&
				time.Until(tasks[0].NextProcessAt) > 23*time.Hour
		}
		await(t, "the row waits for tomorrow", func() bool { return waits("131049") })
		if _, err := s.queue.RunAllRetryTasks("c1"); err != nil {
			t.Fatal(err)
		}
		await(t, "it waits again", func() bool { return waits("not before its time") })
		if f.sent.Load() != 1 {
			t.Errorf("sent %d times", f.sent.Load())
		}
		s.wantCounts("c1", ledger.Counts{ledger.Waiting: 1})
	})
}

func TestWhatNeverLeftIsTriedAgainWithoutCounting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		f.send = func(_ context.Context, m providers.Message) (providers.Receipt, error) {
			if strings.HasSuffix(m.Ref, ":1") {
				return providers.Receipt{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeNoConnection}
			}
			return providers.Receipt{ID: m.Ref}, nil
		}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2, 3))
		s.work()
		s.becomes("c1", ledger.Finished, "")
		entries, err := s.ledger.Entries(ctx, "c1", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.State != ledger.Accepted || e.Fence != 2 || e.Tries != 0 {
				t.Errorf("row %d: %+v", e.Number, e.Record)
			}
		}
	})
}

func TestARowOfADeadWorkerIsInDoubtAndNeverSent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2, 3))
		if c, err := s.ledger.Claim(ctx, ledger.NewClaim("c1", 2, "w00000"), "CO", 0); err != nil || c.Verdict != ledger.Go {
			t.Fatalf("claim: %+v %v", c, err)
		}
		s.work()
		s.becomes("c1", ledger.Finished, "")
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 1, ledger.InDoubt: 1})
		if f.sent.Load() != 1 {
			t.Errorf("%d messages were sent", f.sent.Load())
		}
	})
}

func TestEachCountryHasItsOwnHours(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		s := newFakeStage(t, rdb, f)
		rows := valid(2, 3)
		rows[1].Country = "PE"
		c := definition("c1", rows)
		c.AnyHour, c.Purpose, c.Countries = false, string(campaign.Marketing), []string{"CO", "PE"}
		w, err := s.ledger.Create(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Write(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := w.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ledger.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		oneOpen := hour(t, func(co, pe bool) bool { return pe && !co })
		noneOpen := hour(t, func(co, pe bool) bool { return !pe && !co })
		k := newClock(oneOpen)
		s.work(k.on)
		await(t, "the row of the open country is sent, the other waits", func() bool {
			counts := s.status("c1").Counts
			tasks, err := s.queue.ListRetryTasks("c1")
			return counts[ledger.Accepted] == 1 && counts[ledger.Queued] == 1 &&
				err == nil && len(tasks) == 1 && tasks[0].LastErr == "outside contact hours"
		})
		s.becomes("c1", ledger.Running, "")
		k.set(noneOpen)
		s.becomes("c1", ledger.Paused, reasonWindow)
		s.idle()
		if rows := s.results("c1"); rows[2].State != ledger.Queued || rows[3].State != ledger.Accepted {
			t.Errorf("rows %+v", rows)
		}
	})
}

// hour looks ahead, half an hour at a time, for a moment at which Colombia and Peru are open or closed as wanted.
func hour(t *testing.T, wanted func(co, pe bool) bool) time.Time {
	t.Helper()
	for at := time.Now().Truncate(time.Hour).Add(time.Hour); ; at = at.Add(30 * time.Minute) {
		co, _ := campaign.Hours("CO", campaign.Marketing).Open(at)
		pe, _ := campaign.Hours("PE", campaign.Marketing).Open(at)
		if wanted(co, pe) {
			return at
		}
	}
}

// A campaign may be slower than its account.
func TestACampaignKeepsItsOwnRate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		people := contacts(16)
		id := s.launch(people, func(l *Launch) { l.Rate = 5 })
		s.work()
		s.work()
		if rate := s.status(id).Rate; rate != 5 {
			t.Errorf("status shows rate %v", rate)
		}
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		// Twice the rate leaves room for a machine that stalls; the account's rate would bring all at once.
		if got := s.provider.Rate(); got.MaxIn1s > 10 {
			t.Errorf("%d messages in one second", got.MaxIn1s)
		}
	})
}
