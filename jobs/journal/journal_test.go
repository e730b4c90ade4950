package journal

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pregon/internal/ledger"
)

// TestWhatIsKept holds for memory, for a file, and for whoever takes the slot next.
func TestWhatIsKept(t *testing.T) {
	a1, a2, b := nthClaim("promo", 2, 1), nthClaim("promo", 2, 2), someClaim("promo", 3)
	a2.Tries = 1
	again := a1 // the same fence once more: Redis went back in time
	again.Nonce = "j0a1b2fffff"
	waits := ledger.Outcome{
		State: ledger.Waiting, Code: "429", After: 1500*time.Millisecond + 7, Tried: true, Class: "not_now",
		Account: "contactovirtual", Took: 99*time.Millisecond + 1,
	}
	accepted, doubt := someOutcome(2), ledger.Outcome{State: ledger.InDoubt, Code: "timeout", Tried: true}
	tests := map[string]struct {
		happens func(j *Journal)
		want    []Entry
	}{
		"nothing": {func(*Journal) {}, nil},
		"an attempt in flight": {func(j *Journal) {
			mustClaim(t, j, a1)
		}, []Entry{{Claim: a1}}},
		"an attempt and what came of it": {func(j *Journal) {
			mustClaim(t, j, a1)
			j.Settled(a1, waits)
		}, []Entry{{Claim: a1, Outcome: waits}}},
		"the later word on the same attempt": {func(j *Journal) {
			mustClaim(t, j, a1)
			j.Settled(a1, doubt)
			j.Settled(a1, accepted)
		}, []Entry{{Claim: a1, Outcome: accepted}}},
		"rows in the order of their claims": {func(j *Journal) {
			mustClaim(t, j, b)
			mustClaim(t, j, a1)
			j.Settled(a1, accepted)
			j.Settled(b, doubt)
		}, []Entry{{Claim: b, Outcome: doubt}, {Claim: a1, Outcome: accepted}}},
		"only the newest attempt of a row": {func(j *Journal) {
			mustClaim(t, j, a1)
			j.Settled(a1, waits)
			mustClaim(t, j, b)
			mustClaim(t, j, a2)
		}, []Entry{{Claim: b}, {Claim: a2}}},
		"not what comes late of an older attempt": {func(j *Journal) {
			mustClaim(t, j, a1)
			mustClaim(t, j, a2)
			j.Settled(a1, accepted)
			j.Dropped(a1)
			mustClaim(t, j, a1)
		}, []Entry{{Claim: a2}}},
		"of one fence the later claim": {func(j *Journal) {
			mustClaim(t, j, a1)
			mustClaim(t, j, again)
			j.Settled(a1, accepted)
			j.Dropped(a1)
		}, []Entry{{Claim: again}}},
		"no claim that was given back": {func(j *Journal) {
			mustClaim(t, j, a1)
			mustClaim(t, j, b)
			j.Dropped(a1)
		}, []Entry{{Claim: b}}},
		"a result although its claim is noted again": {func(j *Journal) {
			mustClaim(t, j, a1)
			j.Settled(a1, accepted)
			mustClaim(t, j, a1)
		}, []Entry{{Claim: a1, Outcome: accepted}}},
		"an attempt in flight although nothing was said of it": {func(j *Journal) {
			mustClaim(t, j, a1)
			j.Settled(a1, ledger.Outcome{})
		}, []Entry{{Claim: a1}}},
	}
	times := cmpopts.IgnoreFields(Entry{}, "SettledAt")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			check := func(where string, j *Journal) {
				t.Helper()
				if diff := cmp.Diff(test.want, j.Entries("promo"), times, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s", where, diff)
				}
				for _, e := range j.Entries("promo") {
					if settled := e.Outcome.State != ""; settled == e.SettledAt.IsZero() {
						t.Errorf("%s: row %d is %q and was settled at %v", where, e.Claim.Row, e.Outcome.State, e.SettledAt)
					}
				}
			}
			memory := openIn(t, "")
			test.happens(memory)
			check("memory", memory)

			dir := t.TempDir()
			file := openIn(t, dir)
			test.happens(file)
			check("file", file)
			before := all(file)
			for _, generation := range []string{"the next", "the one after it"} {
				mustClose(t, file)
				file = openIn(t, dir)
				check(generation, file)
				if diff := cmp.Diff(before, all(file)); diff != "" {
					t.Errorf("%s: %s", generation, diff)
				}
			}
		})
	}
}

func TestCampaignsAreThoseWithEntries(t *testing.T) {
	j := openIn(t, "")
	for _, c := range []string{"verano", "cobros", "promo"} {
		mustClaim(t, j, someClaim(c, 2))
	}
	j.Dropped(someClaim("cobros", 2))
	if diff := cmp.Diff([]string{"promo", "verano"}, j.Campaigns()); diff != "" {
		t.Error(diff)
	}
	if got := j.Entries("cobros"); len(got) > 0 {
		t.Errorf("entries of a campaign without any: %v", got)
	}
}

// TestEveryFieldIsKept fails when a claim or an outcome has a new field: it must be added to line, or here with the
// reason why it is left out.
func TestEveryFieldIsKept(t *testing.T) {
	leftOut := map[string]string{
		"Claim.Probe":   "what is over tries nothing out",
		"Claim.Due":     "not of a claim that was given",
		"Claim.Retry":   "not of a claim that was given",
		"Claim.State":   "not of a claim that was given",
		"Claim.Code":    "not of a claim that was given",
		"Claim.Control": "not of a claim that was given",
		"Claim.Reason":  "not of a claim that was given",
		"Outcome.Why":   "free text stays out of files",
		// It decides at the first settle only.
		"Outcome.Suspect": "not of a result that is said again",
	}
	var c ledger.Claim
	var o ledger.Outcome
	for _, v := range []reflect.Value{reflect.ValueOf(&c).Elem(), reflect.ValueOf(&o).Elem()} {
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case leftOut[v.Type().Name()+"."+v.Type().Field(i).Name] != "":
			case f.Type() == reflect.TypeFor[time.Time]():
				f.Set(reflect.ValueOf(time.UnixMilli(1_790_000_000_000)))
			case f.CanInt():
				f.SetInt(int64(11 + i))
			case f.CanFloat():
				f.SetFloat(0.5)
			case f.Kind() == reflect.Bool:
				f.SetBool(true)
			case f.Kind() == reflect.String:
				f.SetString(v.Type().Field(i).Name)
			default:
				t.Fatalf("a field of type %v: teach this test", f.Type())
			}
		}
	}
	c.Verdict = ledger.Go
	dir := t.TempDir()
	j := openIn(t, dir)
	mustClaim(t, j, c)
	j.Settled(c, o)
	mustClose(t, j)
	got := openIn(t, dir).Entries(c.Campaign)
	if diff := cmp.Diff([]Entry{{Claim: c, Outcome: o}}, got, cmpopts.IgnoreFields(Entry{}, "SettledAt")); diff != "" {
		t.Errorf("add the field to line and the functions beside it: %s", diff)
	}
}

func TestAProvidersWordsAreRememberedButNotWritten(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir)
	c, o := someClaim("promo", 2), ledger.Outcome{State: ledger.Failed, Code: "4", Why: "número inválido"}
	mustClaim(t, j, c)
	j.Settled(c, o)
	if got := j.Entries("promo")[0].Outcome.Why; got != o.Why {
		t.Errorf("remembered %q", got)
	}
	mustClose(t, j)
	for _, path := range files(t, filepath.Join(dir, "0")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "inv") {
			t.Errorf("written: %s", text)
		}
	}
}

func TestAClaimThatWasNotGivenIsRefused(t *testing.T) {
	for name, c := range map[string]ledger.Claim{
		"no fence": {Campaign: "promo", Row: 2, Nonce: "n"},
		"no nonce": {Campaign: "promo", Row: 2, Fence: 1},
		"no row":   {Campaign: "promo", Nonce: "n", Fence: 1},
		"nothing":  {},
	} {
		t.Run(name, func(t *testing.T) {
			j := openIn(t, "")
			if err := j.Claimed(c); err == nil {
				t.Error("noted")
			}
			if got := j.Campaigns(); len(got) > 0 {
				t.Errorf("entries of %v", got)
			}
		})
	}
}

func TestTheOldestSettledGoFirstAndWhatIsInFlightNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // each call has a time of its own
		dir := t.TempDir()
		four := bounds{most: 4, age: usual.age, segment: usual.segment}
		j := openWithin(t, dir, four)
		settledAt := make(map[int]time.Time)
		for row := 2; row < 12; row++ {
			mustClaim(t, j, someClaim("promo", row))
			if row > 4 { // 2, 3 and 4 stay in flight
				j.Settled(someClaim("promo", row), someOutcome(row))
				settledAt[row] = time.Now()
			}
			time.Sleep(time.Second) //nolint:forbidigo // on the test's own clock
		}
		for _, generation := range []string{"the first", "the next"} {
			if diff := cmp.Diff([]int{2, 3, 4, 11}, rowsOf(j.Entries("promo"))); diff != "" {
				t.Errorf("%s: %s", generation, diff)
			}
			if got := j.Forgot("promo"); !got.Equal(settledAt[10]) {
				t.Errorf("%s: forgot up to %v, want %v", generation, got, settledAt[10])
			}
			if got := j.Forgot("verano"); !got.IsZero() {
				t.Errorf("%s: forgot of another campaign up to %v", generation, got)
			}
			mustClose(t, j)
			j = openWithin(t, dir, four)
		}
		for row := 12; row < 20; row++ { // more in flight than there is room for
			mustClaim(t, j, someClaim("promo", row))
		}
		if got := len(j.Entries("promo")); got != 11 {
			t.Errorf("%d entries, want the 11 in flight", got)
		}
	})
}

func TestWhatIsSettledIsKeptForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := openIn(t, dir)
		for row := 2; row < 5; row++ {
			mustClaim(t, j, someClaim("promo", row))
		}
		j.Settled(someClaim("promo", 3), someOutcome(3))
		first := time.Now()
		time.Sleep(time.Hour) //nolint:forbidigo // on the test's own clock
		j.Settled(someClaim("promo", 4), someOutcome(4))
		want := func(rows []int, forgot time.Time) {
			t.Helper()
			if diff := cmp.Diff(rows, rowsOf(j.Entries("promo"))); diff != "" {
				t.Error(diff)
			}
			if got := j.Forgot("promo"); !got.Equal(forgot) {
				t.Errorf("forgot up to %v, want %v", got, forgot)
			}
		}
		want([]int{2, 3, 4}, time.Time{})
		time.Sleep(23*time.Hour + time.Minute) //nolint:forbidigo // on the test's own clock
		want([]int{2, 4}, first)
		mustClose(t, j)
		time.Sleep(time.Hour) //nolint:forbidigo // on the test's own clock
		j = openIn(t, dir)
		want([]int{2}, first.Add(time.Hour))
		j.Dropped(someClaim("promo", 2))
		mustClose(t, j)
		j = openIn(t, dir)
		want([]int{}, first.Add(time.Hour))
		if got := j.Campaigns(); len(got) > 0 {
			t.Errorf("campaigns without entries: %v", got)
		}
	})
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	dir := t.TempDir()
	j := openWithin(t, dir, bounds{most: 1 << 20, age: usual.age, segment: 4 << 10})
	const goroutines, each = 16, 40
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			for i := range each {
				c := someClaim("promo", 1+g*each+i)
				if err := j.Claimed(c); err != nil {
					t.Error(err)
				}
				switch i % 4 {
				case 0:
					j.Dropped(c)
				case 1:
					j.Settled(c, someOutcome(c.Row))
				case 2:
					if got := len(j.Entries("promo")); got == 0 {
						t.Error("no entries")
					}
				}
			}
		})
	}
	wait.Wait()
	before := all(j)
	if got := len(before["promo"]); got != goroutines*each*3/4 {
		t.Errorf("%d entries", got)
	}
	mustClose(t, j)
	if diff := cmp.Diff(before, all(openIn(t, dir))); diff != "" {
		t.Error(diff)
	}
}

func TestAfterCloseItCanOnlyBeRead(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "file": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			j := openIn(t, dir)
			mustClaim(t, j, someClaim("promo", 2))
			mustClose(t, j)
			mustClose(t, j)
			if err := j.Claimed(someClaim("promo", 3)); err == nil {
				t.Error("claimed after Close")
			}
			j.Settled(someClaim("promo", 2), someOutcome(2))
			if got := rowsOf(j.Entries("promo")); !cmp.Equal(got, []int{2}) {
				t.Errorf("rows %v", got)
			}
		})
	}
}
