package ledger_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

func entry(t *testing.T, l *ledger.Ledger, id string, row int) ledger.Entry {
	t.Helper()
	e, ok, err := l.Entry(ctx, id, row)
	if err != nil || !ok {
		t.Fatalf("row %d: %v %v", row, ok, err)
	}
	return e
}

// try claims row 2 and settles it.
func try(t *testing.T, l *ledger.Ledger, id string, o ledger.Outcome) {
	t.Helper()
	attempted(t, l, id, []ledger.Outcome{o})
}

func decide(t *testing.T, l *ledger.Ledger, id string, fence int, d ledger.Decision) {
	t.Helper()
	if err := l.Decide(ctx, id, 2, fence, d, "ana", true); err != nil {
		t.Fatal(err)
	}
}

func TestARowRemembersItsAttemptsInOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		try(t, l, "c1", ledger.Outcome{
			State: ledger.Waiting, Code: "429", Class: "not_now", Why: "too many", Tried: true, Took: 120 * time.Millisecond,
		})
		if ok, err := l.Release(ctx, claim(t, l, "c1", 2)); err != nil || !ok { // fence 2 leaves no trace
			t.Fatalf("release: %v %v", ok, err)
		}
		try(t, l, "c1", ledger.Outcome{State: ledger.InDoubt, Code: "timeout", Class: "unknown", Took: time.Minute})
		decide(t, l, "c1", 3, ledger.SendAgain)
		try(t, l, "c1", ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected", Why: "no WhatsApp"})
		decide(t, l, "c1", 4, ledger.TryAgain)
		late, err := l.Claim(ctx, ledger.NewClaim("c1", 2, worker), "CO", 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := l.Expire(ctx, "c1", 2); err != nil || !ok {
			t.Fatalf("expire: %v %v", ok, err)
		}
		decide(t, l, "c1", 5, ledger.CountAsSent)
		if err := settle(l, late, ledger.Outcome{State: ledger.Accepted, MessageID: "m", Took: time.Second}); err != nil {
			t.Fatal(err)
		}
		want := []ledger.Attempt{
			{Fence: 1, State: ledger.Waiting, Class: "not_now", Code: "429", Why: "too many", Took: 120 * time.Millisecond},
			{Fence: 3, State: ledger.InDoubt, Class: "unknown", Code: "timeout", Took: time.Minute},
			{Fence: 3, State: ledger.Queued, Class: "person", Code: "decided_resend"},
			{Fence: 4, State: ledger.Failed, Class: "rejected", Code: "1002", Why: "no WhatsApp"},
			{Fence: 4, State: ledger.Queued, Class: "person", Code: "decided_retry"},
			{Fence: 5, State: ledger.InDoubt, Class: "unknown", Code: "worker_lost"},
			{Fence: 5, State: ledger.Accepted, Class: "person", Code: "decided_sent"},
			{Fence: 5, State: ledger.Accepted, Class: "accepted", Took: time.Second},
		}
		e := entry(t, l, "c1", 2)
		ignore := cmpopts.IgnoreFields(ledger.Attempt{}, "At")
		expired := cmpopts.EquateApproxTime(0)
		got := e.Attempts()
		if len(got) == len(want) {
			got[5].Took = 0 // since the claim
		}
		if diff := cmp.Diff(want, got, ignore, expired); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		for _, a := range got {
			if since := time.Since(a.At); since < -time.Minute || since > time.Minute {
				t.Errorf("attempt at %v", a.At)
			}
		}
		for walked, err := range l.Rows(ctx, "c1") {
			if err != nil {
				t.Fatal(err)
			}
			if walked.Number == 2 && !cmp.Equal(walked.Record, e.Record) {
				t.Errorf("the walk reads %+v, and the row %+v", walked.Record, e.Record)
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		long := strings.Repeat("x", 40)
		for i := range 40 {
			why := ""
			if i%2 == 0 {
				why = "words"
			}
			try(t, l, "c1", ledger.Outcome{
				State: ledger.Waiting, Code: long, Class: long, Why: why, Tried: true, Took: 90 * time.Second,
			})
			past, err := rdb.HGet(ctx, "pregon:{c1}:past:0", "2").Result()
			if i > 0 && (err != nil || len(past) > 640 || len(past) == 0) {
				t.Fatalf("after %d attempts: %d bytes %v", i+1, len(past), err)
			}
		}
		got := entry(t, l, "c1", 2).Attempts()
		if len(got) < 6 {
			t.Errorf("only %d attempts are left", len(got))
		}
		for i, a := range got { // the newest ones, all of them whole
			if a.Fence != 40-len(got)+1+i || a.Code != long[:24] || a.Class != long[:24] || a.Took != 90*time.Second {
				t.Errorf("attempt %d of %d: %+v", i, len(got), a)
			}
			if want := map[bool]string{true: "words"}[a.Fence%2 == 1]; a.Why != want {
				t.Errorf("attempt %d says %q, want %q", a.Fence, a.Why, want)
			}
		}
	})
}

func TestReasonsAreKeptOnceAndBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 6)
		const key = "pregon:{c1}:reasons"
		refuse := func(row int, why string) ledger.Entry {
			c := claim(t, l, "c1", row)
			o := ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected", Why: why}
			if err := settle(l, c, o); err != nil {
				t.Fatal(err)
			}
			return entry(t, l, "c1", row)
		}
		refuse(2, "no WhatsApp")
		if e := refuse(3, "  no\nWhatsApp "); e.Why != "no WhatsApp" || rdb.HLen(ctx, key).Val() != 1 {
			t.Errorf("the same words again: %+v, %d texts", e.Record, rdb.HLen(ctx, key).Val())
		}
		// Another text whose key is the same must not speak for this one.
		for field := range rdb.HGetAll(ctx, key).Val() {
			rdb.HSet(ctx, key, field, "another text")
		}
		if e := refuse(4, "no WhatsApp"); e.Why != "" {
			t.Errorf("the words of another text: %+v", e.Record)
		}
		for i := range 499 {
			rdb.HSet(ctx, key, fmt.Sprintf("k%05d", i), "text")
		}
		if e := refuse(5, "one too many"); e.Why != "" || e.Code != "1002" || rdb.HLen(ctx, key).Val() != 500 {
			t.Errorf("the text after the last: %+v, %d texts", e.Record, rdb.HLen(ctx, key).Val())
		}
		if e := refuse(6, "another text"); e.Why != "" {
			t.Errorf("a text under no key of its own: %+v", e.Record)
		}
	})
}

// hostile is what a provider may put into a code, a class, its words or a message id.
var hostile = []string{
	"a:b:c:d", "1;2,s,3,4,5", "q:0:0::::", "::::::::::", ";;;;", ",,,,,,", "x\ny", "\x00\xff\xfe", "ñ:漢字;🙂,", "'\"`\\",
	"$(x)", "%d%s", "decided_sent", "worker_lost", strings.Repeat(":", 200), strings.Repeat("é;", 100), " ", "\r\n:s:9:9",
}

func TestNothingThatAProviderSaysBreaksARecord(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for i, bad := range hostile {
			id := fmt.Sprintf("c%d", i)
			launch(t, l, id, 1)
			states := []ledger.RowState{ledger.Waiting, ledger.InDoubt, ledger.Failed, ledger.Queued, ledger.Accepted}
			for n, state := range states {
				c := claim(t, l, id, 2)
				if c.Verdict != ledger.Go || c.Fence != n+1 {
					t.Fatalf("%q: claim %d: %+v", bad, n+1, c)
				}
				o := ledger.Outcome{State: state, Code: bad, Class: bad, Why: bad, Took: -time.Second}
				if state == ledger.Accepted {
					o = ledger.Outcome{State: state, MessageID: bad, Why: bad, Account: "cv"}
				}
				if err := settle(l, c, o); err != nil {
					t.Fatalf("%q: settle as %s: %v", bad, state, err)
				}
				e := entry(t, l, id, 2)
				if e.State != state || e.Fence != n+1 || e.Took != 0 || e.MessageID != o.MessageID {
					t.Errorf("%q as %s: %+v", bad, state, e.Record)
				}
				wantCounts(t, l, id, map[ledger.RowState]int{state: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
				d := map[ledger.RowState]ledger.Decision{ledger.InDoubt: ledger.SendAgain, ledger.Failed: ledger.TryAgain}[state]
				if d != "" {
					if err := l.Decide(ctx, id, 2, c.Fence, d, bad, true); err != nil {
						t.Errorf("%q: decide: %v", bad, err)
					}
				}
			}
			e := entry(t, l, id, 2)
			if len(e.Past) != len(states)+1 { // each attempt but the last, and two decisions
				t.Errorf("%q: history %+v", bad, e.Past)
			}
			for n, fence := range []int{1, 2, 2, 3, 3, 4} {
				if n < len(e.Past) && (e.Past[n].Fence != fence || e.Past[n].State == "") {
					t.Errorf("%q: history %d is %+v", bad, n, e.Past[n])
				}
			}
			decisions, err := l.Decisions(ctx, id)
			if err != nil || len(decisions) != 2 || decisions[0].Row != 2 || decisions[1].Fence != 3 ||
				strings.ContainsAny(decisions[0].Who, "\n\r") || decisions[0].Who == "" {
				t.Errorf("%q: decisions %+v %v", bad, decisions, err)
			}
		}
	})
}

// A provider that calls its code "decided_…" decides nothing: a refusal stays one.
func TestAProvidersCodeIsNotAPersonsDecision(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 1)
		c := attempted(t, l, "c1", []ledger.Outcome{{State: ledger.Failed, Code: "decided_retry", Class: "rejected"}})
		if err := settle(l, c, ledger.Outcome{State: ledger.Accepted, MessageID: "m"}); !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("settle otherwise: %v", err)
		}
	})
}

func TestNoWorkerNameBreaksARecord(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[jw][0-9a-f]{5}$`)
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for i, bad := range append(hostile, "a:b:c:", "ñññ", "") {
			for _, journal := range []bool{true, false} {
				if name := ledger.WorkerName(bad, journal); !shape.MatchString(name) || (name[0] == 'j') != journal {
					t.Errorf("name of %q: %q", bad, name)
				}
			}
			id := fmt.Sprintf("c%d", i)
			launch(t, l, id, 2)
			given, err := l.Claim(ctx, ledger.NewClaim(id, 2, bad), "CO", time.Hour)
			if err != nil || given.Verdict != ledger.Go {
				t.Fatalf("claim by %q: %+v %v", bad, given, err)
			}
			// A journal that was damaged on its disk.
			said := ledger.Claim{Campaign: id, Row: 3, Nonce: bad, Fence: 1, Tries: 1}
			if _, err := l.Reassert(ctx, said, ledger.Outcome{State: ledger.InDoubt, Code: "x"}, time.Now()); err != nil {
				t.Fatal(err)
			}
			for row, state := range map[int]ledger.RowState{2: ledger.Sending, 3: ledger.InDoubt} {
				if e := entry(t, l, id, row); e.State != state || e.Fence != 1 {
					t.Errorf("%q: row %d is %+v", bad, row, e.Record)
				}
			}
		}
	})
}

// Records of the version before have seven fields.
func TestARecordOfTheVersionBeforeIsRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 4)
		rdb.HSet(ctx, "pregon:{c1}:rows:0",
			"2", "w:3:2:1700000000:1700000000123:429:abcdef0123456789",
			"3", "s:1:0:1700000000:4000000000000::abcdef0123456789",
			"4", "a:1:0:1700000000::::", "5", "f:2:1:1700000000::1002:")
		rdb.HSet(ctx, "pregon:{c1}:counts", "queued", 0, "waiting", 1, "sending", 1, "accepted", 1, "failed", 1)
		rdb.HSet(ctx, "pregon:{c1}:codes", "429", 1, "1002", 1)
		if _, _, err := l.Entry(ctx, "c1", 4); !errors.Is(err, ledger.ErrCorrupt) { // eight fields: of no version
			t.Errorf("row 4: %v", err)
		}
		rdb.HSet(ctx, "pregon:{c1}:rows:0", "4", "a:1:0:1700000000:::")
		c := claim(t, l, "c1", 2)
		if c.Verdict != ledger.Go || c.Fence != 4 || c.Tries != 2 {
			t.Errorf("claim: %+v", c)
		}
		want := []ledger.Attempt{{Fence: 3, State: ledger.Waiting, Code: "429", At: time.Unix(1_700_000_000, 0)}}
		if diff := cmp.Diff(want, entry(t, l, "c1", 2).Attempts()); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		old := ledger.Claim{Campaign: "c1", Row: 3, Nonce: "abcdef0123456789", Fence: 1}
		if err := settle(l, old, ledger.Outcome{State: ledger.Accepted, MessageID: "m"}); err != nil {
			t.Errorf("settle of a claim of the version before: %v", err)
		}
		for row, verdict := range map[int]ledger.Verdict{2: ledger.Busy, 3: ledger.Done, 4: ledger.Done, 5: ledger.Done} {
			if got := claim(t, l, "c1", row); got.Verdict != verdict {
				t.Errorf("row %d: %+v, want %s", row, got, verdict)
			}
		}
		wantCounts(t, l, "c1", map[ledger.RowState]int{
			ledger.Sending: 1, ledger.Accepted: 2, ledger.Failed: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1,
		})
	})
}
