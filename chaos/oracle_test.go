package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// good is a campaign without fault: one row in every final state, each with as many receipts as it must have, and one
// more row in doubt whose message arrived.
func good() evidence {
	e := evidence{receipts: map[string]int{}, resends: map[string]int{}, bound: 2}
	for i, state := range []string{"accepted", "delivered", "failed", "cancelled", "in_doubt", "in_doubt"} {
		c := contact{row: i + 2, phone: "57310000200" + string(rune('0'+i))}
		e.rows = append(e.rows, c)
		e.results = append(e.results, result{Row: c.row, Phone: c.phone, State: state})
	}
	e.receipts[e.rows[0].phone] = 1
	e.receipts[e.rows[1].phone] = 1
	e.receipts[e.rows[5].phone] = 1
	e.samples = []sample{{0, status{Total: 6, Counts: map[string]int{"queued": 4, "sending": 2}}}}
	return e
}

func TestJudgeFindsNothingInAGoodRun(t *testing.T) {
	f := judge(good())
	if len(f.violations) > 0 || f.duplicates != 0 || f.lost != 0 || f.doubt != [2]int{1, 1} {
		t.Errorf("%+v", f)
	}
}

// TestJudgeSeesEachViolation breaks a good run in one way at a time. An oracle that is blind to one of these would let
// everything pass.
func TestJudgeSeesEachViolation(t *testing.T) {
	phone := func(row int) string { return good().rows[row-2].phone }
	for name, c := range map[string]struct {
		spoil            func(*evidence)
		says             string
		duplicates, lost int
	}{
		"an accepted row got two": {func(e *evidence) { e.receipts[phone(2)] = 2 }, "row 2 got 2 messages", 1, 0},
		"a row in doubt got two":  {func(e *evidence) { e.receipts[phone(7)] = 2 }, "row 7 got 2 messages", 1, 0},
		"an accepted row got none": {func(e *evidence) { delete(e.receipts, phone(2)) },
			"row 2 is accepted, and 0 messages", 0, 0},
		"a failed row got one": {func(e *evidence) { e.receipts[phone(4)] = 1 },
			"row 4 is failed, and 1 messages", 0, 0},
		"a cancelled row got one": {func(e *evidence) { e.receipts[phone(5)] = 1 },
			"row 5 is cancelled, and 1 messages", 0, 0},
		"a row is still queued":  {func(e *evidence) { e.results[0].State = "queued" }, "row 2 is still queued", 0, 1},
		"a row is still waiting": {func(e *evidence) { e.results[0].State = "waiting" }, "row 2 is still waiting", 0, 1},
		"a row is still being sent": {func(e *evidence) { e.results[0].State = "sending" },
			"row 2 is still sending", 0, 1},
		"a state that nobody knows": {func(e *evidence) { e.results[0].State = "?" }, "row 2 is still ?", 0, 1},
		"a row is missing": {func(e *evidence) { e.results = e.results[1:] },
			"row 2 of the file is not in the results", 0, 1},
		"a row is there twice": {func(e *evidence) { e.results = append(e.results, e.results[0]) },
			"row 2 is in the results twice", 0, 0},
		"a row of no file": {func(e *evidence) { e.results = append(e.results, result{Row: 99, State: "failed"}) },
			"row 99 is in the results and not in the file", 0, 0},
		"another phone":   {func(e *evidence) { e.results[0].Phone = phone(3) }, "row 2 has another phone", 0, 0},
		"a stranger":      {func(e *evidence) { e.receipts["573199992000"] = 1 }, "a phone that is not in the file", 0, 0},
		"too many doubts": {func(e *evidence) { e.bound = 1 }, "2 rows in doubt, at most 1", 0, 0},
		"a sum that is short": {func(e *evidence) { e.samples[0].Counts["queued"]-- },
			"add up to 5 of 6 rows", 0, 0},
		"a total that is wrong": {func(e *evidence) { e.samples[0].Total = 5 }, "of 6 rows", 0, 0},
		"a negative count": {func(e *evidence) {
			e.samples[0].Counts["queued"], e.samples[0].Counts["failed"] = 5, -1
		}, "add up to 6 of 6 rows", 0, 0},
		"a message after a pause": {func(e *evidence) {
			e.quiet = []stretch{{time.Second, 2 * time.Second, "it was paused"}}
			e.arrivals = []arrival{{500 * time.Millisecond, ""}, {1500 * time.Millisecond, ""}}
		}, "1 messages arrived while it was paused", 0, 0},
		"sent before its time": {func(e *evidence) { e.scheduled = true }, "row 2 is still accepted", 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			c.spoil(&e)
			f := judge(e)
			if !slices.ContainsFunc(f.violations, func(v string) bool { return strings.Contains(v, c.says) }) {
				t.Errorf("%q is not among %q", c.says, f.violations)
			}
			if f.duplicates != c.duplicates || f.lost != c.lost {
				t.Errorf("%d duplicates and %d lost, want %d and %d", f.duplicates, f.lost, c.duplicates, c.lost)
			}
		})
	}
}

func TestJudgeAllowsWhatAPersonOrdered(t *testing.T) {
	e := good()
	e.receipts[e.rows[0].phone] = 2
	e.resends[e.rows[0].phone] = 1
	if f := judge(e); len(f.violations) > 0 || f.duplicates != 0 {
		t.Errorf("%+v", f)
	}
}

func TestJudgeOfAScheduledCampaign(t *testing.T) {
	e := good()
	e.scheduled, e.receipts = true, nil
	for i := range e.results {
		e.results[i].State = "queued"
	}
	if f := judge(e); len(f.violations) > 0 || f.lost != 0 {
		t.Errorf("%+v", f)
	}
	e.receipts = map[string]int{e.rows[0].phone: 1}
	if f := judge(e); len(f.violations) == 0 {
		t.Error("a message before its time is not seen")
	}
}

func TestDensest(t *testing.T) {
	ms := func(at ...int) (times []time.Duration) {
		for _, a := range at {
			times = append(times, time.Duration(a)*time.Millisecond)
		}
		return times
	}
	for want, times := range map[int][]time.Duration{
		0: nil, 1: ms(0, 1000, 2000), 2: ms(0, 999, 1999, 3000), 4: ms(1700, 0, 900, 1000, 1100, 1900),
	} {
		if got := densest(times); got != want {
			t.Errorf("%v: %d, want %d", times, got, want)
		}
	}
	if tooDense(110, 100) || !tooDense(111, 100) || tooDense(13, 10) || !tooDense(14, 10) {
		t.Error("a tenth, and at least three, are the machine's")
	}
}

func TestSearchFindsPeopleAndCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "worker.log")
	text := "nothing here 3105552000x\nsent to 573105552001 of " + canaryName + " 2\n310 555 2001\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	phones := map[string]bool{"3105552001": true, "3105552009": true}
	found, err := search(path, []string{canaryName, canaryToken}, phones)
	if err != nil || !slices.Equal(found, []string{`"Canarina"`, "1 phones"}) {
		t.Errorf("%q, %v", found, err)
	}
}
