package journal

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"unique"

	"pregon/internal/ledger"
)

// bounds are how much is kept. What is in flight is kept in any case.
type bounds struct {
	most    int           // entries, those in flight included
	age     time.Duration // of settled ones
	segment int64         // bytes added to a file before what still counts is carried over into another
}

// usual bounds: a rollback of Redis takes back seconds, and 65,536 rows are an hour and more at usual rates.
var usual = bounds{most: 65_536, age: 24 * time.Hour, segment: 8 << 20}

// memory is what is remembered, whether a file has it too or not. It is not safe for concurrent use.
type memory struct {
	bounds
	campaigns map[string]*campaign
	count     int    // of all rows
	order     int64  // of the last record
	ages      []aged // settled ones, oldest first, among some that were replaced meanwhile
}

type campaign struct {
	id     string
	rows   map[int]*record
	forgot int64 // unix milliseconds: the newest entry that was let go
}

// record is an Entry in a smaller form: there are tens of thousands.
type record struct {
	home     *campaign
	order    int64 // that of the claims
	row      int
	fence    int
	tries    int
	nonce    string
	deadline int64
	at       int64 // unix milliseconds: settled, or claimed while in flight

	outcome unique.Handle[ledger.Outcome] // without the fields below, so that most entries share it; zero in flight
	id, why string
	took    time.Duration
}

type aged struct {
	r  *record
	at int64
}

func newMemory(b bounds) memory { return memory{bounds: b, campaigns: make(map[string]*campaign)} }

// apply takes in one event, just happened or read from a file, and reports whether it changed anything. It keeps the
// newest attempt of a row: the one of the highest fence, and of equal ones the one that was claimed last.
func (m *memory) apply(l line) bool {
	home := m.campaigns[l.Campaign]
	if home == nil {
		if l.Event == dropped {
			return false
		}
		home = &campaign{id: l.Campaign, rows: make(map[int]*record)}
		m.campaigns[l.Campaign] = home
	}
	r := home.rows[l.Row]
	same := r != nil && r.fence == l.Fence && r.nonce == l.Nonce
	switch l.Event {
	case claimed:
		if same || r != nil && r.fence > l.Fence {
			return false
		}
		m.put(home, &l)
	case settled:
		if !same {
			if r != nil && r.fence >= l.Fence {
				return false
			}
			r = m.put(home, &l) // its claim's line was damaged
		}
		m.settle(r, &l)
	case dropped:
		if !same {
			return false
		}
		m.remove(r)
	case forgot:
		home.forgot = max(home.forgot, l.At)
	}
	return true
}

func (m *memory) put(home *campaign, l *line) *record {
	if home.rows[l.Row] == nil {
		m.count++
	}
	order := l.Order
	if order == 0 {
		order = m.order + 1
	}
	m.order = max(m.order, order)
	r := &record{
		home: home, order: order, row: l.Row, fence: l.Fence, tries: l.Tries, nonce: l.Nonce, deadline: l.Deadline,
		at: l.At,
	}
	home.rows[l.Row] = r
	return r
}

func (m *memory) settle(r *record, l *line) {
	o := l.outcome()
	r.id, r.why, r.took, r.at = o.MessageID, o.Why, o.Took, l.At
	o.MessageID, o.Why, o.Took = "", "", 0
	r.outcome = unique.Make(o)
	m.ages = append(m.ages, aged{r: r, at: r.at})
	if len(m.ages) > 2*m.count+1024 {
		m.ages = slices.DeleteFunc(m.ages, aged.gone)
	}
}

// gone reports whether the entry was replaced, removed or settled again.
func (a aged) gone() bool { return a.r.home.rows[a.r.row] != a.r || a.r.at != a.at }

func (m *memory) remove(r *record) {
	delete(r.home.rows, r.row)
	m.count--
	if len(r.home.rows) > 0 {
		return
	}
	r.home.rows = make(map[int]*record) // An emptied map keeps its size.
	if r.home.forgot == 0 {
		delete(m.campaigns, r.home.id)
	}
}

// trim lets go of the oldest settled entries that are out of bounds. Times of campaigns are kept for good: they are
// few, and without them a lost entry would pass for one that never was.
func (m *memory) trim(now time.Time) {
	oldest := now.Add(-m.age).UnixMilli()
	for len(m.ages) > 0 {
		a := m.ages[0]
		if !a.gone() {
			if m.count <= m.most && a.at >= oldest {
				return
			}
			a.r.home.forgot = max(a.r.home.forgot, a.at)
			m.remove(a.r)
		}
		m.ages[0] = aged{} // The rest of the slice keeps the array alive.
		m.ages = m.ages[1:]
	}
}

// records returns those of a campaign in the order of their claims.
func (c *campaign) records() []*record {
	return slices.SortedFunc(maps.Values(c.rows), func(a, b *record) int { return cmp.Compare(a.order, b.order) })
}

// everything is what a new file begins with: times, then what is in flight, then what is settled, oldest first, so that
// whoever reads it lets go of the same entries as this one would.
func (m *memory) everything() (times []line, list []*record) {
	for id, c := range m.campaigns {
		if c.forgot > 0 {
			times = append(times, line{V: version, Event: forgot, Campaign: id, At: c.forgot})
		}
		for _, r := range c.rows {
			if r.flying() {
				list = append(list, r)
			}
		}
	}
	for _, a := range m.ages {
		if !a.gone() {
			list = append(list, a.r)
		}
	}
	return times, list
}

func (r *record) flying() bool { return r.outcome == unique.Handle[ledger.Outcome]{} }

func (r *record) claim() ledger.Claim {
	return ledger.Claim{
		Verdict: ledger.Go, Campaign: r.home.id, Row: r.row, Nonce: r.nonce, Fence: r.fence, Tries: r.tries,
		Deadline: moment(r.deadline),
	}
}

func (r *record) entry() Entry {
	if r.flying() {
		return Entry{Claim: r.claim()}
	}
	o := r.outcome.Value()
	o.MessageID, o.Why, o.Took = r.id, r.why, r.took
	return Entry{Claim: r.claim(), Outcome: o, SettledAt: moment(r.at)}
}

// line is the one that says all of a record.
func (r *record) line() line {
	e := r.entry()
	l := claimLine(claimed, e.Claim)
	if e.Outcome.State != "" {
		l = outcomeLine(e.Claim, e.Outcome)
	}
	l.At, l.Order = r.at, r.order
	return l
}
