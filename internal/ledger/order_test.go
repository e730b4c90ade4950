package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// past is what happened to one row: attempts of several workers, and a person's decisions between them.
type past struct {
	events  []event
	journal map[int]*saying // the newest attempt of each worker
	want    ledger.Record
}

type event struct {
	attempt  *saying
	decision ledger.Decision
	expire   bool
}

type saying struct {
	worker  int
	fence   int
	tries   int
	outcome ledger.Outcome
	claim   ledger.Claim
}

// drawPast makes a row's past up. Every attempt but the last leaves the row open in the end.
func drawPast(t *rapid.T) *past {
	p := &past{journal: make(map[int]*saying)}
	ends := map[string]ledger.Outcome{
		"unsent": {State: ledger.Waiting, Code: "no_connection", Class: "unsent"},
		"later":  {State: ledger.Waiting, Code: "429", Class: "not_now", Tried: true},
		"broke":  {State: ledger.Queued, Code: "5", Class: "broke"},
		"doubt":  {State: ledger.InDoubt, Code: "timeout", Class: "unknown", Tried: true},
		"lost":   {}, // its worker fell silent; it is still under way for all it knows
		"failed": {State: ledger.Failed, Code: "1002", Class: "rejected", Tried: true},
		"sent":   {State: ledger.Accepted, MessageID: "m"},
		"begun":  {},
	}
	tries, n := 0, rapid.IntRange(1, 4).Draw(t, "attempts")
	for fence := 1; fence <= n; fence++ {
		kinds := []string{"unsent", "later", "broke", "doubt", "lost", "failed"}
		if fence == n {
			kinds = append(kinds, "sent", "begun")
		}
		kind := rapid.SampledFrom(kinds).Draw(t, "end")
		s := &saying{worker: rapid.IntRange(0, 2).Draw(t, "worker"), fence: fence, tries: tries, outcome: ends[kind]}
		p.journal[s.worker] = s
		p.events = append(p.events, event{attempt: s})
		if s.outcome.Tried {
			tries++
		}
		p.want = ledger.Record{State: s.outcome.State, Code: s.outcome.Code, Fence: fence, Tries: tries}
		p.want.MessageID = s.outcome.MessageID
		switch kind {
		case "begun":
			p.want.State = ledger.Sending
		case "lost":
			p.want.State = ledger.Sending
			p.events = append(p.events, event{expire: true})
		}
		if fence == n {
			break
		}
		switch kind {
		case "doubt", "lost":
			p.events = append(p.events, event{decision: ledger.SendAgain})
		case "failed":
			p.events = append(p.events, event{decision: ledger.TryAgain})
			tries = 0
		}
	}
	return p
}

// play lets the ledger see the beginning of a past; the rest is what Redis has forgotten.
func (p *past) play(t *rapid.T, l *ledger.Ledger, id string, kept int) {
	fence := 0
	for i, e := range p.events {
		switch {
		case e.attempt != nil:
			fence = e.attempt.fence
			e.attempt.claim = ledger.NewClaim(id, 2, fmt.Sprintf("j0000%d", e.attempt.worker))
			e.attempt.claim.Fence, e.attempt.claim.Tries = fence, e.attempt.tries
			e.attempt.claim.Deadline = time.Now().Add(time.Hour)
			if i >= kept {
				continue
			}
			ttl := time.Hour
			if i+1 < len(p.events) && p.events[i+1].expire {
				ttl = 0
			}
			c, err := l.Claim(ctx, e.attempt.claim, "CO", ttl)
			if err != nil || c.Verdict != ledger.Go || c.Fence != fence || c.Tries != e.attempt.tries {
				t.Fatalf("claim %d: %+v %v", fence, c, err)
			}
			if e.attempt.outcome.State != "" && i+1 <= kept {
				if err := settle(l, c, e.attempt.outcome); err != nil {
					t.Fatal(err)
				}
			}
		case i >= kept:
		case e.expire:
			if ok, err := l.Expire(ctx, id, 2); err != nil || !ok {
				t.Fatalf("expire: %v %v", ok, err)
			}
			if i == len(p.events)-1 {
				p.want.State, p.want.Code = ledger.InDoubt, "worker_lost"
			}
		default:
			if err := l.Decide(ctx, id, 2, fence, e.decision, "ana", true); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestTheOrderInWhichItIsSaidAgainDoesNotMatter: Redis kept any beginning of what happened to a row, the workers say again
// what they did last in any order, several times, and late settles come in between. The row ends as it was.
func TestTheOrderInWhichItIsSaidAgainDoesNotMatter(t *testing.T) {
	t.Parallel()
	rdb := redistest.Client(t, miniredis.RunT(t).Addr())
	l := newLedger(t, rdb)
	rapid.Check(t, func(t *rapid.T) {
		id := fmt.Sprintf("o%d", modelID.Add(1))
		if _, err := load(l, definition(id, 1), file(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Commit(ctx, definition(id, 1)); err != nil {
			t.Fatal(err)
		}
		if err := l.OpenUntil(ctx, id, map[string]time.Time{"CO": time.Now().Add(farAway)}); err != nil {
			t.Fatal(err)
		}
		p := drawPast(t)
		p.play(t, l, id, rapid.IntRange(0, len(p.events)).Draw(t, "kept"))
		if err := rdb.HSet(ctx, "pregon:{"+id+"}:control", "epoch", "before").Err(); err != nil {
			t.Fatal(err)
		}
		var said []*saying
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			for worker := range 3 {
				if s := p.journal[worker]; s != nil {
					said = append(said, s)
				}
			}
		}
		for _, s := range rapid.Permutation(said).Draw(t, "order") {
			if s.outcome.State != "" && rapid.Bool().Draw(t, "settle") {
				if err := settle(l, s.claim, s.outcome); err != nil && !errors.Is(err, ledger.ErrFenced) {
					t.Fatal(err)
				}
			} else if _, err := l.Reassert(ctx, s.claim, s.outcome, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		e, _, err := l.Entry(ctx, id, 2)
		if err != nil || e.State != p.want.State || e.Code != p.want.Code || e.Fence != p.want.Fence ||
			e.Tries != p.want.Tries || e.MessageID != p.want.MessageID {
			t.Fatalf("row: %+v %v, want %+v", e.Record, err, p.want)
		}
		s, err := l.Status(ctx, id)
		if err != nil || s.Counts[p.want.State] != 1 || s.Counts.Total() != 3 {
			t.Fatalf("counts: %v %v", s.Counts, err)
		}
	})
}

// The proof that a message was sent and a person's decision about it cross on their way.
func TestTheProofAndTheDecisionMayCross(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, d := range []ledger.Decision{ledger.CountAsSent, ledger.SendAgain} {
			for _, proofFirst := range []bool{true, false} {
				id := fmt.Sprintf("%s%v", d, proofFirst)
				launch(t, l, id, 1)
				c := attempted(t, l, id, []ledger.Outcome{{State: ledger.InDoubt, Code: "timeout", Class: "unknown"}})
				proof := func() {
					if err := settle(l, c, ledger.Outcome{State: ledger.Accepted, MessageID: "m"}); err != nil {
						t.Errorf("%s: proof: %v", id, err)
					}
				}
				if proofFirst {
					proof()
				}
				err := l.Decide(ctx, id, 2, c.Fence, d, "ana", false)
				if proofFirst != errors.Is(err, ledger.ErrMoved) || !proofFirst && err != nil {
					t.Errorf("%s: decide: %v", id, err)
				}
				proof()
				if e := entry(t, l, id, 2); e.State != ledger.Accepted || e.MessageID != "m" || e.Code != "" {
					t.Errorf("%s: row %+v", id, e.Record)
				}
				if next := claim(t, l, id, 2); next.Verdict != ledger.Done {
					t.Errorf("%s: claim %+v", id, next)
				}
			}
		}
	})
}
