package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// mostRepeats bounds how often one launch is killed at one point before it must have got through.
const mostRepeats = 60

// runLaunch kills launches. First, small campaigns at every point that a launch passes, every time it passes it; they
// are sent in the end. Then a large one, scheduled for later, at those points and wherever its pages happen to be. The
// same command must finish each of them.
func runLaunch(ctx context.Context, t *town) error {
	if err := t.open(ctx, place{rows: scale(t.options, 100_000, 20_000), workers: 2, rate: 500}); err != nil {
		return err
	}
	points, err := crashPoints(t.tools.source)
	if err != nil {
		return err
	}
	var reached []string
	for _, point := range append([]string{"none"}, points...) {
		kills, err := t.launchKilledAt(ctx, point, scale(t.options, 600, 60))
		if err != nil {
			return err
		}
		if kills > 0 {
			reached = append(reached, point)
		}
	}
	t.figures.note("a launch passes %d of %d points: %s", len(reached), len(points), strings.Join(reached, " "))
	if err := t.launchLarge(ctx, reached); err != nil {
		return err
	}
	if err := t.fleet.startAll(ctx); err != nil {
		return err
	}
	return t.drainAll(ctx)
}

// launchKilledAt launches a small campaign that is killed at a point each time it comes by, and returns how often.
func (t *town) launchKilledAt(ctx context.Context, point string, rows int) (kills int, err error) {
	people := contacts(t.seed, len(t.campaigns), rows)
	path, name, err := t.campaignFile(people)
	if err != nil {
		return 0, err
	}
	for ; kills < mostRepeats; kills++ {
		crash := fmt.Sprintf("PREGON_CRASH=%s#%d", point, kills+1)
		a, err := t.desk.ask(ctx, []string{crash}, launchArgs(path, name)...)
		if err != nil {
			return kills, err
		}
		if a.killed {
			t.diary.note("launch killed", "at", crash)
			t.fault(true)
			continue
		}
		return kills, t.launched(a, &campaign{people: people})
	}
	return kills, fmt.Errorf("a launch does not get past %s", point)
}

// launched takes note of the campaign that a launch made.
func (t *town) launched(a answer, c *campaign) error {
	if !a.ok() {
		return fmt.Errorf("enqueue run: status %d: %s", a.code, a.err)
	}
	var err error
	if c.id, err = campaignOf(a); err != nil {
		return err
	}
	t.campaigns = append(t.campaigns, c)
	t.diary.note("launched", "campaign", c.id)
	return nil
}

// launchLarge kills a large launch at the points it passes, then each time more of its pages are stored, until it gets
// through.
func (t *town) launchLarge(ctx context.Context, points []string) error {
	people := contacts(t.seed, len(t.campaigns), t.place.rows)
	path, name, err := t.campaignFile(people)
	if err != nil {
		return err
	}
	args := launchArgs(path, name, "--at", time.Now().Add(30*24*time.Hour).Format(time.RFC3339))
	large := &campaign{people: people, scheduled: true}
	const pageRows, pagesPerTrip = 256, 16
	trips := len(people) / pageRows / pagesPerTrip
	empty, err := t.store.rdb.DBSize(ctx).Result()
	if err != nil {
		return err
	}
	for trip := range trips {
		killed, err := t.killAtPages(ctx, args, empty+int64(trip*pagesPerTrip)+1+t.rng.Int64N(pagesPerTrip))
		if err != nil {
			return err
		}
		t.fault(killed)
	}
	for _, point := range points {
		crash := fmt.Sprintf("PREGON_CRASH=%s#%d", point, 1+t.rng.IntN(3))
		a, err := t.desk.ask(ctx, []string{crash}, args...)
		if err != nil {
			return err
		}
		t.diary.note("large launch", "at", crash, "killed", a.killed)
		t.fault(a.killed)
	}
	a, err := t.desk.ask(ctx, nil, args...)
	if err != nil {
		return err
	}
	return t.launched(a, large)
}

// killAtPages launches and kills it with SIGKILL as soon as Redis holds so many keys, unless it is quicker.
func (t *town) killAtPages(ctx context.Context, args []string, keys int64) (bool, error) {
	cmd := exec.CommandContext(ctx, t.desk.program, args...) //nolint:gosec // what was just built
	cmd.Env = t.desk.env
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its status is read below
		close(ended)
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if n, err := t.store.rdb.DBSize(ctx).Result(); err != nil || n >= keys {
			_ = cmd.Process.Kill() // it may have ended this moment
			<-ended
			t.diary.note("launch killed", "keys", n, "how", cmd.ProcessState.String())
			return !cmd.ProcessState.Exited(), err
		}
		select {
		case <-ended:
			t.diary.note("launch was quicker", "how", cmd.ProcessState.String())
			return false, nil
		case <-tick.C:
		}
	}
}

// drainAll waits until no campaign has open rows, but for those whose time does not come.
func (t *town) drainAll(ctx context.Context) error {
	calm := t.diary.now()
	ctx, cancel := context.WithTimeout(ctx, t.patience())
	defer cancel()
	var open *campaign
	err := until(ctx, sampleEvery, "no campaign has open rows", func() bool {
		for _, c := range t.campaigns {
			if c.scheduled {
				continue
			}
			s, ok := t.desk.status(ctx, c.id)
			if ok {
				c.samples = append(c.samples, sample{t.diary.now(), s})
			}
			if !ok || s.open() > 0 {
				open = c
				return false
			}
		}
		return true
	})
	if err != nil && open != nil {
		return errors.Join(err, fmt.Errorf("campaign %s is open", open.id))
	}
	t.figures.drain = t.diary.now() - calm
	return err
}
