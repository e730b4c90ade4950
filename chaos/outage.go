package main

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// resumeWithin is how soon messages must arrive again after a provider is back.
const resumeWithin = time.Minute

// runCut takes Redis away from one worker, by silence, and then from all of them, by resets, while many messages are
// under way. Their outcomes are kept until Redis is back.
func runCut(ctx context.Context, t *town) error {
	length := cmp.Or(t.outage, scale(t.options, time.Minute, 6*time.Second))
	rows := int(20 * (2*length + scale(t.options, 20*time.Second, 8*time.Second)).Seconds())
	err := t.open(ctx, place{rows: rows, workers: 3, rate: 20, answers: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	t.figures.allow(0)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		if err := t.arrived(ctx, 40); err != nil {
			return err
		}
		if err := t.cutOff(ctx, t.fleet.workers[:1], linkBlackhole, length); err != nil {
			return err
		}
		total, _ := t.sim.Total()
		if err := t.arrived(ctx, min(total+40, rows)); err != nil {
			return err
		}
		return t.cutOff(ctx, t.fleet.workers, linkCut, length)
	})
}

func (t *town) cutOff(ctx context.Context, workers []*worker, mode linkMode, length time.Duration) error {
	t.diary.note("cut off", "workers", len(workers), "mode", mode.String(), "ms", length.Milliseconds())
	for _, w := range workers {
		w.link.set(mode, 0)
	}
	err := pause(ctx, length)
	for _, w := range workers {
		w.link.set(linkPass, 0)
	}
	t.fault(true)
	t.diary.note("connected again")
	return err
}

// runHang freezes the provider: whatever is sent into it is in doubt, so the fleet must notice and stop.
func runHang(ctx context.Context, t *town) error {
	length := cmp.Or(t.outage, scale(t.options, 10*time.Minute, 12*time.Second))
	p := place{rows: scale(t.options, 2000, 300), workers: 3, rate: scale(t.options, 20, 25)}
	if err := t.open(ctx, p); err != nil {
		return err
	}
	t.figures.allow(concurrency*t.place.workers + 5)
	return t.send(ctx, func(ctx context.Context, _ *campaign) error {
		if err := t.arrived(ctx, t.place.rows/6); err != nil {
			return err
		}
		t.fault(true)
		t.front.freeze(true)
		err := pause(ctx, length)
		t.front.freeze(false)
		return errors.Join(err, t.resumes(ctx))
	})
}

// runDown makes the provider refuse connections: that nothing was sent is certain, so nothing may be in doubt or fail.
func runDown(ctx context.Context, t *town) error {
	length := cmp.Or(t.outage, scale(t.options, 10*time.Minute, 8*time.Second))
	if err := t.open(ctx, place{rows: scale(t.options, 600, 150), workers: 3, rate: 20}); err != nil {
		return err
	}
	t.front.parting()
	t.figures.allow(0)
	err := t.send(ctx, func(ctx context.Context, _ *campaign) error {
		if err := t.arrived(ctx, t.place.rows/6); err != nil {
			return err
		}
		t.fault(true)
		if err := t.front.refuse(ctx); err != nil {
			return err
		}
		err := pause(ctx, length)
		if err := errors.Join(err, t.front.open()); err != nil {
			return err
		}
		t.diary.note("provider listens again")
		return t.resumes(ctx)
	})
	if err != nil {
		return err
	}
	if s, _ := t.campaigns[0].last(); s.Counts["failed"] > 0 {
		t.figures.violate("%d rows failed, and no message was refused", s.Counts["failed"])
	}
	return nil
}

// resumes measures how long it takes, from now, until a message arrives again.
func (t *town) resumes(ctx context.Context) error {
	begin := t.diary.now()
	before, _ := t.sim.Total()
	if before >= t.place.rows {
		t.figures.note("nothing was left to be sent after the outage")
		return nil
	}
	if s, ok := t.campaigns[0].last(); ok && s.open() == 0 {
		t.figures.note("nothing was left to be sent after the outage")
		return nil
	}
	if err := t.arrived(ctx, before+1); err != nil {
		return err
	}
	took := t.diary.now() - begin
	t.figures.note("messages arrive again after %s", seconds(took))
	if took > resumeWithin {
		t.figures.violate("messages arrived again %s after the provider was back", seconds(took))
	}
	return nil
}

// steerWithin is how soon nothing may arrive any more after a pause or a cancel.
const steerWithin = 5 * time.Second

// runSteer pauses, resumes and cancels a campaign while one worker cannot reach Redis and so cannot be told.
func runSteer(ctx context.Context, t *town) error {
	if err := t.open(ctx, place{rows: scale(t.options, 1500, 600), workers: 3, rate: 60}); err != nil {
		return err
	}
	t.figures.allow(0)
	watched := scale(t.options, 10*time.Second, 3*time.Second)
	return t.send(ctx, func(ctx context.Context, c *campaign) error {
		for _, step := range []struct {
			arrived int
			verb    string
		}{{60, "pause"}, {150, "cancel"}} {
			if err := t.arrived(ctx, step.arrived); err != nil {
				return err
			}
			cutOff := t.fleet.workers[t.rng.IntN(len(t.fleet.workers))]
			cutOff.link.set(linkBlackhole, 0)
			t.fault(true)
			err := t.desk.do(ctx, step.verb, c.id)
			from := t.diary.now() + steerWithin
			if err := errors.Join(err, pause(ctx, steerWithin+watched)); err != nil {
				return err
			}
			c.quiet = append(c.quiet, stretch{from, t.diary.now(), "the campaign stood still after " + step.verb})
			cutOff.link.set(linkPass, 0)
			if step.verb == "pause" {
				if err := t.desk.do(ctx, "resume", c.id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
