package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// outcomes are what the provider does with the first rows of a campaign, told to the simulator by the phone's last
// digits; it accepts the others.
var outcomes = []struct {
	name, ending string
	ambiguous    bool
}{
	{"ok", "2002", false},       // accepted
	{"refused", "1002", false},  // a clear refusal: nothing arrives
	{"ambiguous", "0500", true}, // it arrives, and the answer is 500
}

// rowsPerCrash is how many rows each of these campaigns has, and rowsOfOutcome how many have its outcome. More rows in
// doubt would make the workers take the provider for broken, and wait: that is for another scenario.
const (
	rowsPerCrash  = 9
	rowsOfOutcome = 3
)

// runCrash kills a process at every named point, once per outcome: the launching command where it passes the point, and
// a worker otherwise. What each leaves behind is closed by the workers after it.
func runCrash(ctx context.Context, t *town) error {
	points, err := crashPoints(t.tools.source)
	if err != nil {
		return err
	}
	// An account for each campaign: what one of them does to its account must not stop the next.
	err = t.open(ctx, place{
		rows: rowsPerCrash, workers: 1, rate: 200, journals: true, accounts: len(points) * (len(outcomes) + 1),
	})
	if err != nil {
		return err
	}
	unreached, err := t.crashEverywhere(ctx, points)
	if err != nil {
		return err
	}
	t.figures.note("%d of %d points were reached", len(points)-len(unreached), len(points))
	if len(unreached) > 0 {
		t.figures.note("never reached: %s", strings.Join(unreached, " "))
	}
	if err := t.fleet.startAll(ctx); err != nil {
		return err
	}
	return t.drainAll(ctx)
}

// crashEverywhere runs a campaign into every point, and returns the points that nothing came by.
func (t *town) crashEverywhere(ctx context.Context, points []string) (unreached []string, err error) {
	for p, point := range points {
		hits := 0
		for i, o := range outcomes {
			if t.short && i != (p+int(t.seed))%len(outcomes) {
				continue // each outcome at some points
			}
			visit := 1 // which of the times that a process comes by
			if i > 0 && !t.short {
				visit += t.rng.IntN(rowsOfOutcome)
			}
			hit, err := t.crashAt(ctx, fmt.Sprintf("PREGON_CRASH=%s#%d", point, visit), o.ending, o.ambiguous)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", point, o.name, err)
			}
			t.fault(hit)
			if hit {
				hits++
			}
		}
		if hits == 0 && !t.short {
			hit, err := t.crashAfterTrouble(ctx, point)
			if err != nil {
				return nil, fmt.Errorf("%s, after trouble: %w", point, err)
			}
			t.fault(hit)
			if hit {
				hits++
			}
		}
		if hits == 0 {
			unreached = append(unreached, point)
		}
	}
	return unreached, nil
}

// account is the one of the next campaign.
func (t *town) account() string { return accountName(len(t.campaigns)) }

// crashPeople are the contacts of one of these campaigns; the outcome's ending is that of the first.
func crashPeople(campaign int, ending string) []contact {
	people := make([]contact, rowsPerCrash)
	for i := range people {
		if i == rowsOfOutcome {
			ending = outcomes[0].ending
		}
		block := (campaign*rowsPerCrash + i) % 10_000
		people[i] = contact{row: i + 2, phone: fmt.Sprintf("5731%04d%s", block, ending)}
	}
	return people
}

// crashAt runs one small campaign into a point and says whether anything died there.
func (t *town) crashAt(ctx context.Context, crash, ending string, ambiguous bool) (bool, error) {
	people := crashPeople(len(t.campaigns), ending)
	path, name, err := t.campaignFile(people)
	if err != nil {
		return false, err
	}
	c := &campaign{people: people}
	if ambiguous {
		c.unclear = rowsOfOutcome
	}
	args := launchArgs(path, name, "--account", t.account())
	a, err := t.desk.ask(ctx, []string{crash}, args...)
	if err != nil {
		return false, err
	}
	died := a.killed
	if died {
		if a, err = t.desk.ask(ctx, nil, args...); err != nil {
			return false, err
		}
	}
	if err := t.launched(a, c); err != nil || died {
		t.diary.note("crash", "at", crash, "of", "enqueue")
		return died, err
	}
	return t.crashWorker(ctx, c, crash)
}

// How long a worker may take to come by a point before the point counts as not reached: in a usual run, and after
// trouble, when what another worker left behind must run out first.
const (
	crashLook   = 4 * time.Second
	troubleLook = 25 * time.Second
)

// crashWorker lets a worker run into its crash point, if it comes by, and stops the one that follows it.
func (t *town) crashWorker(ctx context.Context, c *campaign, crash string) (bool, error) {
	w := t.fleet.workers[0]
	before := w.killCount()
	w.start(crash)
	look, cancel := context.WithTimeout(ctx, crashLook)
	defer cancel()
	// It is no error when it never comes by: that is what is to be found out.
	_ = until(look, 100*time.Millisecond, "the worker dies or the campaign is over", func() bool {
		if w.killCount() > before {
			return true
		}
		s, ok := t.desk.status(look, c.id)
		return ok && s.open() == 0
	})
	return t.crashed(ctx, w, before, crash)
}

// crashed stops the worker, since a point may lie on its way to the end, and says whether any died.
func (t *town) crashed(ctx context.Context, w *worker, before int, crash string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 80*time.Second)
	defer cancel()
	err := w.stop(ctx)
	hit := w.killCount() > before
	t.diary.note("crash", "at", crash, "of", "worker", "hit", hit)
	return hit, err
}

// crashAfterTrouble looks for points that a worker passes only when it cleans up: one is killed while the provider does
// not answer it, and Redis is restarted under the next, which has the crash point.
func (t *town) crashAfterTrouble(ctx context.Context, point string) (bool, error) {
	people := crashPeople(len(t.campaigns), outcomes[0].ending)
	path, name, err := t.campaignFile(people)
	if err != nil {
		return false, err
	}
	a, err := t.desk.ask(ctx, nil, launchArgs(path, name, "--account", t.account())...)
	if err == nil {
		err = t.launched(a, &campaign{people: people})
	}
	if err != nil {
		return false, err
	}
	w := t.fleet.workers[0]
	t.front.freeze(true)
	sent := t.front.tally().Sends
	w.start()
	look, cancel := context.WithTimeout(ctx, crashLook)
	defer cancel()
	_ = until(look, 10*time.Millisecond, "something is under way", func() bool { return t.front.tally().Sends > sent })
	w.kill()
	if err := until(ctx, time.Millisecond, "it is dead", func() bool { return !w.running() }); err != nil {
		return false, err
	}
	t.front.freeze(false)
	before := w.killCount()
	crash := "PREGON_CRASH=" + point
	w.start(crash)
	if err := w.ready(ctx); err != nil {
		return false, err
	}
	if err := t.store.restart(ctx, 0); err != nil {
		return false, err
	}
	look, cancel = context.WithTimeout(ctx, troubleLook)
	defer cancel()
	_ = until(look, 100*time.Millisecond, "the worker dies", func() bool { return w.killCount() > before })
	return t.crashed(ctx, w, before, crash)
}
