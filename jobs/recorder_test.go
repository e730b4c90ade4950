package jobs

import (
	"context"
	"errors"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

func add(t testing.TB, client *asynq.Client, campaign string, rows ...int) {
	t.Helper()
	for _, row := range rows {
		task, err := newHint(campaign, row, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Enqueue(task); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
			t.Fatal(err)
		}
	}
}

func flush(t testing.TB, r *recorder, want int) {
	t.Helper()
	if added, err := r.Flush(ctx); err != nil || added != want {
		t.Fatalf("flush added %d (%v), want %d", added, err, want)
	}
}

// pendingSince is the one field that differs from run to run: when the task was enqueued.
var pendingSince = regexp.MustCompile(`pending_since:\d{19}`)

func TestRecordedHintsAreThoseOfAPlainClient(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		snapshot := func() map[string]string {
			all := everything(t, rdb)
			for key, text := range all {
				all[key] = pendingSince.ReplaceAllString(text, "pending_since:?")
			}
			if err := rdb.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			return all
		}
		rows := []int{2, 3, 4213, 1_048_576}
		add(t, asynq.NewClientFromRedisClient(rdb), "c1", rows...)
		want := snapshot()
		if len(want) != len(rows)+2 { // a hash for each, the list, the set of queues
			t.Fatalf("a plain client wrote %v", slices.Sorted(maps.Keys(want)))
		}
		r := newRecorder(rdb)
		add(t, asynq.NewClientFromRedisClient(r), "c1", rows...)
		flush(t, r, len(rows))
		if diff := cmp.Diff(want, snapshot()); diff != "" {
			t.Errorf("hints (-plain +recorded):\n%s", diff)
		}
	})
}

func TestAHintThatIsThereAlreadyIsLeftAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRecorder(rdb)
		client := asynq.NewClientFromRedisClient(r)
		add(t, client, "c1", 2, 3)
		flush(t, r, 2)
		before := everything(t, rdb)
		add(t, client, "c1", 2, 3, 3)
		flush(t, r, 0)
		if diff := cmp.Diff(before, everything(t, rdb)); diff != "" {
			t.Errorf("adding again changed (-before +after):\n%s", diff)
		}
		add(t, client, "c1", 3, 4)
		flush(t, r, 1)
		flush(t, r, 0) // nothing is recorded any more
	})
}

func TestTheRecorderSurvivesAForgetfulRedis(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRecorder(rdb)
		client := asynq.NewClientFromRedisClient(r)
		for row := 2; row < 6; row++ {
			add(t, client, "c1", row)
			if err := rdb.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			flush(t, r, 1)
		}
	})
}

// lossy fails pipelines: before Redis sees them, or after, when only the answer is lost.
type lossy struct{ before, after bool }

var errLost = errors.New("connection lost")

func (l *lossy) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l *lossy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if l.before {
			return errLost
		}
		err := next(ctx, cmds)
		if l.after {
			return errLost
		}
		return err
	}
}

func TestAFailedFlushCanBeRepeated(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		line := new(lossy)
		rdb.AddHook(line)
		r := newRecorder(rdb)
		client := asynq.NewClientFromRedisClient(r)
		for i, fault := range []lossy{{before: true}, {after: true}} {
			rows := []int{10 * (i + 1), 10*(i+1) + 1}
			add(t, client, "c1", rows...)
			*line = fault
			if added, err := r.Flush(ctx); added != 0 || !errors.Is(err, errLost) {
				t.Fatalf("flush over a lost connection: %d %v", added, err)
			}
			*line = lossy{}
			add(t, client, "c1", rows...)
			want := 2
			if fault.after {
				want = 0
			}
			flush(t, r, want)
		}
		if got := queued(t, rdb, "c1"); len(got) != 4 {
			t.Errorf("hints %v, want each of four once", got)
		}
	})
}

func TestTheRecorderMayBeShared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRecorder(rdb)
		client := asynq.NewClientFromRedisClient(r)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for row := range 25 {
					r.Eval(ctx, "return 1 -- "+strconv.Itoa(i*25+row), nil) // one more script to learn
					add(t, client, "c1", 2+i*25+row)
					if _, err := r.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if _, err := r.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if got := queued(t, rdb, "c1"); len(got) != 100 {
			t.Errorf("%d hints, want 100", len(got))
		}
	})
}

// queued are the ids of the hints that wait in a queue, the next one first.
func queued(t testing.TB, rdb redis.UniversalClient, campaign string) []string {
	t.Helper()
	ids, err := rdb.LRange(ctx, "asynq:{"+campaign+"}:pending", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(ids)
	return ids
}

// TestNothingButIdsIsInAHint looks at what everybody sees who can open the queue dashboard.
func TestNothingButIdsIsInAHint(t *testing.T) {
	t.Parallel()
	task, err := newHint("promo-0a1b2c3d", 4213, 7)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(task.Payload()); got != `{"campaign":"promo-0a1b2c3d","row":4213}` {
		t.Errorf("payload %s", got)
	}
}

// asynq acknowledges with a context that it has cancelled already when its first try failed.
func TestAHookedClientFinishesAScriptWhoseCallerHasGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		run := func() error { return rdb.Eval(gone, "return redis.call('INCR', KEYS[1])", []string{"n"}).Err() }
		if err := run(); !errors.Is(err, context.Canceled) {
			t.Fatalf("without the hook: %v", err)
		}
		Hook(rdb)
		if err := run(); err != nil {
			t.Errorf("with the hook: %v", err)
		}
		if err := rdb.Get(gone, "n").Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("what is no script: %v", err)
		}
		if n, err := rdb.Get(ctx, "n").Int(); err != nil || n != 1 {
			t.Errorf("the script ran %d times (%v)", n, err)
		}
	})
}
