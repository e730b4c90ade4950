package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// sample is one turn of one contender: how much it did, and what that took.
type sample struct {
	done  int
	took  time.Duration
	cpu   time.Duration // of this process, all threads
	redis time.Duration // CPU time of redis-server
}

func (s sample) perSecond() float64 { return float64(s.done) / s.took.Seconds() }

// plus joins two stretches of the same work.
func (s sample) plus(next sample) sample {
	return sample{done: next.done, took: s.took + next.took, cpu: s.cpu + next.cpu, redis: s.redis + next.redis}
}

// contender is one way of doing the work. One call of run is one turn: it sets itself up, does the work between
// readings of the clocks, and returns an error unless everything was really done. It returns a sample for each part of
// the contest, or for the first ones only when the others do not apply to it.
type contender struct {
	name string
	run  func(context.Context) ([]sample, error)
}

// part is what a contest measures of each turn: mostly one thing, sometimes two.
type part struct{ title, unit string }

// contest is the same work done by several contenders. The first is the one the others are compared with.
type contest struct {
	parts      []part
	contenders []contender
}

// outcome holds the samples of one part of a contest: one list per contender, one entry per round.
type outcome struct {
	part
	names   []string
	samples [][]sample
}

// hold gives every contender one turn in each round. A machine drifts, so only turns of the same round are compared;
// and whoever comes first in one round comes later in the next, so that none always profits from a warm or a quiet
// moment. One turn of each, before the first round, is thrown away.
func (c contest) hold(ctx context.Context, rounds int, log io.Writer) ([]outcome, error) {
	outcomes := make([]outcome, len(c.parts))
	for k, p := range c.parts {
		outcomes[k] = outcome{part: p, samples: make([][]sample, len(c.contenders))}
		for _, x := range c.contenders {
			outcomes[k].names = append(outcomes[k].names, x.name)
		}
	}
	for round := range rounds + 1 {
		for turn := range c.contenders {
			i := (round + turn) % len(c.contenders)
			runtime.GC() // the garbage of one is not the next one's burden
			samples, err := c.contenders[i].run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.contenders[i].name, err)
			}
			if round == 0 {
				continue
			}
			for k, s := range samples {
				outcomes[k].samples[i] = append(outcomes[k].samples[i], s)
				fmt.Fprintf(log, "round %d of %d: %s: %s: %.0f %s/s\n", round, rounds, c.parts[k].title,
					c.contenders[i].name, s.perSecond(), c.parts[k].unit)
			}
		}
	}
	return outcomes, nil
}

// spread is the middle and the ends of several measurements.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf sorts a copy. The median of an even number is the mean of the middle two.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (middle + v[len(v)/2-1]) / 2
	}
	return spread{Median: middle, Min: v[0], Max: v[len(v)-1]}
}

// speeds are the speeds of one contender.
func (o outcome) speeds(i int) spread {
	return o.over(i, func(s sample) float64 { return s.perSecond() })
}

// ratios say how many times as fast the first contender was as contender i, round by round.
func (o outcome) ratios(i int) spread {
	var ratios []float64
	for round, s := range o.samples[i] {
		ratios = append(ratios, o.samples[0][round].perSecond()/s.perSecond())
	}
	return spreadOf(ratios)
}

// cpuPerUnit is microseconds of CPU time per unit of work, of this process and of Redis.
func (o outcome) cpuPerUnit(i int) (own, redis spread) {
	each := func(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(n) }
	return o.over(i, func(s sample) float64 { return each(s.cpu, s.done) }),
		o.over(i, func(s sample) float64 { return each(s.redis, s.done) })
}

func (o outcome) over(i int, f func(sample) float64) spread {
	var values []float64
	for _, s := range o.samples[i] {
		values = append(values, f(s))
	}
	return spreadOf(values)
}

// stopwatch measures a turn.
type stopwatch struct {
	stand *stand
	start time.Time
	cpu   time.Duration
	redis time.Duration
}

// start reads Redis first and the time last, so that reading is not measured.
func (s *stand) start(ctx context.Context) (*stopwatch, error) {
	redis, err := s.redisCPU(ctx)
	if err != nil {
		return nil, err
	}
	return &stopwatch{stand: s, redis: redis, cpu: ownCPU(), start: time.Now()}, nil
}

// stop reads in the other order.
func (w *stopwatch) stop(ctx context.Context, done int) (sample, error) {
	took, cpu := time.Since(w.start), ownCPU()-w.cpu
	redis, err := w.stand.redisCPU(ctx)
	if err != nil {
		return sample{}, err
	}
	return sample{done: done, took: took, cpu: cpu, redis: redis - w.redis}, nil
}

// ownCPU is the CPU time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
