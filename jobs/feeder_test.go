package jobs

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
)

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
	c, err := l.Claim(ctx, ledger.NewClaim(id, row, "w00000"), "CO", claimTime)
	if err != nil || c.Verdict != ledger.Go {
		t.Fatalf("claim row %d: %v %v", row, c.Verdict, err)
	}
	if _, err := l.Settle(ctx, c, o); err != nil {
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
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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

func TestASparseFileIsFedInAFewLooks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		c := commit(t, l, "c1", valid(2, 900_000))
		f := newFeeder(rdb, l, c)
		for live := range 3 {
			if err := f.feed(ctx, control(t, l, "c1"), live, hintsAtLeast); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(names("c1", 1, 2, 900_000), queued(t, rdb, "c1")); diff != "" {
			t.Errorf("hints after three looks (-want +got):\n%s", diff)
		}
		if end := control(t, l, "c1"); !f.done(end) || end.FedRows != 2 {
			t.Errorf("at the end: %+v", end)
		}
	})
}

func TestAQueueThatSomebodyDeletedIsSeenAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		f := newFeeder(rdb, l, commit(t, l, "c1", valid(2, 3)))
		for generation := 1; generation <= 2; generation++ {
			if err := f.feed(ctx, control(t, l, "c1"), 0, 10); err != nil {
				t.Fatal(err)
			}
			queue := asynq.NewInspectorFromRedisClient(rdb)
			info, err := queue.GetQueueInfo("c1")
			if err != nil || info.Pending != 2 {
				t.Fatalf("generation %d: %+v %v", generation, info, err)
			}
			if err := queue.DeleteQueue("c1", true); err != nil {
				t.Fatal(err)
			}
			if ok, err := l.NewGeneration(ctx, "c1", generation); err != nil || !ok {
				t.Fatalf("new generation: %v %v", ok, err)
			}
		}
	})
}

func TestTwoFeedersAtOnceHintEachRowOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
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
