package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// strain tells the breaker how sends ended, as the letters say (. well, x badly, t badly as a trial), and returns the
// answer to the last bad one.
func strain(t *testing.T, l *ledger.Ledger, account, letters string) time.Duration {
	t.Helper()
	good, last := 0, time.Duration(0)
	for _, letter := range letters {
		if letter == '.' {
			good++
			continue
		}
		stop, err := l.Strain(ctx, account, good, true, letter == 't')
		if err != nil {
			t.Fatal(err)
		}
		good, last = 0, stop
	}
	if good > 0 {
		if stop, err := l.Strain(ctx, account, good, false, false); err != nil || stop != 0 {
			t.Fatalf("good ones alone stop it: %v %v", stop, err)
		}
	}
	return last
}

// passed moves the end of the breaker's last stop into the past.
func passed(t *testing.T, rdb redis.UniversalClient, account string, d time.Duration) {
	t.Helper()
	if err := rdb.HIncrBy(ctx, "pregon:breaker:"+account, "until", -d.Milliseconds()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestTheBreakerTrips(t *testing.T) {
	t.Parallel()
	const half = 30 * time.Second
	tests := []struct {
		name    string
		letters string
		want    time.Duration
	}{
		{"FiveInARow", "xxxxx", half},
		{"FourInARow", "xxxx", 0},
		{"OneGoodBetween", "xxxx.x", 0},
		{"FiveInARowAfterGoodOnes", strings.Repeat(".", 500) + "xxxxx", half},
		{"ElevenOfFifty", strings.Repeat("...x", 11), half},
		{"TenOfFifty", strings.Repeat("....x", 10), 0},
		{"AlwaysAFifth", strings.Repeat("....x", 100), 0},
		{"OldOnesAreForgotten", strings.Repeat("...x", 10) + strings.Repeat(".", 50) + "x", 0},
		{"ABadTrial", "t", half},
		{"ABadTrialAfterGoodOnes", strings.Repeat(".", 60) + "t", half},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				if got := strain(t, l, tt.name, tt.letters); got != tt.want {
					t.Errorf("stops for %v, want %v", got, tt.want)
				}
			})
		}
	})
}

func TestEachTripStopsTwiceAsLong(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, bad := range []string{"xxxxx", "t"} {
			rdb.Del(ctx, "pregon:breaker:cv")
			for _, want := range []time.Duration{
				30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute,
			} {
				if got := strain(t, l, "cv", bad); got != want {
					t.Errorf("%s stops for %v, want %v", bad, got, want)
				}
				passed(t, rdb, "cv", want+19*time.Minute) // within twenty minutes
			}
			if got := strain(t, l, "cv", bad); got != 10*time.Minute {
				t.Errorf("%s stops for %v", bad, got)
			}
			passed(t, rdb, "cv", 10*time.Minute+20*time.Minute+time.Second)
			if got := strain(t, l, "cv", bad); got != 30*time.Second {
				t.Errorf("twenty quiet minutes later %s stops for %v", bad, got)
			}
		}
		ttl := rdb.TTL(ctx, "pregon:breaker:cv").Val()
		if ttl <= 0 || ttl > 24*time.Hour {
			t.Errorf("what the breaker knows lives %v", ttl)
		}
	})
}

// What was under way when it tripped ends badly too: that makes the stop no longer, and does not trip it again after it.
func TestSendsUnderWayDoNotTripTheBreakerAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		strain(t, l, "cv", "xxxxx")
		for range 4 {
			if got := strain(t, l, "cv", "xxxxx"); got <= 29*time.Second || got > 30*time.Second {
				t.Errorf("a straggler stops for %v", got)
			}
		}
		passed(t, rdb, "cv", 31*time.Second)
		if got := strain(t, l, "cv", ".....x.x"); got != 0 {
			t.Errorf("it has gone on, and two bad ends stop it for %v", got)
		}
		if got := strain(t, l, "cv", "xxxx"); got != time.Minute {
			t.Errorf("five in a row stop for %v", got)
		}
	})
}

// The good ends of other workers break a row of bad ones.
func TestTheBreakerCountsTheWholeFleet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		workers := []*ledger.Ledger{newLedger(t, rdb), newLedger(t, rdb), newLedger(t, rdb)}
		for round := range 4 {
			for i, l := range workers {
				ends := "x"
				if i == 2 {
					ends = "."
				}
				if got := strain(t, l, "mixed", ends); got != 0 {
					t.Errorf("round %d: stops for %v", round, got)
				}
			}
		}
		for i := range 5 {
			got := strain(t, workers[i%3], "bad", "x")
			if want := map[bool]time.Duration{true: 30 * time.Second}[i == 4]; got != want {
				t.Errorf("bad end %d stops for %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestHoldAndClose(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		account := func() ledger.Account {
			a, err := l.Account(ctx, "cv")
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		until := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		if err := l.HoldAccount(ctx, "cv", until); err != nil {
			t.Fatal(err)
		}
		if a := account(); a.Closed || rdb.Exists(ctx, "pregon:account:cv").Val() != 0 {
			t.Errorf("an open account was held: %+v", a)
		}
		// A later reason neither replaces the first one nor adds a moment to it.
		for _, a := range []ledger.Account{
			{Reason: "balance", Code: "5"}, {Reason: "breaker", Code: "timeout", Detail: "x", Until: until},
		} {
			if err := l.CloseAccount(ctx, "cv", a); err != nil {
				t.Fatal(err)
			}
		}
		if a := account(); !a.Closed || a.Reason != "balance" || a.Code != "5" || !a.Until.IsZero() || a.Detail != "" {
			t.Errorf("closed: %+v", a)
		}
		if err := l.HoldAccount(ctx, "cv", until); err != nil {
			t.Fatal(err)
		}
		if a := account(); !a.Until.Equal(until) || a.Reason != "balance" {
			t.Errorf("held: %+v", a)
		}
		if was, err := l.OpenAccount(ctx, "cv"); err != nil || !was {
			t.Errorf("open: %v %v", was, err)
		}
		if a := account(); a != (ledger.Account{}) {
			t.Errorf("opened: %+v", a)
		}
	})
}
