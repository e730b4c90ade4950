package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// blow is one thing that a storm does, and when.
type blow struct {
	at      time.Duration
	kind    string
	worker  int           // the one it is meant for; the next that runs takes its place
	lasting time.Duration // of what does not end at once
}

// blows are the kinds of a storm with their shares: what a long night of deployments, full machines and restarts does.
var blows = []struct {
	kind  string
	share int
	most  time.Duration // how long it lasts at most
}{
	{"kill", 42, 0}, {"term", 18, 0}, {"stop", 22, 7 * time.Second}, {"redis", 9, time.Second},
	{"cut", 5, 3 * time.Second}, {"pause", 2, 2 * time.Second}, {"scripts", 2, 0},
}

// forecast draws a storm: so many blows over a time, spread evenly but for a random part.
func forecast(rng *rand.Rand, length time.Duration, count, workers int) []blow {
	storm := make([]blow, count)
	for i := range storm {
		at := (float64(i) + rng.Float64()) / float64(count) * float64(length)
		storm[i] = blow{at: time.Duration(at), worker: rng.IntN(workers)}
		pick := rng.IntN(100)
		for _, b := range blows {
			if pick < b.share {
				storm[i].kind = b.kind
				storm[i].lasting = time.Duration((0.1 + 0.9*rng.Float64()) * float64(b.most))
				break
			}
			pick -= b.share
		}
	}
	return storm
}

// rage carries a storm out. What lasts goes on beside what comes next, except that there is one Redis.
func (t *town) rage(ctx context.Context, storm []blow) error {
	var lasting sync.WaitGroup
	defer lasting.Wait()
	begin := t.diary.now()
	kinds := make(map[string]int)
	for _, b := range storm {
		if err := pause(ctx, b.at-(t.diary.now()-begin)); err != nil {
			return err
		}
		hit, err := t.strike(ctx, b, &lasting)
		if err != nil {
			return fmt.Errorf("%s: %w", b.kind, err)
		}
		t.fault(hit)
		if hit {
			kinds[b.kind]++
		}
	}
	t.diary.note("storm over", "blows", kinds)
	return nil
}

// strike does one blow and says whether it hit anything.
func (t *town) strike(ctx context.Context, b blow, lasting *sync.WaitGroup) (bool, error) {
	w := t.somebody(b.worker)
	switch b.kind {
	case "redis":
		return true, t.store.restart(ctx, b.lasting)
	case "pause":
		return true, t.store.hang(ctx, b.lasting)
	case "scripts":
		return true, t.store.flushScripts(ctx)
	}
	if w == nil {
		return false, nil
	}
	switch b.kind {
	case "kill":
		return w.kill(), nil
	case "term":
		return w.term(), nil
	case "stop":
		lasting.Go(func() { _ = w.freeze(ctx, b.lasting) }) // it ends early only with the whole run
	case "cut":
		t.diary.note("link cut", "worker", w.number, "ms", b.lasting.Milliseconds())
		lasting.Go(func() {
			w.link.set(linkCut, 0)
			_ = pause(ctx, b.lasting)
			w.link.set(linkPass, 0)
		})
	}
	return true, nil
}

// somebody is the worker with this index, or the next that runs.
func (t *town) somebody(index int) *worker {
	workers := t.fleet.workers
	for i := range workers {
		if w := workers[(index+i)%len(workers)]; w.running() {
			return w
		}
	}
	return nil
}

// stormPlace is where the storm rages, for Pregón and for the plain queue alike.
func stormPlace(o options) place {
	return place{rows: scale(o, 5000, 700), workers: 3, rate: 100, journals: true}
}

func stormLength(o options) (length time.Duration, count int) {
	return scale(o, 90*time.Second, 12*time.Second), scale(o, 95, 14)
}

func runStorm(ctx context.Context, t *town) error {
	if err := t.open(ctx, stormPlace(t.options)); err != nil {
		return err
	}
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		t.front.spoil(stormFaults())
		length, count := stormLength(t.options)
		return t.rage(ctx, forecast(t.rng, length, count, t.place.workers))
	})
}

// rollingPlace is where one part after another is restarted.
func rollingPlace(o options) place {
	return place{rows: scale(o, 3000, 500), workers: 3, rate: scale(o, 100, 80)}
}

// runTerms stops one worker after another as a deployment does: each ends what it began.
func runTerms(ctx context.Context, t *town) error {
	stops := scale(t.options, 26, 6)
	if err := t.open(ctx, rollingPlace(t.options)); err != nil {
		return err
	}
	t.figures.allow(0)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		for n := range stops {
			if err := t.arrived(ctx, (n+1)*t.place.rows/(stops+2)); err != nil {
				return err
			}
			w := t.fleet.workers[n%len(t.fleet.workers)]
			if err := w.ready(ctx); err != nil {
				return err
			}
			t.fault(w.term())
		}
		return nil
	})
}

// runRedis kills Redis again and again. With appendfsync always it forgets nothing.
func runRedis(ctx context.Context, t *town) error {
	kills := scale(t.options, 14, 4)
	if err := t.open(ctx, rollingPlace(t.options)); err != nil {
		return err
	}
	t.figures.allow(0)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		for n := range kills {
			if err := t.arrived(ctx, (n+1)*t.place.rows/(kills+2)); err != nil {
				return err
			}
			away := 100*time.Millisecond + time.Duration(t.rng.Int64N(int64(time.Second)))
			if err := t.store.restart(ctx, away); err != nil {
				return err
			}
			t.fault(true)
		}
		return nil
	})
}

func runRollback(ctx context.Context, t *town) error { return t.rollBack(ctx, false, false) }

func runAmnesia(ctx context.Context, t *town) error { return t.rollBack(ctx, true, false) }

func runTorn(ctx context.Context, t *town) error { return t.rollBack(ctx, false, true) }

// rollBack makes Redis forget the newest part of its file several times, as a replica does that takes over. With
// amnesia workers die at the same instants, and with them all that they knew except their journals. Torn cuts go
// through a script's writes: Redis 7.0 keeps the first half of such a transaction in its file, and carries it out at
// the start after the next.
func (t *town) rollBack(ctx context.Context, amnesia, torn bool) error {
	times, size := scale(t.options, 4, 2), scale(t.options, 100<<10, 40<<10)
	err := t.open(ctx, place{rows: scale(t.options, 3000, 700), workers: 3, rate: 100, journals: amnesia})
	if err != nil {
		return err
	}
	// What was under way at the instant that was forgotten may be in doubt; nothing else.
	t.figures.excuse(times * t.place.workers * concurrency)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		for n := range times {
			if err := t.arrived(ctx, (n+1)*t.place.rows/(times+2)); err != nil {
				return err
			}
			t.store.kill()
			if amnesia {
				t.fault(t.fleet.workers[t.rng.IntN(len(t.fleet.workers))].kill())
			}
			if err := t.store.forget(size, torn); err != nil {
				return err
			}
			if err := pause(ctx, time.Duration(t.rng.Int64N(int64(time.Second)))); err != nil {
				return err
			}
			if err := t.store.start(ctx); err != nil {
				return err
			}
			t.fault(true)
		}
		return nil
	})
}
