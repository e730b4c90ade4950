package ledger_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"pregon/internal/ledger"
)

// world is a campaign in a Redis that forgets, its workers, and an observer who counts what really arrived.
type world struct {
	rdb redis.UniversalClient
	l   *ledger.Ledger
	id  string
	run string

	hands []*hand
	kept  map[string]string // what Redis falls back to: every key of the campaign, as DUMP gives it
	loss  int

	closed   bool          // Redis forgot, and nobody was told yet that rows may be claimed again
	passed   time.Duration // since the barrier began
	answered bool          // a person opened it

	arrived  map[int]int // messages that arrived, or may have
	orders   map[int]int // second messages that a person wanted
	forgiven map[int]int // messages that nobody remembered when the barrier opened, as is said in beat.lua
}

// hand is a worker: what it remembers, and what it is about.
type hand struct {
	name     string
	journal  map[int]*attempt // the newest attempt at each row
	tickets  []ledger.Claim   // claims whose answer was lost
	releases []ledger.Claim   // claims to be given back
	said     string
	asserted bool // it has said to this run of Redis what it did
	open     bool // its last beat said that rows may be claimed
	stopped  bool
	gone     bool // dead, or left
	left     bool
	known    bool // Redis knows that it left
	kept     bool // and will not forget it
	lost     bool // silent for so long that nobody waits for it any more
	expected bool // Redis remembers that it was at work when it forgot the rest
}

type attempt struct {
	claim      ledger.Claim
	outcome    ledger.Outcome
	settledAt  time.Time
	sent, told bool
	forgiven   bool
}

func (a *attempt) open() bool   { return a.outcome.State == "" }
func (a *attempt) unsent() bool { return a.open() && !a.sent }
func (a *attempt) untold() bool { return !a.open() && !a.told }

// harmful says that another message of the row would be one too many.
func (a *attempt) harmful() bool {
	return a.open() || a.outcome.State == ledger.Accepted || a.outcome.State == ledger.InDoubt
}

func (h *hand) rows() []int {
	rows := make([]int, 0, len(h.journal))
	for row := range h.journal {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}

func (h *hand) pick(is func(*attempt) bool) *attempt {
	for _, row := range h.rows() {
		if is(h.journal[row]) {
			return h.journal[row]
		}
	}
	return nil
}

const worldRows = 3

func newWorld(t *rapid.T, rdb redis.UniversalClient, l *ledger.Ledger, run string) *world {
	if err := rdb.FlushDB(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	w := &world{
		rdb: rdb, l: l, run: run, id: fmt.Sprintf("w%d", modelID.Add(1)),
		arrived: make(map[int]int), orders: make(map[int]int), forgiven: make(map[int]int),
	}
	if _, err := load(l, definition(w.id, worldRows), file(worldRows)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Commit(ctx, definition(w.id, worldRows)); err != nil {
		t.Fatal(err)
	}
	if err := l.OpenUntil(ctx, w.id, map[string]time.Time{"*": time.Now().Add(farAway)}); err != nil {
		t.Fatal(err)
	}
	for _, journal := range []bool{true, true, false} {
		w.beat(t, w.hire(journal), true)
	}
	w.snapshot(t)
	return w
}

func (w *world) key(part string) string { return "pregon:{" + w.id + "}:" + part }

func (w *world) row(t *rapid.T) int { return rapid.IntRange(2, 1+worldRows).Draw(t, "row") }

func (w *world) hire(journal bool) *hand {
	h := &hand{
		name:    ledger.WorkerName(fmt.Sprint("hand", len(w.hands)), journal),
		journal: make(map[int]*attempt),
	}
	w.hands = append(w.hands, h)
	return h
}

func (w *world) pickHand(t *rapid.T, is func(*hand) bool) *hand {
	var some []*hand
	for _, h := range w.hands {
		if is(h) {
			some = append(some, h)
		}
	}
	if len(some) == 0 {
		t.Skip("nobody")
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(t, "worker")]
}

// someone is a worker that is at work.
func (w *world) someone(t *rapid.T, is func(*hand) bool) *hand {
	return w.pickHand(t, func(h *hand) bool { return h.live() && is(h) })
}

func (h *hand) live() bool { return !h.stopped && !h.gone }

// beat is one pulse of a worker; saying again what it did may be cut short, and begins again with the next.
func (w *world) beat(t *rapid.T, h *hand, whole bool) {
	h.lost = false
	b, err := w.l.Beat(ctx, w.id, h.name, h.said)
	if err != nil {
		t.Fatal(err)
	}
	if b.Assert != "" {
		h.open = false
		rows := rapid.Permutation(h.rows()).Draw(t, "order")
		n := len(rows)
		if !whole {
			n = rapid.IntRange(0, n).Draw(t, "said")
		}
		for _, row := range rows[:n] {
			a := h.journal[row]
			changed, err := w.l.Reassert(ctx, a.claim, a.outcome, a.settledAt)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s says again row %d fence %d %s: %v", h.name, row, a.claim.Fence, a.outcome.State, changed)
		}
		if n < len(rows) {
			return
		}
		h.said, h.asserted = b.Assert, true
		if b, err = w.l.Beat(ctx, w.id, h.name, h.said); err != nil {
			t.Fatal(err)
		}
	}
	h.open = b.Open()
	t.Logf("%s beats: %+v", h.name, b)
	if h.open && w.closed {
		w.opened(t)
	}
}

// opened checks that the barrier opened rightly, and notes what nobody remembers.
func (w *world) opened(t *rapid.T) {
	w.closed = false
	t.Logf("the barrier opens")
	if w.passed < 2*time.Second && !w.answered {
		t.Fatalf("the barrier opened after %v", w.passed)
	}
	for _, h := range w.hands {
		said := h.asserted
		if h.expected && !said && !h.lost && !w.answered {
			t.Fatalf("the barrier opened without %+v", h)
		}
		for _, row := range h.rows() {
			a := h.journal[row]
			if a.forgiven || !a.harmful() || w.knows(t, a.claim) {
				continue
			}
			if said {
				t.Fatalf("%s said what it did, and row %d is forgotten: %+v", h.name, row, a)
			}
			if h.known {
				t.Fatalf("%s left with everything recorded, and row %d is forgotten: %+v", h.name, row, a)
			}
			a.forgiven = true
			w.forgiven[row]++
		}
	}
}

// knows says whether the ledger knows of an attempt, or of a later one.
func (w *world) knows(t *rapid.T, c ledger.Claim) bool {
	text, err := w.rdb.HGet(ctx, w.key("rows:0"), strconv.Itoa(c.Row)).Result()
	if err != nil {
		return false
	}
	f := strings.Split(text, ":")
	fence, err := strconv.Atoi(f[1])
	if err != nil {
		t.Fatal(text, err)
	}
	open := strings.Contains("sqwd", f[0]) && !strings.HasPrefix(f[5], "decided_")
	return fence > c.Fence || fence == c.Fence && (!open || f[6] == c.Nonce)
}

// elapse lets time pass: who is at work beats meanwhile, and the others fall silent.
func (w *world) elapse(t *rapid.T) {
	w.pass(t, rapid.SampledFrom([]time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 31 * time.Second, time.Minute}).
		Draw(t, "time"))
}

func (w *world) pass(t *rapid.T, d time.Duration) {
	t.Logf("%v pass", d)
	live := make(map[string]bool)
	for _, h := range w.hands {
		if h.live() {
			live[h.name] = true
			w.beat(t, h, false)
		}
	}
	beats, err := w.rdb.ZRangeWithScores(ctx, w.key("workers"), 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range beats {
		if name, _ := z.Member.(string); !live[name] {
			z.Score -= float64(d.Milliseconds())
			if err := w.rdb.ZAdd(ctx, w.key("workers"), z).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if w.rdb.HExists(ctx, w.key("control"), "barrier_at").Val() {
		w.passed += d
		if err := w.rdb.HIncrBy(ctx, w.key("control"), "barrier_at", -d.Milliseconds()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range w.hands {
		silent := time.Now().UnixMilli() - int64(w.rdb.ZScore(ctx, w.key("workers"), h.name).Val())
		h.lost = h.lost || !h.live() && h.name[0] == 'w' && w.passed > 5*time.Second && silent > 30_000
	}
	for _, h := range w.hands {
		if h.live() {
			w.beat(t, h, false)
		}
	}
}

// snapshot is what Redis has safely written.
func (w *world) snapshot(t *rapid.T) {
	t.Logf("redis keeps")
	keys, err := w.rdb.Keys(ctx, w.key("*")).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range w.hands {
		h.kept = h.known
	}
	w.kept = make(map[string]string, len(keys))
	for _, key := range keys {
		if w.kept[key], err = w.rdb.Dump(ctx, key).Result(); err != nil {
			t.Fatal(err)
		}
	}
}

// forget is a restart of Redis that loses everything since the snapshot: another run, as the scripts see it.
func (w *world) forget(t *rapid.T) {
	keys, err := w.rdb.Keys(ctx, w.key("*")).Result()
	if err != nil {
		t.Fatal(err)
	}
	w.loss++
	t.Logf("redis forgets")
	_, err = w.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, keys...)
		for key, dump := range w.kept {
			p.RestoreReplace(ctx, key, 0, dump)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	control := w.key("control")
	w.rdb.HSet(ctx, control, "epoch", fmt.Sprintf("run%d", w.loss))
	under := w.rdb.HExists(ctx, control, "barrier").Val()
	if under {
		w.rdb.HSet(ctx, control, "barrier", fmt.Sprintf("run%d", w.loss))
	}
	w.closed, w.passed, w.answered = true, 0, false
	beats := w.rdb.ZRevRangeWithScores(ctx, w.key("workers"), 0, -1).Val()
	for _, h := range w.hands {
		h.known = h.kept
		h.said, h.asserted, h.lost, h.expected = "", false, false, under && w.rdb.SIsMember(ctx, w.key("expected"), h.name).Val()
		for _, z := range beats {
			if z.Member == h.name && beats[0].Score-z.Score <= 5000 {
				h.expected = true
			}
		}
	}
}

// check holds the counts against the rows.
func (w *world) check(t *rapid.T) {
	s, err := w.l.Status(ctx, w.id)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := w.l.Entries(ctx, w.id, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := make(ledger.Counts)
	for _, e := range entries {
		want[e.State]++
	}
	for _, state := range ledger.RowStates {
		if s.Counts[state] != want[state] {
			t.Fatalf("counts %v, rows %v", s.Counts, want)
		}
	}
}
