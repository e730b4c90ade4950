package main

import (
	"context"
	"errors"
	"time"
)

// runOOM takes Redis's memory away: no claim can be recorded, so nothing may be sent.
func runOOM(ctx context.Context, t *town) error {
	times, length := scale(t.options, 3, 1), scale(t.options, 20*time.Second, 5*time.Second)
	if err := t.open(ctx, place{rows: scale(t.options, 2000, 400), workers: 3, rate: 60}); err != nil {
		return err
	}
	t.figures.allow(0)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		for n := range times {
			if err := t.arrived(ctx, (n+1)*t.place.rows/(times+2)); err != nil {
				return err
			}
			t.fault(true)
			err := t.store.fill(ctx, 1)
			err = errors.Join(err, pause(ctx, length), t.store.fill(ctx, 0))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runDisk takes Redis's disk away, twice. With appendfsync always Redis ends itself, as it promises nothing that it
// cannot keep; with everysec it refuses writes until there is room again.
func runDisk(ctx context.Context, t *town) error {
	length := scale(t.options, 20*time.Second, 4*time.Second)
	if err := t.open(ctx, place{rows: scale(t.options, 2000, 400), workers: 3, rate: 60}); err != nil {
		return err
	}
	t.figures.allow(0)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		if err := t.arrived(ctx, t.place.rows/4); err != nil {
			return err
		}
		if err := t.fullDiskEndsRedis(ctx, length); err != nil {
			return err
		}
		if err := t.arrived(ctx, t.place.rows/2); err != nil {
			return err
		}
		if err := t.store.rdb.ConfigSet(ctx, "appendfsync", "everysec").Err(); err != nil {
			return err
		}
		t.fault(true)
		err := t.store.limitFiles(spareBytes)
		return errors.Join(err, pause(ctx, length), t.store.limitFiles(-1))
	})
}

// spareBytes is what the disk still takes: a few writes, and the beginning of one.
const spareBytes = 5000

func (t *town) fullDiskEndsRedis(ctx context.Context, length time.Duration) error {
	t.fault(true)
	if err := t.store.limitFiles(spareBytes); err != nil {
		return err
	}
	select {
	case <-t.store.gone():
		t.diary.note("redis ended by itself")
	case <-time.After(redisPatience):
		return errors.New("redis goes on although it cannot write")
	case <-ctx.Done():
		return ctx.Err()
	}
	return t.store.restart(ctx, length)
}

// runSkew lets two of three workers live five minutes in the past and in the future, and kills some, so that the
// queue's leases, which go by the workers' clocks, are given back too early and too late.
func runSkew(ctx context.Context, t *town) error {
	if t.tools.skewed == "" {
		return errNoSkew
	}
	kills := scale(t.options, 6, 2)
	err := t.open(ctx, place{
		rows: scale(t.options, 3000, 400), workers: 3, rate: scale(t.options, 50, 40), skews: []int{-300, 0, 300},
	})
	if err != nil {
		return err
	}
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		for n := range kills {
			if err := t.arrived(ctx, (n+1)*t.place.rows/(kills+2)); err != nil {
				return err
			}
			if w := t.somebody(n % t.place.workers); w != nil {
				t.fault(w.kill())
			}
		}
		return nil
	})
}
