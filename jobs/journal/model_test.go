package journal

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pregon/internal/ledger"
)

// enough is more than the rows of the model.
const enough = 1000

// place is a row of a campaign.
type place struct {
	campaign string
	row      int
}

// model is what a journal must know: the newest attempt of each row, and all that was ever said of it.
type model struct {
	dir     string
	bounds  bounds
	journal *Journal
	rows    map[place]*attempt
	fences  map[place]int
	acked   int64 // length of the segment when the last Claimed returned; what comes later may be lost with the power
	segment int
}

type attempt struct {
	claim   ledger.Claim
	said    []ledger.Outcome // the last one counts; after a crash an earlier one may, or none
	dropped bool
}

func (m *model) open(t *rapid.T) {
	m.journal = mustOpen(t, m.dir, m.bounds)
	m.segment, m.acked = m.journal.files.number, m.journal.files.good
}

func (m *model) claim(t *rapid.T) {
	p := place{rapid.SampledFrom([]string{"promo", "cobros"}).Draw(t, "campaign"), rapid.IntRange(2, 6).Draw(t, "row")}
	m.fences[p]++
	c := nthClaim(p.campaign, p.row, m.fences[p])
	c.Tries = rapid.IntRange(0, 3).Draw(t, "tries")
	mustClaim(t, m.journal, c)
	m.rows[p] = &attempt{claim: c}
	m.segment, m.acked = m.journal.files.number, m.journal.files.good // nothing is being written now
}

func (m *model) some(t *rapid.T) *attempt {
	var known []*attempt
	for _, p := range slices.SortedFunc(maps.Keys(m.rows), func(a, b place) int {
		return cmp.Or(strings.Compare(a.campaign, b.campaign), a.row-b.row)
	}) {
		if a := m.rows[p]; !a.dropped {
			known = append(known, a)
		}
	}
	if len(known) == 0 {
		t.Skip("nothing is known")
	}
	return rapid.SampledFrom(known).Draw(t, "attempt")
}

func (m *model) settle(t *rapid.T) {
	a := m.some(t)
	o := ledger.Outcome{
		State: rapid.SampledFrom([]ledger.RowState{ledger.Accepted, ledger.InDoubt, ledger.Waiting, ledger.Failed}).
			Draw(t, "state"),
		MessageID: rapid.String().Draw(t, "id"), Code: rapid.SampledFrom([]string{"", "4", "1003"}).Draw(t, "code"),
		After: time.Duration(rapid.Int64().Draw(t, "after")), Tried: rapid.Bool().Draw(t, "tried"),
	}
	m.journal.Settled(a.claim, o)
	a.said = append(a.said, o)
}

func (m *model) drop(t *rapid.T) {
	a := m.some(t)
	m.journal.Dropped(a.claim)
	a.dropped = true
}

// late says something of attempts that are not the newest of their row: nothing may come of it.
func (m *model) late(t *rapid.T) {
	a := m.some(t)
	if a.claim.Fence == 1 {
		t.Skip("it has no predecessor")
	}
	old := nthClaim(a.claim.Campaign, a.claim.Row, a.claim.Fence-1)
	m.journal.Settled(old, someOutcome(old.Row))
	m.journal.Dropped(old)
}

func (m *model) reopen(t *rapid.T) {
	before, forgot := all(m.journal), m.journal.Forgot("promo")
	mustClose(t, m.journal)
	if rapid.Bool().Draw(t, "died while it began a new file") {
		m.partOfNext(t)
	}
	m.open(t)
	if diff := gocmp.Diff(before, all(m.journal)); diff != "" {
		t.Fatalf("not the same after reopening: %s", diff)
	}
	if now := m.journal.Forgot("promo"); !now.Equal(forgot) {
		t.Fatalf("forgot up to %v, and after reopening up to %v", forgot, now)
	}
}

// partOfNext leaves the beginning of another segment beside what it would have replaced.
func (m *model) partOfNext(t *rapid.T) {
	var text []byte
	for l := range m.journal.carried() {
		text = append(text, l...)
	}
	text = text[:rapid.IntRange(0, len(text)).Draw(t, "bytes of the new file")]
	path := filepath.Join(m.journal.slot.dir, fmt.Sprintf("journal-%d.jsonl", m.journal.files.number+1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// crash takes back some of what nobody waited for, as a power cut does.
func (m *model) crash(t *rapid.T) {
	if m.bounds.segment != usual.segment {
		t.Skip("where a new file may begin at any moment, the model does not know what was confirmed to which")
	}
	mustClose(t, m.journal)
	s := m.journal.files
	kept := m.acked
	if s.number != m.segment { // begun since: what it carried over was synced
		kept = s.full - s.grow
	}
	size := rapid.Int64Range(kept, s.good).Draw(t, "bytes left")
	if err := os.Truncate(s.file.Name(), size); err != nil {
		t.Fatal(err)
	}
	m.open(t)
	m.check(t, true)
	// What is there now is what counts from here on.
	for p, a := range m.rows {
		e, ok := find(m.journal.Entries(p.campaign), p.row)
		a.dropped = !ok
		switch {
		case ok && e.Outcome.State == "":
			a.said = nil
		case ok:
			a.said = []ledger.Outcome{e.Outcome}
		}
	}
}

// check compares what the journal knows with what it was told. After a crash the last words on an attempt may be lost,
// but not the claim.
func (m *model) check(t *rapid.T, crashed bool) {
	known := 0
	for p, a := range m.rows {
		e, ok := find(m.journal.Entries(p.campaign), p.row)
		if ok {
			known++
		}
		switch {
		case !ok && a.dropped:
		case !ok && len(a.said) > 0 && m.bounds.most < enough && !m.journal.Forgot(p.campaign).IsZero():
			// Let go to stay within bounds, which it says.
		case !ok:
			t.Fatalf("%v: attempt %+v is not known", p, a)
		case a.dropped && !crashed:
			t.Fatalf("%v was given back and is still known: %+v", p, e)
		case !gocmp.Equal(e.Claim, a.claim):
			t.Fatalf("%v: %s", p, gocmp.Diff(a.claim, e.Claim))
		case e.Outcome.State == "":
			if len(a.said) > 0 && !crashed {
				t.Fatalf("%v is in flight again", p)
			}
		case !slices.Contains(a.said, e.Outcome):
			t.Fatalf("%v: settled state invented: %+v of %+v", p, e.Outcome, a.said)
		case !crashed && e.Outcome != a.said[len(a.said)-1]:
			t.Fatalf("%v: an old word: %+v", p, e.Outcome)
		}
	}
	total, flying := 0, 0
	for _, entries := range all(m.journal) {
		total += len(entries)
		for _, e := range entries {
			if e.Outcome.State == "" {
				flying++
			}
		}
	}
	if total != known {
		t.Fatalf("%d entries, of which %d were ever claimed", total, known)
	}
	if total > max(m.bounds.most, flying) {
		t.Fatalf("%d entries, %d of them in flight", total, flying)
	}
}

func find(entries []Entry, row int) (Entry, bool) {
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Claim.Row == row })
	if i < 0 {
		return Entry{}, false
	}
	return entries[i], true
}

func TestNothingThatWasClaimedIsEverLost(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := &model{
			dir: filepath.Join(root, strconv.Itoa(n)), rows: make(map[place]*attempt), fences: make(map[place]int),
			bounds: bounds{
				most: rapid.SampledFrom([]int{enough, 4}).Draw(t, "most"), age: usual.age,
				segment: rapid.SampledFrom([]int64{usual.segment, 1500}).Draw(t, "segment"),
			},
		}
		m.open(t)
		defer func() { _ = m.journal.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"claim": m.claim, "settle": m.settle, "drop": m.drop, "late": m.late, "reopen": m.reopen, "crash": m.crash,
			"": func(t *rapid.T) { m.check(t, false) },
		})
	})
}
