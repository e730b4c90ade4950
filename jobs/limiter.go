package jobs

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

//go:embed limiter.lua
var reserveLua string

//go:embed slow.lua
var slowLua string

var (
	reserveScript = redis.NewScript(reserveLua)
	slowScript    = redis.NewScript(slowLua)
)

const (
	slotAhead = 250 * time.Millisecond // how far ahead of now a slot may be leased
	slotBlock = 50 * time.Millisecond  // how much of the rate is leased at once
	// slotStale is how late a slot may still be used. What was missed by more is dropped: catching up would put more than
	// the limit into the second after a stall. 250 ms gave 224 messages in one second at a limit of 200, 15 ms gave 204.
	slotStale = 20 * time.Millisecond
)

// Limiter shares one rate among all processes: time slots are leased from Redis in small blocks and kept by this
// process, which sends one message in each. A process that stalls or dies loses its slots; nobody ever sends
// outside one.
type Limiter struct {
	rdb   redis.UniversalClient
	key   string
	rate  float64
	burst int
	pace  *rate.Limiter // the second barrier: late slots of this process never bunch

	mu      sync.Mutex
	slots   []time.Time   // leased and not taken yet, ascending
	waiting int           // callers in Take, so that a block is no larger than what is wanted
	lease   chan struct{} // held by the one caller that asks Redis, and waits, for all
	back    chan struct{} // a slot was given back
}

// NewLimiter shares `perSecond` messages a second, of which up to burst may be back to back, among all processes
// that use the same name.
func NewLimiter(rdb redis.UniversalClient, name string, perSecond float64, burst int) *Limiter {
	burst = max(burst, 1)
	return &Limiter{
		rdb: rdb, key: "pregon:rate:" + name, rate: perSecond, burst: burst,
		pace: rate.NewLimiter(rate.Limit(perSecond), burst), lease: make(chan struct{}, 1),
		back: make(chan struct{}, 1),
	}
}

// Take leases the next slot, which may lie a little ahead: the caller prepares its message and then calls Pace.
func (l *Limiter) Take(ctx context.Context) (time.Time, error) {
	l.mu.Lock()
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	for {
		if slot, ok := l.next(); ok {
			return slot, nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case l.lease <- struct{}{}:
		}
		wait, err := l.fill(ctx)
		if err == nil && wait > 0 {
			err = l.rest(ctx, wait) // with the lease: the others would only ask the same
		}
		<-l.lease
		if err != nil {
			return time.Time{}, err
		}
	}
}

// rest waits until there may be a slot: its time has come, or somebody gave one back.
func (l *Limiter) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.back:
	case <-t.C:
	}
	return nil
}

// next takes a leased slot that is still good.
func (l *Limiter) next() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.slots) > 0 {
		slot := l.slots[0]
		l.slots = l.slots[1:]
		if time.Since(slot) <= slotStale {
			return slot, true
		}
	}
	return time.Time{}, false
}

// Return gives a slot back that was not used.
func (l *Limiter) Return(slot time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots = append([]time.Time{slot}, l.slots...)
	select {
	case l.back <- struct{}{}:
	default:
	}
}

// fill leases a block, unless another caller just did. It returns how long to wait when every slot near enough is
// taken.
func (l *Limiter) fill(ctx context.Context) (time.Duration, error) {
	l.mu.Lock()
	wanted, have := l.waiting, len(l.slots)
	l.mu.Unlock()
	if have > 0 {
		return 0, nil
	}
	block := int(math.Ceil(l.rate * slotBlock.Seconds()))
	want := max(1, min(wanted, block))
	reply, err := reserveScript.Run(ctx, l.rdb, []string{l.key}, l.rate, l.burst, want, slotAhead.Microseconds()).
		Int64Slice()
	if err != nil {
		return 0, fmt.Errorf("reserve slots: %w", err)
	}
	if len(reply) != 3 {
		return 0, fmt.Errorf("reserve slots: script answered %d numbers", len(reply))
	}
	given, offset := reply[0], time.Duration(reply[1])*time.Microsecond
	if given == 0 {
		return offset, nil
	}
	// Redis's clock is only used for distances: the first slot lies `offset` from the moment of its answer.
	now, interval := time.Now(), time.Duration(reply[2])*time.Microsecond
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range given {
		ahead := max(offset+time.Duration(i)*interval, 0) // before now lies what a burst may use at once
		l.slots = append(l.slots, now.Add(ahead))
	}
	return 0, nil
}

// Pace waits for the slot. It reports false when the slot was missed or ctx ended: then nothing may be sent in it.
func (l *Limiter) Pace(ctx context.Context, slot time.Time) bool {
	if wait := time.Until(slot); wait > 0 && !sleep(ctx, wait) {
		return false
	}
	if time.Since(slot) > slotStale {
		return false
	}
	return l.pace.Wait(ctx) == nil && time.Since(slot) <= 2*slotStale
}

// Slow halves the rate for all processes after the provider said "too fast". It grows back within a minute.
func (l *Limiter) Slow(ctx context.Context) error {
	if err := slowScript.Run(ctx, l.rdb, []string{l.key}).Err(); err != nil {
		return fmt.Errorf("slow down: %w", err)
	}
	return nil
}

// sleep waits and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
