package ledger_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// TestNothingIsSentTwiceWhenRedisForgets runs random histories in which Redis loses its newest writes, again and again,
// while workers stop, die, come and go. It needs a real Redis: only that knows one of its runs from another.
func TestNothingIsSentTwiceWhenRedisForgets(t *testing.T) {
	t.Parallel()
	rdb := redistest.Client(t, redistest.Start(t, "--appendonly", "no"))
	l := newLedger(t, rdb)
	run, err := l.RunID(ctx)
	if err != nil || run == "" {
		t.Fatalf("run: %q %v", run, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rdb, l, run)
		t.Repeat(map[string]func(*rapid.T){
			"":         w.check,
			"claim":    w.claim,
			"claim2":   w.claim, // most of what happens
			"again":    w.claimAgain,
			"send":     w.send,
			"send2":    w.send,
			"answer":   w.answer,
			"answer2":  w.answer,
			"settle":   w.settle,
			"giveBack": w.giveBack,
			"release":  w.release,
			"beat":     w.beatOne,
			"elapse":   w.elapse,
			"expire":   w.expire,
			"decide":   w.decide,
			"resume":   w.resume,
			"snapshot": w.snapshot,
			"forget":   w.forget,
			"stop":     w.stop,
			"cont":     w.cont,
			"die":      w.die,
			"return":   w.comeBack,
			"join":     w.join,
			"leave":    w.leave,
		})
		w.end(t)
	})
}

func (w *world) claim(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return h.open })
	ttl := time.Hour
	if rapid.IntRange(0, 5).Draw(t, "overdue") == 0 {
		ttl = 0
	}
	ticket := ledger.NewClaim(w.id, w.row(t), h.name)
	c, err := w.l.Claim(ctx, ticket, "CO", ttl)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s claims row %d: %s %d", h.name, c.Row, c.Verdict, c.Fence)
	if c.Verdict != ledger.Go {
		return
	}
	if w.closed {
		t.Fatalf("%s got row %d before all have said what they did", h.name, c.Row)
	}
	if rapid.IntRange(0, 5).Draw(t, "lost answer") == 0 {
		h.tickets = append(h.tickets, ticket)
		return
	}
	h.journal[c.Row] = &attempt{claim: c}
}

// claimAgain asks again for what got no answer, or gives up and releases it.
func (w *world) claimAgain(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return len(h.tickets) > 0 })
	ticket := h.tickets[0]
	h.tickets = h.tickets[1:]
	if rapid.Bool().Draw(t, "give up") {
		h.releases = append(h.releases, ticket)
		return
	}
	c, err := w.l.Claim(ctx, ticket, "CO", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if c.Verdict == ledger.Go {
		h.journal[c.Row] = &attempt{claim: c}
	}
}

// send is the moment at which the message leaves, however long after the claim.
func (w *world) send(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return h.pick((*attempt).unsent) != nil })
	a := h.pick((*attempt).unsent)
	row := a.claim.Row
	if w.arrived[row] > w.orders[row]+w.forgiven[row] {
		t.Fatalf("%s sends row %d (%+v) although it was sent", h.name, row, a.claim)
	}
	t.Logf("%s sends row %d fence %d", h.name, row, a.claim.Fence)
	a.sent = true
	w.arrived[row]++ // as far as anybody knows
}

// answer is what the provider says; or the message provably never left.
func (w *world) answer(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return h.pick((*attempt).open) != nil })
	a := h.pick((*attempt).open)
	kinds := []ledger.Outcome{{State: ledger.Waiting, Code: "no_connection"}, {State: ledger.Queued, Code: "5"}}
	if a.sent {
		kinds = []ledger.Outcome{
			{State: ledger.Accepted, MessageID: "m-" + a.claim.Nonce},
			{State: ledger.Failed, Code: "1002"},
			{State: ledger.InDoubt, Code: "timeout", Class: "unknown"},
			{State: ledger.Waiting, Code: "429", Tried: true},
		}
	}
	a.outcome, a.settledAt = rapid.SampledFrom(kinds).Draw(t, "outcome"), time.Now()
	if a.sent && (a.outcome.State == ledger.Failed || a.outcome.State == ledger.Waiting) {
		w.arrived[a.claim.Row]--
	}
	if rapid.Bool().Draw(t, "at once") {
		w.tell(t, a)
	}
}

func (w *world) settle(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return h.pick((*attempt).untold) != nil })
	w.tell(t, h.pick((*attempt).untold))
}

func (w *world) tell(t *rapid.T, a *attempt) {
	err := settle(w.l, a.claim, a.outcome)
	if err != nil && !errors.Is(err, ledger.ErrFenced) {
		t.Fatal(err)
	}
	t.Logf("settle %.6s row %d fence %d %s: %v", a.claim.Nonce, a.claim.Row, a.claim.Fence, a.outcome.State, err)
	a.told = true
}

// giveBack is what a worker does with a claim that it did not use.
func (w *world) giveBack(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return h.pick((*attempt).unsent) != nil })
	a := h.pick((*attempt).unsent)
	delete(h.journal, a.claim.Row)
	h.releases = append(h.releases, a.claim)
}

func (w *world) release(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool { return len(h.releases) > 0 })
	ok, err := w.l.Release(ctx, h.releases[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s releases row %d fence %d: %v", h.name, h.releases[0].Row, h.releases[0].Fence, ok)
	h.releases = h.releases[1:]
}

func (w *world) beatOne(t *rapid.T) { w.beat(t, w.someone(t, func(*hand) bool { return true }), false) }

func (w *world) expire(t *rapid.T) {
	if _, err := w.l.Expire(ctx, w.id, w.row(t)); err != nil {
		t.Fatal(err)
	}
}

// decide is a person who decides about a row as they see it.
func (w *world) decide(t *rapid.T) {
	row := w.row(t)
	e, ok, err := w.l.Entry(ctx, w.id, row)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	d := ledger.TryAgain
	switch e.State {
	case ledger.InDoubt:
		d = rapid.SampledFrom([]ledger.Decision{ledger.SendAgain, ledger.CountAsSent}).Draw(t, "decision")
	case ledger.Failed:
	default:
		t.Skip("nothing to decide")
	}
	if err := w.l.Decide(ctx, w.id, row, e.Fence, d, "ana", true); err != nil {
		t.Fatal(err)
	}
	t.Logf("row %d fence %d is decided: %s", row, e.Fence, d)
	if d == ledger.SendAgain {
		w.orders[row]++
	}
}

// resume is a person who lets the campaign go on although a worker is missing.
func (w *world) resume(t *rapid.T) {
	if !w.closed || w.passed < time.Minute || rapid.IntRange(0, 3).Draw(t, "patience") > 0 {
		t.Skip("nobody asks a person")
	}
	w.askAPerson(t)
}

func (w *world) askAPerson(t *rapid.T) {
	for _, s := range []ledger.Steering{
		{Verb: ledger.Pause, Reason: "epoch"}, {Verb: ledger.Resume, Reason: "epoch", Person: true},
	} {
		if _, ok, err := w.l.Steer(ctx, w.id, s); err != nil || !ok {
			t.Fatalf("%+v: %v %v", s, ok, err)
		}
	}
	if run, err := w.rdb.HGet(ctx, w.key("control"), "epoch").Result(); err == nil && run == w.run {
		w.answered = true
		w.opened(t)
	}
}

func (w *world) stop(t *rapid.T) {
	h := w.someone(t, func(*hand) bool { return true })
	t.Logf("%s stops", h.name)
	h.stopped = true
}

func (w *world) cont(t *rapid.T) {
	h := w.pickHand(t, func(h *hand) bool { return h.stopped && !h.gone })
	t.Logf("%s goes on", h.name)
	h.stopped, h.open = false, false // what it last saw is old
}

func (w *world) die(t *rapid.T) {
	h := w.pickHand(t, func(h *hand) bool { return !h.gone })
	t.Logf("%s dies", h.name)
	h.gone, h.tickets, h.releases = true, nil, nil
}

// comeBack starts a worker again that keeps a journal; what was under way is in doubt, for nobody hears of it any more.
func (w *world) comeBack(t *rapid.T) {
	w.revive(t, w.pickHand(t, func(h *hand) bool { return h.gone && !h.left && h.name[0] == 'j' }))
}

func (w *world) revive(t *rapid.T, h *hand) {
	t.Logf("%s comes back", h.name)
	h.gone, h.stopped, h.open, h.said = false, false, false, ""
	for _, row := range h.rows() {
		if a := h.journal[row]; a.outcome.State == "" {
			if !a.sent {
				a.sent = true // for all it knows
				w.arrived[row]++
			}
			a.outcome = ledger.Outcome{State: ledger.InDoubt, Code: "worker_lost", Class: "unknown"}
			a.settledAt = time.Now()
			w.tell(t, a)
		}
	}
}

func (w *world) join(t *rapid.T) {
	if len(w.hands) > 5 {
		t.Skip("enough")
	}
	w.hire(rapid.Bool().Draw(t, "journal"))
}

// leave is a worker that lets go of the campaign after it has recorded all it did.
func (w *world) leave(t *rapid.T) {
	h := w.someone(t, func(h *hand) bool {
		return len(h.tickets) == 0 && len(h.releases) == 0 && h.pick((*attempt).open) == nil && h.pick((*attempt).untold) == nil
	})
	if errors.Is(w.l.Leave(ctx, w.id, h.name), ledger.ErrUnsaid) {
		w.beat(t, h, true)
	}
	if err := w.l.Leave(ctx, w.id, h.name); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s leaves", h.name)
	h.gone, h.left, h.known = true, true, true
}

// end lets everybody come back who can and finish what is under way.
func (w *world) end(t *rapid.T) {
	for _, h := range w.hands {
		switch {
		case h.gone && !h.left && h.name[0] == 'j':
			w.revive(t, h)
		case !h.gone:
			h.stopped = false
		}
		if h.gone {
			continue
		}
		w.beat(t, h, true)
		for a := h.pick((*attempt).untold); a != nil; a = h.pick((*attempt).untold) {
			w.tell(t, a)
		}
		for _, c := range append(h.releases, h.tickets...) {
			if _, err := w.l.Release(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		h.releases, h.tickets = nil, nil
	}
	w.check(t)
	for _, h := range w.hands {
		for _, row := range h.rows() {
			a := h.journal[row]
			if h.gone || a.outcome.State != ledger.Accepted || w.orders[row] > 0 {
				continue
			}
			if e, _, err := w.l.Entry(ctx, w.id, row); err != nil || e.State != ledger.Accepted {
				t.Fatalf("%s knows that row %d was accepted (%+v), and it reads %+v %v", h.name, row, a.claim, e.Record, err)
			}
		}
	}
	w.beat(t, w.hire(true), true)
	w.pass(t, time.Minute+time.Second)
	if w.closed { // a person answers for those who never come back
		w.askAPerson(t)
	}
	if w.closed {
		t.Fatal("the barrier stays closed")
	}
}
