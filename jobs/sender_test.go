package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers"
	"pregon/providers/simulator"
)

// TestHostileHintsSendNothingAndEnd puts everything into the queue of a running campaign that somebody who can write to
// Redis could put there.
func TestHostileHintsSendNothingAndEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		answer := make(chan struct{})
		f := new(fake)
		f.send = func(_ context.Context, m providers.Message) (providers.Receipt, error) {
			if strings.HasPrefix(m.Ref, "c1:4:") {
				<-answer // keeps the campaign open
			}
			if strings.HasPrefix(m.Ref, "c1:5:") {
				return providers.Receipt{}, &providers.Error{Class: providers.Rejected, Code: "1002"}
			}
			return providers.Receipt{ID: m.Ref}, nil
		}
		s := newFakeStage(t, rdb, f)
		rows := valid(2, 3, 4, 5)
		rows = append(rows, ledger.Row{Number: 6, Kind: ledger.Invalid, Phone: international("2099"), Country: "CO"},
			ledger.Row{Number: 7, Kind: ledger.Skipped, Phone: international("2098"), Country: "CO"})
		commit(t, s.ledger, "c1", rows)
		commit(t, s.ledger, "c2", valid(2))
		if err := s.operator().Pause(ctx, "c2", ""); err != nil {
			t.Fatal(err)
		}
		s.work()
		await(t, "all but the row that hangs are done", func() bool {
			coming, aside := s.hints("c1")
			return f.sent.Load() == 4 && coming == 1 && aside == 1
		})
		client := asynq.NewClientFromRedisClient(rdb)
		put := func(kind, payload string) {
			t.Helper()
			task := asynq.NewTask(kind, []byte(payload), asynq.Queue("c1"), asynq.MaxRetry(hintRetries))
			if _, err := client.Enqueue(task); err != nil {
				t.Fatal(err)
			}
		}
		for _, garbage := range []string{
			"garbage", `{}`, `{"campaign":"c1"}`, `{"campaign":"c1","row":-4}`, `{"campaign":"c2","row":2}`,
			`{"campaign":"no-such","row":2}`,
		} {
			put(TypeSend, garbage)
		}
		put("send:v9", `{"campaign":"c1","row":2}`)
		for _, harmless := range []int{1, 99, 5000, 1 << 40, 6, 7, 2, 3} { // absent, invalid, skipped, done
			put(TypeSend, fmt.Sprintf(`{"campaign":"c1","row":%d}`, harmless))
		}
		put(TypeSend, `{"campaign":"c1","row":5}`) // failed: kept aside once more
		put(TypeSend, `{"campaign":"c1","row":4}`) // being sent: comes back when that is over at the latest
		await(t, "every hint was looked at", func() bool {
			info, err := s.queue.GetQueueInfo("c1")
			return err == nil && info.Pending == 0 && info.Active == 1 && info.Retry == 1 && info.Archived == 1+7+1
		})
		shown, err := s.queue.ListArchivedTasks("c1")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range shown {
			if task.Retried != 0 {
				t.Errorf("the hint %s was tried %d times again", task.Payload, task.Retried)
			}
		}
		close(answer)
		s.becomes("c1", ledger.Finished, "")
		await(t, "the worker lets go", func() bool { coming, _ := s.hints("c1"); return coming == 0 })
		if f.sent.Load() != 4 {
			t.Errorf("%d messages were sent for 4 rows", f.sent.Load())
		}
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 3, ledger.Failed: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
		s.wantCounts("c2", ledger.Counts{ledger.Queued: 1})
	})
}

// TestRunFromTheDashboardNeverSendsWhatIsInDoubt presses "run" on every hint that is kept aside.
func TestRunFromTheDashboardNeverSendsWhatIsInDoubt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		answer := make(chan struct{})
		f := new(fake)
		f.send = func(_ context.Context, m providers.Message) (providers.Receipt, error) {
			switch {
			case strings.HasPrefix(m.Ref, "c1:4:"):
				<-answer
			case strings.HasPrefix(m.Ref, "c1:2:"):
				return providers.Receipt{}, errors.New("boom")
			case strings.HasPrefix(m.Ref, "c1:3:"):
				return providers.Receipt{}, &providers.Error{Class: providers.Rejected, Code: "1002", Reason: "not on WhatsApp"}
			}
			return providers.Receipt{}, nil
		}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2, 3, 4))
		s.work()
		aside := func() bool { coming, aside := s.hints("c1"); return f.sent.Load() == 3 && coming == 1 && aside == 2 }
		await(t, "two rows are kept aside", aside)
		if n, err := s.queue.RunAllArchivedTasks("c1"); err != nil || n != 2 {
			t.Fatalf("run: %d %v", n, err)
		}
		await(t, "both bounce back", aside)
		shown, err := s.queue.ListArchivedTasks("c1")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range shown {
			if task.LastErr != "internal; enqueue doubt" && !strings.HasSuffix(task.LastErr, "; enqueue retry") {
				t.Errorf("a hint says %q", task.LastErr)
			}
		}
		close(answer)
		s.becomes("c1", ledger.Finished, "")
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 1, ledger.Failed: 1, ledger.InDoubt: 1})
	})
}

// delayed holds the answer of the first claim back for longer than a claim may be used.
type delayed struct {
	lossy
	once atomic.Bool
}

func (d *delayed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if strings.Contains(fmt.Sprint(cmd.Args()...), "}:void:") && err == nil && d.once.CompareAndSwap(false, true) {
			<-time.After(sendWindow)
		}
		return err
	}
}

// A machine that slept between the claim and its answer would otherwise send under a claim that is long in doubt.
func TestAClaimIsAsOldAsItsQuestion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		refs := make(chan string, 10)
		f := &fake{send: func(_ context.Context, m providers.Message) (providers.Receipt, error) {
			refs <- m.Ref
			return providers.Receipt{ID: "m"}, nil
		}}
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		s.work(func(w *Worker) { w.cfg.Redis.AddHook(new(delayed)) })
		s.becomes("c1", ledger.Finished, "")
		if ref := <-refs; ref != "c1:2:2" || len(refs) != 0 {
			t.Errorf("sent %s and %d more, want the second attempt only", ref, len(refs))
		}
	})
}

// TestTheGate asks the gate of a message in each state in which it must hold the message back.
func TestTheGate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		claimed time.Duration // from now
		seen    time.Duration // when the campaign was last seen running, from now
		paused  bool          // it was seen paused after that
		stopped bool
		runs    int64 // of Redis that began since the claim
		open    bool
	}{
		{"Open", 0, 0, false, false, 0, true},
		{"OldClaim", -sendWindow - time.Second, 0, false, false, 0, false},
		{"ClockThatJumped", sendWindow + time.Second, 0, false, false, 0, false},
		{"StateNotSeenLately", 0, -freshFor - time.Second, false, false, 0, false},
		{"Paused", 0, 0, true, false, 0, false},
		{"Stopping", 0, 0, false, true, 0, false},
		{"RedisWasRestarted", 0, 0, false, false, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stop, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &sender{campaign: &ledger.Campaign{ID: "c1", Template: "991"}, stop: stop, live: new(liveness),
				barrier: new(barrier)}
			s.live.running(time.Now().Add(tt.seen))
			if tt.paused {
				s.live.stopped()
			}
			if tt.stopped {
				cancel()
			}
			m := s.message(&valid(2)[0], ledger.Claim{Campaign: "c1", Row: 2, Fence: 3},
				time.Now().Add(tt.claimed), 0)
			s.barrier.runs.Add(tt.runs)
			if err := m.Gate(); (err == nil) != tt.open || (err != nil && !errors.Is(err, errGate)) {
				t.Errorf("gate: %v", err)
			}
			if m.Ref != "c1:2:3" || m.Template != "991" {
				t.Errorf("message %v with template %s", m, m.Template)
			}
		})
	}
}

// failing lets scripts on some keys fail a few times.
type failing struct {
	lossy
	keys string
	left atomic.Int64
}

func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		meant := strings.HasPrefix(cmd.Name(), "eval") && strings.Contains(fmt.Sprint(cmd.Args()...), f.keys)
		if meant && f.left.Add(-1) >= 0 {
			cmd.SetErr(errLost)
			return errLost
		}
		return next(ctx, cmd)
	}
}

func TestAnOutcomeIsRecordedHoweverOftenItTakes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		f := new(fake)
		s := newFakeStage(t, rdb, f)
		commit(t, s.ledger, "c1", valid(2))
		trouble := &failing{keys: "pregon:mid:"} // the first thing that recording an outcome does
		trouble.left.Store(6)
		s.work(func(w *Worker) { w.cfg.Redis.AddHook(trouble) })
		s.becomes("c1", ledger.Finished, "")
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 1})
		if f.sent.Load() != 1 {
			t.Errorf("sent %d times", f.sent.Load())
		}
	})
}

// wire is a way to Redis that a test can cut and mend.
type wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, conns: make(map[net.Conn]bool)}
	w.wg.Go(w.serve)
	t.Cleanup(func() {
		_ = l.Close()
		w.set(true)
		w.wg.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		if !w.keep(near, far) {
			continue
		}
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			w.wg.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
				_ = pair[1].Close()
			})
		}
	}
}

// keep remembers connections, or closes them at once while the wire is cut.
func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.cut {
			_ = c.Close()
		} else {
			w.conns[c] = true
		}
	}
	return !w.cut
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if !cut {
		return
	}
	for c := range w.conns {
		_ = c.Close()
	}
	clear(w.conns)
}

func TestAnOutcomeWaitsForRedis(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 200 * time.Millisecond})
		s.account.Rate = 20
		line := newWire(t, s.addr)
		people := contacts(14) // all in the worker's hands: a hint lost on its way from Redis would come back in a minute
		id := s.launch(people)
		s.workOn(line.addr())
		s.arrived(5)
		line.set(true) // several messages have arrived whose answers have not
		await(t, "an outcome waits for Redis", func() bool {
			return strings.Contains(s.log.String(), "outcome waits for Redis")
		})
		line.set(false)
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 14})
	})
}

// TestAWorkerThatStopsWithoutRedisLeavesNoMessageUnrecorded stops a worker while its outcome cannot be recorded.
func TestAWorkerThatStopsWithoutRedisLeavesNoMessageUnrecorded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 200 * time.Millisecond})
		s.account.Rate = 20
		line := newWire(t, s.addr)
		people := contacts(14)
		id := s.launch(people)
		stop := s.workOn(line.addr())
		s.arrived(5)
		line.set(true)
		await(t, "an outcome waits for Redis", func() bool {
			return strings.Contains(s.log.String(), "outcome waits for Redis")
		})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		line.set(false)
		<-stopped
		counts := s.status(id).Counts
		arrived, _ := s.provider.Total()
		if counts[ledger.Accepted] != arrived || counts[ledger.InDoubt] != 0 {
			t.Errorf("%d arrived: %v", arrived, counts)
		}
		s.work()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

func TestAWorkerDoesNotStartWithoutRedis(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	w, err := NewWorker(WorkerConfig{
		Redis: rdb, Ledger: newLedger(t, rdb), Concurrency: 1, Log: new(tap).logger(),
		Accounts: []Account{{Name: "cv", Provider: new(fake), Rate: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil {
		t.Error("it ran")
	}
}
