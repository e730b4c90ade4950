package ledger_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// A power cut tore the file inside a script: half of what it wrote is there.
func TestCountsThatWereTornAreMadeAnewFromTheRecords(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 600) // three pages
		for row, o := range map[int]ledger.Outcome{
			2: {State: ledger.Accepted, MessageID: "m"}, 3: {State: ledger.Failed, Code: "1002"},
			300: {State: ledger.Waiting, Code: "429", After: time.Hour}, 400: {State: ledger.InDoubt, Code: "timeout"},
		} {
			if err := settle(l, claim(t, l, "c1", row), o); err != nil {
				t.Fatal(err)
			}
		}
		claim(t, l, "c1", 500)
		whole, err := l.Status(ctx, "c1")
		if err != nil || !whole.Sound() {
			t.Fatalf("%+v %v", whole.Counts, err)
		}
		for _, tear := range []func(){
			func() { rdb.HIncrBy(ctx, "pregon:{c1}:counts", "sending", -2) },
			func() { rdb.HIncrBy(ctx, "pregon:{c1}:counts", "queued", 1) },
			func() { rdb.Del(ctx, "pregon:{c1}:sending", "pregon:{c1}:waiting", "pregon:{c1}:in_doubt") },
			func() { rdb.HSet(ctx, "pregon:{c1}:codes", "1002", 7, "9999", 1) },
		} {
			tear()
		}
		if torn, err := l.Status(ctx, "c1"); err != nil || torn.Sound() {
			t.Fatalf("torn counts look sound: %+v %v", torn.Counts, err)
		}
		if err := l.Recount(ctx, "c1", true); err != nil {
			t.Fatal(err)
		}
		again, err := l.Status(ctx, "c1")
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range ledger.RowStates {
			if again.Counts[state] != whole.Counts[state] {
				t.Errorf("%d rows are %s, want %d", again.Counts[state], state, whole.Counts[state])
			}
		}
		if len(again.Codes) != len(whole.Codes) || again.Codes["1002"] != 1 {
			t.Errorf("codes %v, want %v", again.Codes, whole.Codes)
		}
		for queue, row := range map[string]string{"sending": "500", "waiting": "300", "in_doubt": "400"} {
			members := rdb.ZRange(ctx, "pregon:{c1}:"+queue, 0, -1).Val()
			if len(members) != 1 || members[0] != row {
				t.Errorf("%s holds %v, want %s", queue, members, row)
			}
		}
		steer(t, l, ledger.Steering{Verb: ledger.Cancel, Person: true}, ledger.Cancelled, true)
		cancelled, err := l.Status(ctx, "c1")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Recount(ctx, "c1", true); err != nil {
			t.Fatal(err)
		}
		if after, err := l.Status(ctx, "c1"); err != nil || after.Counts[ledger.CancelledRow] != cancelled.Counts[ledger.CancelledRow] {
			t.Errorf("cancelled: %+v, was %+v (%v)", after.Counts, cancelled.Counts, err)
		}
	})
}
