package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"pregon/chaos/plain"
)

// plainPatience bounds how long the plain queue may take to close its tasks after the storm: it waits longer and longer
// between its tries, and gives back what a dead worker held after a minute or two.
const plainPatience = 10 * time.Minute

// runPlain puts the plain queue into the storm of runStorm with the same seed: the same blows, the same faults.
func runPlain(ctx context.Context, t *town) error {
	t.figures.baseline = true
	if err := t.open(ctx, stormPlace(t.options)); err != nil {
		return err
	}
	people := contacts(t.seed, 0, t.place.rows)
	path, _, err := t.campaignFile(people)
	if err != nil {
		return err
	}
	for _, w := range t.fleet.workers {
		w.program, w.args = t.tools.self, []string{plain.Worker}
		w.env = append(w.env, plain.RedisVar+"="+w.link.addr(), plain.ConcurrencyVar+"="+strconv.Itoa(concurrency),
			plain.RateVar+"="+strconv.FormatFloat(float64(t.place.rate)/float64(t.place.workers), 'f', 2, 64))
	}
	if err := t.enqueuePlain(ctx, path); err != nil {
		return err
	}
	if err := t.fleet.startAll(ctx); err != nil {
		return err
	}
	t.front.spoil(stormFaults())
	length, count := stormLength(t.options)
	if err := t.rage(ctx, forecast(t.rng, length, count, t.place.workers)); err != nil {
		return err
	}
	t.front.spoil(nil)
	left := t.drainPlain(ctx)
	t.comparePlain(people, left)
	return ctx.Err()
}

func (t *town) enqueuePlain(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, t.tools.self, plain.Launcher) //nolint:gosec // this very program
	cmd.Env = append(t.environ(""), plain.RedisVar+"="+t.store.addr(), plain.FileVar+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("enqueue tasks: %w\n%s", err, out)
	}
	t.diary.note("tasks enqueued", "file", filepath.Base(path))
	return nil
}

// drainPlain waits until the queue has nothing left to do, and returns how many tasks it gave up waiting for.
func (t *town) drainPlain(ctx context.Context) int64 {
	calm := t.diary.now()
	ctx, cancel := context.WithTimeout(ctx, scale(t.options, plainPatience, time.Minute))
	defer cancel()
	var left int64
	// Whether it became empty shows in what is returned.
	_ = until(ctx, sampleEvery, "the queue is empty", func() bool {
		pending, err := t.store.rdb.LLen(ctx, "asynq:{default}:pending").Result()
		active, activeErr := t.store.rdb.LLen(ctx, "asynq:{default}:active").Result()
		again, againErr := t.store.rdb.ZCard(ctx, "asynq:{default}:retry").Result()
		if errors.Join(err, activeErr, againErr) != nil {
			return false
		}
		left = pending + active + again
		return left == 0
	})
	t.figures.drain = t.diary.now() - calm
	return left
}

// comparePlain counts what the plain queue did to people, in the same way as for Pregón.
func (t *town) comparePlain(people []contact, left int64) {
	f := &t.figures
	f.rows = len(people)
	receipts := t.sim.Receipts()
	for _, c := range people {
		switch n := receipts.Phones[c.phone]; {
		case n > 1:
			f.duplicates++
		case n == 0:
			f.lost++
		}
	}
	f.note("plain asynq: %d recipients got more than one message (%d messages too many), %d none; %d tasks were left",
		f.duplicates, receipts.Duplicates, f.lost, left)
}
