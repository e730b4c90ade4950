package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
	"pregon/providers"
)

func everyCountry() map[string]time.Time { return map[string]time.Time{"*": time.Now().Add(time.Hour)} }

// fake is a provider that does what a test says.
type fake struct {
	send    func(ctx context.Context, m providers.Message) (providers.Receipt, error)
	balance func() (providers.Balance, error)
	sent    atomic.Int64
	asked   atomic.Int64
}

func (f *fake) Name() string { return "fake" }

// Send asks the gate as a real client does, and counts what passed it.
func (f *fake) Send(ctx context.Context, m providers.Message) (providers.Receipt, error) {
	if err := m.Gate(); err != nil {
		return providers.Receipt{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeGate, Err: err}
	}
	f.sent.Add(1)
	if f.send != nil {
		return f.send(ctx, m)
	}
	return providers.Receipt{ID: m.Ref}, nil
}

func (f *fake) Balance(context.Context) (providers.Balance, error) {
	f.asked.Add(1)
	return f.balance()
}

// newFakeStage is a stage whose account is at a fake provider.
func newFakeStage(t *testing.T, rdb redis.UniversalClient, f *fake) *stage {
	t.Helper()
	s := &stage{
		t: t, addr: rdb.(*redis.Client).Options().Addr, rdb: rdb, ledger: newLedger(t, rdb), log: new(tap),
		queue: asynq.NewInspectorFromRedisClient(rdb), account: Account{Name: "cv", Provider: f, Rate: 500, Burst: 5},
	}
	t.Cleanup(s.private)
	return s
}

// keeper makes a keeper of a campaign, without a worker that runs.
func (s *stage) keeper(id string) *keeper {
	s.t.Helper()
	w, err := NewWorker(WorkerConfig{
		Redis: s.rdb, Ledger: s.ledger, Accounts: []Account{s.account}, Concurrency: 4, ShutdownTimeout: 10 * time.Second,
		Log: s.log.logger(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	w.reopenEvery = time.Nanosecond
	k, err := w.newKeeper(ctx, id)
	if err != nil || k == nil {
		s.t.Fatalf("keeper: %v %v", k, err)
	}
	s.t.Cleanup(k.unserve)
	return k
}

// look lets a keeper look once at a campaign that must be in this state afterwards.
func (s *stage) look(k *keeper, want ledger.State, reason string) {
	s.t.Helper()
	k.look(ctx)
	if c := control(s.t, s.ledger, k.campaign.ID); c.State != want || c.Reason != reason {
		s.t.Fatalf("campaign is %s(%s), want %s(%s)", c.State, c.Reason, want, reason)
	}
}

func TestAClosedAccountOpensByItselfOnlyWhereThatIsCertain(t *testing.T) {
	t.Parallel()
	one := 1.0
	plenty := func() (providers.Balance, error) { return providers.Balance{Amount: 9, Known: true}, nil }
	nothing := func() (providers.Balance, error) { return providers.Balance{Amount: 1, Known: true}, nil }
	unread := func() (providers.Balance, error) { return providers.Balance{Raw: "?"}, nil }
	refused := func() (providers.Balance, error) {
		return providers.Balance{}, &providers.Error{Class: providers.Blocked, Code: "2"}
	}
	tests := []struct {
		name    string
		account ledger.Account
		balance func() (providers.Balance, error)
		opens   bool
		asks    int64
	}{
		{"CredentialsWork", ledger.Account{Reason: closeAccount, Code: "2"}, unread, true, 1},
		{"CredentialsOfHTTP", ledger.Account{Reason: closeAccount, Code: "http_401"}, plenty, true, 1},
		{"CredentialsStillWrong", ledger.Account{Reason: closeAccount, Code: "2"}, refused, false, 1},
		{"NoChatbot", ledger.Account{Reason: closeAccount, Code: "3"}, plenty, false, 0},
		{"InactiveChatbot", ledger.Account{Reason: closeAccount, Code: "5"}, plenty, false, 0},
		{"Forbidden", ledger.Account{Reason: closeAccount, Code: "http_403"}, plenty, false, 0},
		{"ToppedUp", ledger.Account{Reason: closeBalance, Code: "5"}, plenty, true, 1},
		{"TooLittle", ledger.Account{Reason: closeBalance, Code: "5"}, nothing, false, 1},
		{"UnreadBalance", ledger.Account{Reason: closeBalance, Code: "5"}, unread, false, 1},
		{"UnreachableBalance", ledger.Account{Reason: closeBalance, Code: "5"}, refused, false, 1},
		{"ProviderWithoutBalance", ledger.Account{Reason: closeBalance, Code: "1003"}, plenty, false, 1},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		f := new(fake)
		s := newFakeStage(t, rdb, f)
		s.account.Cost = &one
		commit(t, s.ledger, "c1", valid(2))
		k := s.keeper("c1")
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				f.balance = tt.balance
				f.asked.Store(0)
				if err := s.ledger.CloseAccount(ctx, "cv", tt.account); err != nil {
					t.Fatal(err)
				}
				if err := rdb.Del(ctx, "pregon:lease:reopen:cv").Err(); err != nil {
					t.Fatal(err)
				}
				a, err := s.ledger.Account(ctx, "cv")
				if err != nil {
					t.Fatal(err)
				}
				opens, err := k.reopened(ctx, a)
				if err != nil || opens != tt.opens || f.asked.Load() != tt.asks {
					t.Errorf("opens %v (%v) after %d questions, want %v after %d", opens, err, f.asked.Load(), tt.opens, tt.asks)
				}
				if a, err = s.ledger.Account(ctx, "cv"); err != nil || a.Closed == tt.opens {
					t.Errorf("account %+v %v", a, err)
				}
				if _, err := s.ledger.OpenAccount(ctx, "cv"); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func TestOneWorkerAsksAClosedAccountAtATime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		f := &fake{balance: func() (providers.Balance, error) { return providers.Balance{Known: true}, nil }}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		k := s.keeper("c1")
		k.worker.reopenEvery = time.Hour
		for range 5 {
			if opens, err := k.reopened(ctx, ledger.Account{Reason: closeBalance, Code: "5"}); err != nil || opens {
				t.Fatalf("%v %v", opens, err)
			}
		}
		if f.asked.Load() != 1 {
			t.Errorf("the balance was asked for %d times within the hour, want once", f.asked.Load())
		}
	})
}

// stuckQueue makes asynq unable to describe a queue: it lists a hint that has no body.
func stuckQueue(t *testing.T, rdb redis.UniversalClient, id string) {
	t.Helper()
	if err := rdb.LPush(ctx, "asynq:{"+id+"}:pending", "no-such-hint").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(id); err == nil || errors.Is(err, asynq.ErrQueueNotFound) {
		t.Fatalf("the queue is not damaged: %v", err)
	}
}

func TestAPauseMadeInTheDashboardStaysWhileTheQueueCannotBeRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2, 3))
		k := s.keeper("c1")
		// No server, so that nothing but this keeper acts.
		if _, _, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Pause, Reason: reasonAsynqmon}); err != nil {
			t.Fatal(err)
		}
		if err := newFeeder(rdb, s.ledger, k.campaign).feed(ctx, control(t, s.ledger, "c1"), 0, 10); err != nil {
			t.Fatal(err)
		}
		if err := s.queue.PauseQueue("c1"); err != nil {
			t.Fatal(err)
		}
		s.look(k, ledger.Paused, reasonAsynqmon)
		stuckQueue(t, rdb, "c1")
		s.look(k, ledger.Paused, reasonAsynqmon)
		if err := rdb.LRem(ctx, "asynq:{c1}:pending", 0, "no-such-hint").Err(); err != nil {
			t.Fatal(err)
		}
		s.look(k, ledger.Paused, reasonAsynqmon)
		if err := s.queue.UnpauseQueue("c1"); err != nil {
			t.Fatal(err)
		}
		s.look(k, ledger.Running, "")
	})
}

func TestALongPauseDoesNotLookLikeLostHints(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newFakeStage(t, rdb, new(fake))
		// Slots are hours apart, so that the rows stay open while the keeper looks.
		s.account.Rate, s.account.Burst = 0.0001, 1
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		k := s.keeper("c1")
		start := time.Now()
		c := newClock(start)
		c.on(k.worker)
		s.look(k, ledger.Running, "") // feeds and serves
		for _, step := range []func(){
			func() { s.look(k, ledger.Running, "") },
			func() {
				if _, _, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Pause, Reason: reasonWindow}); err != nil {
					t.Fatal(err)
				}
				k.watch.elsewhere = true // the queue was seen paused once before
				k.unserve()
				k.look(ctx) // the window is open, so the machine resumes
			},
			func() { c.set(start.Add(12 * time.Hour)) },
			func() { s.look(k, ledger.Running, "") },
		} {
			step()
		}
		if g := control(t, s.ledger, "c1").Generation; g != 1 {
			t.Errorf("a campaign that only rested was hinted anew: generation %d", g)
		}
		if k.watch.elsewhere {
			t.Error("a look from before the pause still counts")
		}
	})
}

func TestLostHintsAreNoticed(t *testing.T) {
	t.Parallel()
	status := func(open, waiting, sending, fedRows int) ledger.Status {
		return ledger.Status{
			Campaign: ledger.Campaign{Valid: 100},
			Counts:   ledger.Counts{ledger.Queued: open, ledger.Waiting: waiting, ledger.Sending: sending},
			Control:  ledger.Control{FedRows: fedRows},
		}
	}
	tests := []struct {
		name string
		s    ledger.Status
		live int
		fed  bool
		lost time.Duration // after which time of nothing else; 0 = never
	}{
		{"AllThere", status(10, 0, 0, 100), 10, true, stuckAfter}, // hints that nobody moves
		{"OneMissing", status(10, 0, 0, 100), 9, true, lostAfter},
		{"NoneThere", status(10, 0, 0, 100), 0, true, lostAfter},
		{"StillFeeding", status(60, 0, 1, 50), 11, false, 0},
		{"StillFeedingOneMissing", status(60, 0, 1, 50), 10, false, lostAfter},
		{"WaitingOnly", status(0, 10, 0, 100), 10, true, 0},
		{"WaitingWithoutHints", status(0, 10, 0, 100), 0, true, lostAfter},
		{"OneBeingSent", status(10, 0, 1, 100), 11, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w watch
			start := time.Unix(1_800_000_000, 0)
			for after := time.Duration(0); after <= 10*time.Minute; after += time.Second {
				if !w.hintsLost(tt.s, tt.live, tt.fed, start.Add(after)) {
					continue
				}
				if after != tt.lost {
					t.Errorf("lost after %v, want %v", after, tt.lost)
				}
				return
			}
			if tt.lost != 0 {
				t.Errorf("not noticed, want it after %v", tt.lost)
			}
		})
	}
}

func TestAPauseIsRecordedWhileASendStillHangs(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		answer, begun := make(chan struct{}), make(chan struct{}, 10)
		f := &fake{send: func(context.Context, providers.Message) (providers.Receipt, error) {
			begun <- struct{}{}
			<-answer
			return providers.Receipt{ID: "m"}, nil
		}}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		stop := s.work()
		<-begun
		if err := s.ledger.CloseAccount(ctx, "cv", ledger.Account{Reason: closeAccount, Code: "http_403"}); err != nil {
			t.Fatal(err)
		}
		seen := make(chan struct{})
		go func() {
			defer close(seen)
			s.becomes("c1", ledger.Paused, closeAccount)
		}()
		select {
		case <-seen:
		case <-time.After(patience / 2):
			t.Error("the pause waits for the provider's answer")
		}
		close(answer)
		<-seen
		s.becomes("c1", ledger.Finished, "")
		stop()
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 1})
	})
}

func TestACampaignOfAnotherAccountIsLeftAloneAndLetGoAtItsEnd(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2, 3))
		s.account.Name = "other"
		k := s.keeper("c1")
		for range 3 {
			if _, over := k.look(ctx); over {
				t.Fatal("a campaign that runs is over")
			}
		}
		if coming, _ := s.hints("c1"); coming != 0 || f.sent.Load() != 0 {
			t.Errorf("%d hints, %d sent", coming, f.sent.Load())
		}
		if err := NewOperator(rdb, s.ledger, nil).Cancel(ctx, "c1", ""); err != nil {
			t.Fatal(err)
		}
		if _, over := k.look(ctx); !over {
			t.Error("a cancelled campaign is not over")
		}
		if active, err := s.ledger.Active(ctx); err != nil || len(active) != 0 {
			t.Errorf("active campaigns %v %v: each worker takes it up again and again", active, err)
		}
	})
}

func TestHintsThatOutliveTheirCampaignAreCleared(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newFakeStage(t, rdb, new(fake))
		c := commit(t, s.ledger, "c1", valid(2, 3))
		// Both rows end while a second generation of their hints still waits.
		if err := newFeeder(rdb, s.ledger, c).feed(ctx, control(t, s.ledger, "c1"), 0, 10); err != nil {
			t.Fatal(err)
		}
		take(t, s.ledger, "c1", 2, ledger.Outcome{State: ledger.Accepted})
		take(t, s.ledger, "c1", 3, ledger.Outcome{State: ledger.Failed, Code: "1002"})
		if _, ok, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Finish}); err != nil || !ok {
			t.Fatalf("finish: %v %v", ok, err)
		}
		k := s.keeper("c1")
		if _, over := k.look(ctx); !over {
			t.Error("a finished campaign is not over")
		}
		if coming, _ := s.hints("c1"); coming != 0 {
			t.Errorf("%d hints stay in the dashboard for ever", coming)
		}
	})
}

func TestAWorkerRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = rdb.Close() })
	good := WorkerConfig{
		Redis: rdb, Ledger: newLedger(t, rdb), Concurrency: 1, Log: new(tap).logger(),
		Accounts: []Account{{Name: "cv", Provider: new(fake), Rate: 1}},
	}
	if _, err := NewWorker(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*WorkerConfig){
		"NoRedis":       func(c *WorkerConfig) { c.Redis = nil },
		"NoLedger":      func(c *WorkerConfig) { c.Ledger = nil },
		"NoLog":         func(c *WorkerConfig) { c.Log = nil },
		"NoConcurrency": func(c *WorkerConfig) { c.Concurrency = 0 },
		"NoRate":        func(c *WorkerConfig) { c.Accounts = []Account{{Name: "cv", Provider: new(fake)}} },
		"NegativeRate":  func(c *WorkerConfig) { c.Accounts = []Account{{Name: "cv", Provider: new(fake), Rate: -1}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good
			change(&c)
			if _, err := NewWorker(c); err == nil {
				t.Error("accepted")
			}
		})
	}
}
