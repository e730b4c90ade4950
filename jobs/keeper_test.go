package jobs

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers"
)

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
	w.reopenEvery = time.Millisecond
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
	const opens, trial = "opens", "trial"
	one, soon, past := 1.0, time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
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
		opens   string // at once, by one message that tries it out, or not
		asks    int64
	}{
		{"CredentialsWork", ledger.Account{Reason: closeAccount, Code: "2"}, unread, opens, 1},
		{"CredentialsOfHTTP", ledger.Account{Reason: closeAccount, Code: "http_401"}, plenty, opens, 1},
		{"CredentialsStillWrong", ledger.Account{Reason: closeAccount, Code: "2"}, refused, "", 1},
		{"NoChatbot", ledger.Account{Reason: closeAccount, Code: "3"}, plenty, "", 0},
		{"ToldToWait", ledger.Account{Reason: closeAccount, Code: "4001", Until: soon}, plenty, "", 0},
		{"WaitedAsTold", ledger.Account{Reason: closeAccount, Code: "4001", Until: past}, plenty, trial, 1},
		{"InactiveChatbot", ledger.Account{Reason: closeAccount, Code: "5"}, plenty, "", 0},
		{"Forbidden", ledger.Account{Reason: closeAccount, Code: "http_403"}, plenty, "", 0},
		{"ToppedUp", ledger.Account{Reason: closeBalance, Code: "5"}, plenty, opens, 1},
		{"TooLittle", ledger.Account{Reason: closeBalance, Code: "5"}, nothing, "", 1},
		{"UnreadBalance", ledger.Account{Reason: closeBalance, Code: "5"}, unread, "", 1},
		{"UnreachableBalance", ledger.Account{Reason: closeBalance, Code: "5"}, refused, "", 1},
		{"ProviderWithoutBalanceLately", ledger.Account{Reason: closeBalance, Code: "1003", Until: soon}, plenty, "", 0},
		{"ProviderWithoutBalance", ledger.Account{Reason: closeBalance, Code: "1003"}, plenty, trial, 1},
		{"BreakerThatIsOpen", ledger.Account{Reason: reasonBreaker, Code: "timeout", Until: soon}, plenty, "", 0},
		{"BreakerAndNoAnswer", ledger.Account{Reason: reasonBreaker, Code: "timeout"}, refused, "", 1},
		{"BreakerAndAnAnswer", ledger.Account{Reason: reasonBreaker, Code: "timeout"}, nothing, trial, 1},
	}
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
				if err := rdb.Del(ctx, "pregon:lease:trial:cv").Err(); err != nil {
					t.Fatal(err)
				}
				gone, tried, err := k.reopened(ctx, a)
				got := map[[2]bool]string{{true, false}: opens, {true, true}: trial}[[2]bool{gone, tried}]
				if err != nil || got != tt.opens || f.asked.Load() != tt.asks {
					t.Errorf("%q (%v) after %d questions, want %q after %d", got, err, f.asked.Load(), tt.opens, tt.asks)
				}
				if a, err = s.ledger.Account(ctx, "cv"); err != nil || a.Closed == (got == opens) {
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
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		f := &fake{balance: func() (providers.Balance, error) { return providers.Balance{Known: true}, nil }}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		k := s.keeper("c1")
		k.worker.reopenEvery = time.Hour
		for range 5 {
			if opens, _, err := k.reopened(ctx, ledger.Account{Reason: closeBalance, Code: "5"}); err != nil || opens {
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
	if _, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(id); err == nil {
		t.Fatalf("the queue is not damaged: %v", err)
	}
}

func TestAPauseMadeInTheDashboardStaysWhileTheQueueCannotBeRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newFakeStage(t, rdb, new(fake))
		// Slots are hours apart, so that the rows stay open while the keeper looks.
		s.account.Rate, s.account.Burst = 0.0001, 1
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		k := s.keeper("c1")
		if _, err := k.lane.limiter.Take(ctx); err != nil {
			t.Fatal(err)
		}
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
				k.watch.elsewhere = start // the queue was seen paused before
				k.unserve()
				k.look(ctx) // the window is open, so the machine resumes
			},
			func() { c.set(start.Add(100 * time.Hour)) },
			func() { s.look(k, ledger.Running, "") },
		} {
			step()
		}
		if g := control(t, s.ledger, "c1").Generation; g != 1 {
			t.Errorf("a campaign that only rested was hinted anew: generation %d", g)
		}
		if !k.watch.elsewhere.IsZero() {
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
		{"OneMissing", status(10, 0, 1, 100), 9, true, stuckAfter},
		{"NoneThere", status(10, 0, 0, 100), 0, true, stuckAfter},
		{"StillFeeding", status(60, 0, 1, 50), 11, false, stuckAfter},
		{"StillFeedingOneMissing", status(60, 0, 1, 50), 10, false, stuckAfter},
		{"WaitingOnly", status(0, 10, 0, 100), 10, true, 0},
		{"WaitingWithoutHints", status(0, 10, 0, 100), 0, true, lostAfter},
		{"OneBeingSent", status(10, 0, 1, 100), 11, true, stuckAfter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w watch
			start := time.Unix(1_800_000_000, 0)
			for after := time.Duration(0); after <= 10*time.Minute; after += time.Second {
				if !w.hintsLost(tt.s, tt.live, tt.fed, 10, start.Add(after)) {
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

func TestLostHintsAreNoticedWhileOthersMove(t *testing.T) {
	t.Parallel()
	var w watch
	start := time.Unix(1_800_000_000, 0)
	for second := range 200 {
		s := ledger.Status{Campaign: ledger.Campaign{Valid: 1000}}
		s.Counts = ledger.Counts{ledger.Queued: 1000 - second, ledger.Accepted: second}
		s.Control.FedRows = 1000
		after := time.Duration(second) * time.Second
		if w.hintsLost(s, s.Counts.Open()-1, true, 10, start.Add(after)) {
			if after != lostAfter {
				t.Errorf("lost after %v, want %v", after, lostAfter)
			}
			return
		}
	}
	t.Error("not noticed")
}

func TestHintsThatDoNotHelpAreMadeAnewEverMoreSeldom(t *testing.T) {
	t.Parallel()
	stuck := ledger.Status{Counts: ledger.Counts{ledger.Queued: 10}, Campaign: ledger.Campaign{Valid: 10}}
	stuck.Control.FedRows = 10
	moved := stuck
	moved.Counts = ledger.Counts{ledger.Queued: 9, ledger.Accepted: 1}
	var w watch
	var lost []time.Duration
	start := time.Unix(1_800_000_000, 0)
	s := stuck
	for after := time.Duration(0); after <= 6*stuckAfter; after += time.Second {
		if after == 4*stuckAfter {
			s = moved
		}
		if w.hintsLost(s, 10, true, 10, start.Add(after)) {
			lost = append(lost, after)
		}
	}
	want := []time.Duration{stuckAfter, 3 * stuckAfter, 5 * stuckAfter}
	if !slices.Equal(lost, want) {
		t.Errorf("lost after %v, want %v", lost, want)
	}
}

func TestAPauseIsRecordedWhileASendStillHangs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		answer, begun := make(chan struct{}), make(chan struct{}, 10)
		f := &fake{send: func(context.Context, providers.Message) (providers.Receipt, error) {
			begun <- struct{}{}
			<-answer
			return providers.Receipt{ID: "m"}, nil
		}}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		stop := s.work(func(w *Worker) { w.cfg.ShutdownTimeout = 5 * time.Minute })
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
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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

// waking settles a row in doubt just before the campaign is taken off the workers' list.
type waking struct {
	lossy
	settle func()
}

func (w *waking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "srem" && w.settle != nil {
			settle := w.settle
			w.settle = nil
			settle()
		}
		return next(ctx, cmd)
	}
}

func TestARowThatOpensWhileItsCampaignIsLetGoIsNotForgotten(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2))
		late, err := s.ledger.Claim(ctx, ledger.NewClaim("c1", 2, "w00000"), "CO", 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := s.ledger.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Fatalf("expire: %v %v", ok, err)
		}
		if _, ok, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Finish}); err != nil || !ok {
			t.Fatalf("finish: %v %v", ok, err)
		}
		k := s.keeper("c1")
		rdb.AddHook(&waking{settle: func() {
			if _, err := s.ledger.Settle(ctx, late, ledger.Outcome{State: ledger.Waiting, Code: "no_connection"}); err != nil {
				t.Error(err)
			}
		}})
		k.look(ctx)
		active, err := s.ledger.Active(ctx)
		if c := control(t, s.ledger, "c1"); err != nil || c.State != ledger.Running || len(active) != 1 {
			t.Errorf("the campaign is %s, and the workers look at %v (%v)", c.State, active, err)
		}
	})
}

func TestHintsThatOutliveTheirCampaignAreCleared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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

// Ids in the queue whose tasks somebody deleted count as hints for ever; they must not keep the real ones out.
func TestDeadHintsDoNotKeepNewOnesOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		if ok, err := s.ledger.NewGeneration(ctx, "c1", 1); err != nil || !ok {
			t.Fatalf("new generation: %v %v", ok, err)
		}
		status, err := s.ledger.Status(ctx, "c1")
		if err != nil {
			t.Fatal(err)
		}
		k := s.keeper("c1")
		if err := k.feed(ctx, status, queueState{hints: hintsAtMost}); err != nil {
			t.Fatal(err)
		}
		if info, err := s.queue.GetQueueInfo("c1"); err != nil || info.Pending != 3 {
			t.Errorf("queue %+v, %v, want 3 hints", info, err)
		}
	})
}
