package main

import (
	"fmt"
	"slices"
	"time"
)

// evidence is what one campaign left behind, as seen from outside: the file that went in, what the public commands say,
// and what really arrived.
type evidence struct {
	rows     []contact
	results  []result
	receipts map[string]int // messages per phone, by the simulator
	samples  []sample
	arrivals []arrival // the messages in the order in which they arrived; only needed with quiet
	quiet    []stretch // nothing may arrive in these
	resends  map[string]int
	bound    int // rows that may be in doubt

	scheduled bool // its time has not come: every row must still be queued
}

// sample is what status said at a moment.
type sample struct {
	at time.Duration
	status
}

// arrival is one message that arrived.
type arrival struct {
	at    time.Duration
	phone string
}

// stretch is a time in which something holds.
type stretch struct {
	from, to time.Duration
	why      string
}

// finding is what the oracle concludes about one campaign.
type finding struct {
	duplicates int // recipients who got more than they should
	lost       int // rows that are missing or did not come to an end
	doubt      [2]int
	violations []string
}

func (f *finding) violate(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

// inDoubt is how many rows are in doubt.
func (f *finding) inDoubt() int { return f.doubt[0] + f.doubt[1] }

// arrives says, per final state, how many messages must have arrived: the fewest and the most. A state that is not here
// is not final.
var arrives = map[string][2]int{
	"accepted": {1, 1}, "sent": {1, 1}, "delivered": {1, 1}, "read": {1, 1},
	"failed": {0, 0}, "cancelled": {0, 0}, "skipped": {0, 0}, "invalid": {0, 0},
	"in_doubt": {0, 1},
}

// judge compares what arrived with what the campaign says. It asks nobody else: not the ledger, not the queue.
func judge(e evidence) finding {
	var f finding
	e.judgeRows(&f)
	e.judgeStrangers(&f)
	e.judgeSamples(&f)
	e.judgeQuiet(&f)
	if n := f.inDoubt(); n > e.bound {
		f.violate("%d rows in doubt, at most %d can be explained", n, e.bound)
	}
	return f
}

// judgeRows holds each row of the file against its result and its receipts.
func (e evidence) judgeRows(f *finding) {
	said := make(map[int]result, len(e.results))
	for _, r := range e.results {
		if _, twice := said[r.Row]; twice {
			f.violate("row %d is in the results twice", r.Row)
		}
		said[r.Row] = r
	}
	for _, row := range e.rows {
		got, extra := e.receipts[row.phone], e.resends[row.phone]
		if got > 1+extra {
			f.duplicates++
			f.violate("row %d got %d messages, %d of them ordered", row.row, got, 1+extra)
		}
		r, found := said[row.row]
		if !found {
			f.lost++
			f.violate("row %d of the file is not in the results", row.row)
			continue
		}
		delete(said, row.row)
		e.judgeRow(f, row, r, got)
	}
	for row := range said {
		f.violate("row %d is in the results and not in the file", row)
	}
}

func (e evidence) judgeRow(f *finding, row contact, r result, got int) {
	if r.Phone != "" && r.Phone != row.phone {
		f.violate("row %d has another phone in the results", row.row)
	}
	bounds, final := arrives[r.State]
	if e.scheduled {
		bounds, final = [2]int{0, 0}, r.State == "queued"
	}
	if !final {
		f.lost++
		f.violate("row %d is still %s", row.row, r.State)
		return
	}
	if r.State == "in_doubt" {
		f.doubt[min(got, 1)]++
	}
	most := bounds[1]
	if most > 0 {
		most += e.resends[row.phone]
	}
	if got < bounds[0] || got > most {
		f.violate("row %d is %s, and %d messages arrived", row.row, r.State, got)
	}
}

// judgeStrangers finds messages for phones that are in no row.
func (e evidence) judgeStrangers(f *finding) {
	known := make(map[string]bool, len(e.rows))
	for _, r := range e.rows {
		known[r.phone] = true
	}
	for phone, n := range e.receipts {
		if !known[phone] {
			f.violate("%d messages for a phone that is not in the file", n)
		}
	}
}

// judgeSamples checks that at every moment each row of the file was in exactly one state.
func (e evidence) judgeSamples(f *finding) {
	for _, s := range e.samples {
		sum, negative := 0, false
		for _, n := range s.Counts {
			sum += n
			negative = negative || n < 0
		}
		if sum != len(e.rows) || s.Total != len(e.rows) || negative {
			f.violate("at %s the states %v add up to %d of %d rows", s.at, s.Counts, sum, len(e.rows))
			return // one is enough
		}
	}
}

// judgeQuiet looks for messages while nothing was to be sent.
func (e evidence) judgeQuiet(f *finding) {
	for _, q := range e.quiet {
		n := 0
		for _, a := range e.arrivals {
			if a.at >= q.from && a.at < q.to {
				n++
			}
		}
		if n > 0 {
			f.violate("%d messages arrived while %s", n, q.why)
		}
	}
}

// densest is the most events within any one second; two that are exactly a second apart share none.
func densest(times []time.Duration) int {
	times = slices.Clone(times)
	slices.Sort(times)
	most, first := 0, 0
	for i, at := range times {
		for at-times[first] >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// tooDense judges a rate as the provider saw it. Between the worker that keeps to the limit and the provider lie two
// schedulers and a network, on a machine that the run keeps busy: a tenth more is theirs.
func tooDense(most, limit int) bool { return most > limit+max(limit/10, 3) }
