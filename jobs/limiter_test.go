package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// grant is slots that Redis gave, in microseconds of Redis's own clock: there is no other to compare slots by.
type grant struct {
	first, interval float64
	slots           int64
	at              float64 // when they were given: what lies before it is sent at once
}

// bookkeeper is a Redis client that notes every grant. The script runs in one transaction with a look at what it wrote,
// so that nobody comes between.
type bookkeeper struct {
	redis.UniversalClient

	mu     sync.Mutex
	grants []grant
	asked  atomic.Int64
}

func (b *bookkeeper) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	if digest != reserveScript.Hash() {
		return b.UniversalClient.EvalSha(ctx, digest, keys, args...)
	}
	b.asked.Add(1)
	var cmd *redis.Cmd
	var next *redis.StringCmd
	_, err := b.TxPipelined(ctx, func(p redis.Pipeliner) error {
		cmd = p.Eval(ctx, reserveLua, keys, args...)
		next = p.HGet(ctx, keys[0], "next")
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return cmd
	}
	reply, _ := cmd.Int64Slice()
	if len(reply) == 3 && reply[0] > 0 {
		after, _ := next.Float64()
		interval := float64(time.Second.Microseconds()) / args[0].(float64)
		first := after - float64(reply[0])*interval
		b.mu.Lock()
		b.grants = append(b.grants, grant{first, interval, reply[0], first - float64(reply[1])})
		b.mu.Unlock()
	}
	return cmd
}

// sends are the earliest instants at which something may be sent in the slots, in order.
func (b *bookkeeper) sends() []float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []float64
	for _, g := range b.grants {
		for i := range g.slots {
			all = append(all, max(g.first+float64(i)*g.interval, g.at))
		}
	}
	slices.Sort(all)
	return all
}

// ahead is the longest that a slot lay ahead when it was given.
func (b *bookkeeper) ahead() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	longest := 0.0
	for _, g := range b.grants {
		longest = max(longest, g.first+float64(g.slots-1)*g.interval-g.at)
	}
	return longest
}

// slots are all slots that were given, in order.
func (b *bookkeeper) slots() []float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []float64
	for _, g := range b.grants {
		for i := range g.slots {
			all = append(all, g.first+float64(i)*g.interval)
		}
	}
	slices.Sort(all)
	return all
}

// rounding is what the script's whole numbers may be off by, in microseconds.
const rounding = 1.5

func TestSlotsOfAFleetNeverLieCloserThanTheInterval(t *testing.T) {
	t.Parallel()
	for _, burst := range []int{1, 4} {
		t.Run(fmt.Sprintf("Burst%d", burst), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, rdb redis.UniversalClient) {
				const perSecond, fleet, callers, each = 150.0, 3, 8, 12
				books := &bookkeeper{UniversalClient: rdb}
				var wg sync.WaitGroup
				var mu sync.Mutex
				taken := make(map[*Limiter][]time.Time)
				for range fleet {
					l := NewLimiter(books, "cv", perSecond, burst)
					for range callers {
						wg.Go(func() {
							for range each {
								slot, err := l.Take(t.Context())
								if err != nil {
									t.Error(err)
									return
								}
								mu.Lock()
								taken[l] = append(taken[l], slot)
								mu.Unlock()
							}
						})
					}
				}
				wg.Wait()
				slots := books.slots()
				if len(slots) < fleet*callers*each {
					t.Fatalf("%d slots given for %d callers", len(slots), fleet*callers*each)
				}
				interval := float64(time.Second.Microseconds()) / perSecond
				for i := range slots[1:] {
					if d := slots[i+1] - slots[i]; d < interval-rounding {
						t.Fatalf("slots %d and %d lie %.1f µs apart, want %.1f", i, i+1, d, interval)
					}
				}
				wantRate(t, books, perSecond, burst)
				for l, own := range taken {
					if burst == 1 { // slots of a burst are all of the same moment
						unique(t, l, own)
					}
				}
			})
		})
	}
}

func unique(t *testing.T, l *Limiter, slots []time.Time) {
	t.Helper()
	slices.SortFunc(slots, time.Time.Compare)
	if twice := len(slots) - len(slices.CompactFunc(slices.Clone(slots), time.Time.Equal)); twice != 0 {
		t.Errorf("limiter %s gave %d slots twice", l.key, twice)
	}
}

// TestNoSecondHoldsMoreThanTheRateAllows asks the script at random moments of a clock that a test moves.
func TestNoSecondHoldsMoreThanTheRateAllows(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		names := 0
		rapid.Check(t, func(t *rapid.T) {
			names++
			perSecond := rapid.Float64Range(0.5, 500).Draw(t, "rate")
			burst := rapid.IntRange(1, 20).Draw(t, "burst")
			books := &bookkeeper{UniversalClient: rdb}
			l := NewLimiter(books, fmt.Sprintf("cv%d", names), perSecond, burst)
			for range rapid.IntRange(1, 20).Draw(t, "asks") {
				l.mu.Lock()
				l.slots, l.waiting = nil, rapid.IntRange(1, 40).Draw(t, "waiting")
				l.mu.Unlock()
				if _, err := l.fill(ctx); err != nil {
					t.Fatal(err)
				}
				// Time passes: what was given lies further in the past.
				back := rapid.Int64Range(0, 3_000_000).Draw(t, "µs later")
				shift(t, rdb, l.key, books, float64(back))
			}
			wantRate(t, books, perSecond, burst)
		})
	})
}

// wantRate fails when any second may hold more than rate + burst − 1 sends, or when a slot was given too early.
func wantRate(t interface{ Fatalf(string, ...any) }, books *bookkeeper, perSecond float64, burst int) {
	sends := books.sends()
	limit := int(math.Ceil(perSecond)) + burst - 1
	for i, from := range sends {
		end, _ := slices.BinarySearch(sends, from+1e6-rounding)
		if end-i > limit {
			t.Fatalf("%d sends in one second at rate %.2f and burst %d", end-i, perSecond, burst)
		}
	}
	if ahead := books.ahead(); ahead > float64(slotAhead.Microseconds())+rounding {
		t.Fatalf("a slot was given %.0f µs ahead", ahead)
	}
}

func TestABurstIsUsedWhole(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const burst = 5
		books := &bookkeeper{UniversalClient: rdb}
		l := NewLimiter(books, "cv", 2, burst) // what may be sent at once reaches two seconds back
		for range burst {
			slot, err := l.Take(t.Context())
			if err != nil || slot.After(time.Now()) {
				t.Fatalf("took %v (%v), want a slot of now", slot, err)
			}
		}
		if got := len(books.slots()); got != burst {
			t.Errorf("%d slots were given for %d sends: some were dropped as stale", got, burst)
		}
	})
}

// shift moves everything that was given so many microseconds into the past, which is all that time passing means.
func shift(t *rapid.T, rdb redis.UniversalClient, key string, books *bookkeeper, by float64) {
	next, err := rdb.HGet(ctx, key, "next").Float64()
	if errors.Is(err, redis.Nil) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.HSet(ctx, key, "next", fmt.Sprintf("%.0f", next-by)).Err(); err != nil {
		t.Fatal(err)
	}
	books.mu.Lock()
	defer books.mu.Unlock()
	for i := range books.grants {
		books.grants[i].first -= by
		books.grants[i].at -= by
	}
}

// interval is the distance of the next slots, as Redis would now give them.
func interval(t testing.TB, l *Limiter) int64 {
	t.Helper()
	reply, err := reserveScript.Run(ctx, l.rdb, []string{l.key}, l.rate, l.burst, 1, slotAhead.Microseconds()).Int64Slice()
	if err != nil {
		t.Fatal(err)
	}
	return reply[2]
}

func TestSlowHalvesTheRateAndItGrowsBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := NewLimiter(rdb, "cv", 100, 1)
		// ago makes the last "too fast" this old; growing back goes by the age alone.
		ago := func(d time.Duration) {
			now := rdb.Time(ctx).Val()
			if err := rdb.HSet(ctx, l.key, "slowed_at", now.Add(-d).UnixMicro()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		near := func(what string, want int64) {
			t.Helper()
			if got := interval(t, l); got < want*95/100 || got > want*105/100 {
				t.Errorf("%s: slots lie %d µs apart, want about %d", what, got, want)
			}
		}
		slow := func() {
			t.Helper()
			if err := l.Slow(ctx); err != nil {
				t.Fatal(err)
			}
		}
		near("at first", 10_000)
		slow()
		near("after one", 20_000)
		slow()
		near("a second one at the same moment, from another row in flight", 20_000)
		ago(30 * time.Second)
		near("half a minute later", 13_333)
		ago(61 * time.Second)
		near("a minute later", 10_000)
		for range 10 {
			ago(2 * time.Second)
			slow()
		}
		near("again and again: a sixteenth stays", 160_000)
	})
}

func TestAReturnedSlotIsTheNextOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := NewLimiter(rdb, "cv", 5, 1)
		slot, err := l.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Return(slot)
		again, err := l.Take(t.Context())
		if err != nil || !again.Equal(slot) {
			t.Errorf("got %v, want the slot that was given back, %v (%v)", again, slot, err)
		}
	})
}

func TestAReturnedSlotReachesWhoIsWaiting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		books := &bookkeeper{UniversalClient: rdb}
		l := NewLimiter(books, "cv", 0.001, 1) // the next slot lies a quarter of an hour ahead
		slot, err := l.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slot = slot.Add(time.Hour) // so that it cannot become stale while this test is slow
		got := make(chan time.Time, 1)
		go func() {
			s, err := l.Take(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- s
		}()
		await(t, "the second caller asked in vain", func() bool { return books.asked.Load() >= 2 })
		l.Return(slot)
		select {
		case s := <-got:
			if !s.Equal(slot) {
				t.Errorf("got %v, want %v", s, slot)
			}
		case <-time.After(patience / 2):
			t.Error("the caller goes on waiting beside a free slot")
		}
	})
}

func TestWaitingCallersAskRedisOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const perSecond, callers, slots = 20.0, 60, 20
		books := &bookkeeper{UniversalClient: rdb}
		l := NewLimiter(books, "cv", perSecond, 1)
		enough, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var taken atomic.Int64
		for range callers {
			wg.Go(func() {
				if _, err := l.Take(enough); err == nil && taken.Add(1) == slots {
					cancel()
				}
			})
		}
		wg.Wait()
		cancel()
		// One question per slot and one more to learn how long to wait; far from one for each caller.
		if asked := books.asked.Load(); asked > 4*slots {
			t.Errorf("%d questions for %d slots: every waiting caller asks", asked, taken.Load())
		}
	})
}

func TestACallerThatGivesUpLosesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		books := &bookkeeper{UniversalClient: rdb}
		l := NewLimiter(books, "cv", 2, 1)
		if _, err := l.Take(t.Context()); err != nil { // the next slot lies half a second ahead
			t.Fatal(err)
		}
		waiting, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := l.Take(waiting)
			gone <- err
		}()
		await(t, "the caller asked", func() bool { return books.asked.Load() >= 2 })
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("take: %v", err)
		}
		l.mu.Lock()
		if l.waiting != 0 {
			t.Errorf("%d callers still count as waiting", l.waiting)
		}
		l.mu.Unlock()
		if _, err := l.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		slots := books.slots()
		if len(slots) != 2 || slots[1]-slots[0] > 500_000+rounding {
			t.Errorf("slots %v: the cancelled caller took one along", slots)
		}
	})
}

func TestAStaleSlotIsDropped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := NewLimiter(rdb, "cv", 10, 1)
		now := time.Now()
		fresh := now.Add(time.Hour)
		l.slots = []time.Time{now.Add(-time.Hour), now.Add(-slotStale - time.Millisecond), fresh}
		got, err := l.Take(t.Context())
		if err != nil || !got.Equal(fresh) {
			t.Errorf("took %v, want %v (%v)", got, fresh, err)
		}
		if l.Pace(t.Context(), now.Add(-time.Hour)) {
			t.Error("a slot of an hour ago may be sent in")
		}
		if !l.Pace(t.Context(), time.Now()) {
			t.Error("a slot of this moment was missed")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if l.Pace(ended, fresh) {
			t.Error("a caller whose context ended may send")
		}
	})
}

func TestALimiterWithoutRedisSaysSo(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	l := NewLimiter(rdb, "cv", 10, 1)
	if _, err := l.Take(t.Context()); err == nil {
		t.Error("took a slot from nowhere")
	}
	if err := l.Slow(ctx); err == nil {
		t.Error("slowed down nothing")
	}
	if l.waiting != 0 {
		t.Errorf("%d callers still count as waiting", l.waiting)
	}
}
