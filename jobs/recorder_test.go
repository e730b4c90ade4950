package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
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
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		r := newRecorder(rdb)
		client := asynq.NewClientFromRedisClient(r)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for row := range 25 {
					add(t, client, "c1", 2+i*25+row)
					if _, err := r.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
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

// definition is a campaign as the ledger keeps it.
func definition(id string, rows []ledger.Row) ledger.Campaign {
	c := ledger.Campaign{
		ID: id, Name: "Promo", Account: "cv", Template: "991", AnyHour: true, Content: "c0ffee", Rows: len(rows),
		Countries: []string{"CO"},
	}
	for _, r := range rows {
		c.LastRow = max(c.LastRow, r.Number)
		switch r.Kind {
		case ledger.Valid:
			c.Valid++
		case ledger.Skipped:
			c.Skipped++
		default:
			c.Invalid++
		}
	}
	return c
}

// commit launches rows without a file, with every country open for an hour.
func commit(t testing.TB, l *ledger.Ledger, id string, rows []ledger.Row) *ledger.Campaign {
	t.Helper()
	c := definition(id, rows)
	w, err := l.Create(ctx, c)
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
	if _, err := l.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := l.OpenUntil(ctx, id, everyCountry()); err != nil {
		t.Fatal(err)
	}
	return &c
}

// valid are rows to be sent with these numbers.
func valid(numbers ...int) []ledger.Row {
	rows := make([]ledger.Row, len(numbers))
	for i, n := range numbers {
		rows[i] = ledger.Row{
			Number: n, Kind: ledger.Valid, Phone: international(fmt.Sprintf("%04d", 2000+i)), Country: "CO",
			Vars: []string{canaryName, "10 %"},
		}
	}
	return rows
}

func numbers(from, to int) []int {
	var list []int
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// take claims a row and settles it.
func take(t testing.TB, l *ledger.Ledger, id string, row int, o ledger.Outcome) {
	t.Helper()
	c, err := l.Claim(ctx, ledger.NewClaim(id, row), "CO", claimTime)
	if err != nil || c.Verdict != ledger.Go {
		t.Fatalf("claim row %d: %v %v", row, c.Verdict, err)
	}
	if err := l.Settle(ctx, c, o); err != nil {
		t.Fatal(err)
	}
}

func control(t testing.TB, l *ledger.Ledger, id string) ledger.Control {
	t.Helper()
	c, err := l.Control(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// names are the ids that hints of these rows have.
func names(campaign string, generation int, rows ...int) []string {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = campaign + ":" + strconv.Itoa(row) + ":" + strconv.Itoa(generation)
	}
	return ids
}

func TestTheFeederHintsEachOpenRowOnceInOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		rows := valid(numbers(2, 601)...)
		rows = append(rows, ledger.Row{Number: 602, Kind: ledger.Invalid}, ledger.Row{Number: 603, Kind: ledger.Skipped})
		c := commit(t, l, "c1", rows)
		take(t, l, "c1", 5, ledger.Outcome{State: ledger.Accepted})
		take(t, l, "c1", 300, ledger.Outcome{State: ledger.InDoubt, Code: "reset"})
		take(t, l, "c1", 301, ledger.Outcome{State: ledger.Waiting, Code: "429", Tried: true})
		f := newFeeder(rdb, l, c)
		// A small target stops after the page that reaches it; the cursor remembers where.
		if err := f.feed(ctx, control(t, l, "c1"), 0, 10); err != nil {
			t.Fatal(err)
		}
		first := control(t, l, "c1")
		if first.FedPages != 1 || first.FedRows != 254 || f.done(first) {
			t.Errorf("after the first page: %+v", first)
		}
		if err := f.feed(ctx, first, 253, 253); err != nil { // enough are there
			t.Fatal(err)
		}
		if got := queued(t, rdb, "c1"); len(got) != 253 {
			t.Errorf("%d hints after the first page, want 253", len(got))
		}
		// Another process goes on from the cursor.
		other := newFeeder(rdb, newLedger(t, rdb), c)
		if err := other.feed(ctx, first, 253, 10_000); err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(numbers(2, 601), func(n int) bool { return n == 5 || n == 300 })
		if diff := cmp.Diff(names("c1", 1, want...), queued(t, rdb, "c1")); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
		last := control(t, l, "c1")
		if !f.done(last) || last.FedRows != 600 {
			t.Errorf("at the end: %+v", last)
		}
		if err := f.feed(ctx, last, 0, 10_000); err != nil {
			t.Fatal(err)
		}
		if got := queued(t, rdb, "c1"); len(got) != len(want) {
			t.Errorf("feeding when all is fed left %d hints, want %d", len(got), len(want))
		}
	})
}

func TestANewGenerationHintsOpenRowsOnly(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		c := commit(t, l, "c1", valid(numbers(2, 300)...))
		f := newFeeder(rdb, l, c)
		if err := f.feed(ctx, control(t, l, "c1"), 0, 10_000); err != nil {
			t.Fatal(err)
		}
		for row := 2; row < 290; row++ {
			take(t, l, "c1", row, ledger.Outcome{State: ledger.Accepted})
		}
		if err := rdb.Del(ctx, "asynq:{c1}:pending").Err(); err != nil { // the hints are lost
			t.Fatal(err)
		}
		if ok, err := l.NewGeneration(ctx, "c1", 1); err != nil || !ok {
			t.Fatalf("new generation: %v %v", ok, err)
		}
		if err := f.feed(ctx, control(t, l, "c1"), 0, 10_000); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names("c1", 2, numbers(290, 300)...), queued(t, rdb, "c1")); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
	})
}

func TestASparseFileIsFedAtOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		c := commit(t, l, "c1", valid(2, 900_000))
		f := newFeeder(rdb, l, c)
		if err := f.feed(ctx, control(t, l, "c1"), 0, hintsAtLeast); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names("c1", 1, 2, 900_000), queued(t, rdb, "c1")); diff != "" {
			t.Errorf("hints after one look (-want +got):\n%s", diff)
		}
		if end := control(t, l, "c1"); !f.done(end) || end.FedRows != 2 {
			t.Errorf("at the end: %+v", end)
		}
	})
}

func TestTwoFeedersAtOnceHintEachRowOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		c := commit(t, l, "c1", valid(numbers(2, 2000)...))
		var wg sync.WaitGroup
		for range 2 {
			f := newFeeder(rdb, newLedger(t, rdb), c)
			wg.Go(func() {
				for {
					now, err := l.Control(ctx, "c1")
					if err != nil {
						t.Error(err)
						return
					}
					if f.done(now) {
						return
					}
					if err := f.feed(ctx, now, 0, 600); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		got := queued(t, rdb, "c1")
		slices.Sort(got)
		want := names("c1", 1, numbers(2, 2000)...)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
		if end := control(t, l, "c1"); end.FedRows != 1999 {
			t.Errorf("at the end: %+v", end)
		}
	})
}

// TestNothingButIdsIsInAHint looks at what everybody sees who can open the queue dashboard.
func TestNothingButIdsIsInAHint(t *testing.T) {
	t.Parallel()
	task, err := newHint("promo-0a1b2c3d", 4213, 7)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(task.Payload()); got != `{"campaign":"promo-0a1b2c3d","row":4213}` || strings.Contains(got, phonePrefix) {
		t.Errorf("payload %s", got)
	}
}
