package ledger_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// backdate makes a row's record older than it is.
func backdate(t *testing.T, rdb redis.UniversalClient, id string, row int, d time.Duration) {
	t.Helper()
	key, field := "pregon:{"+id+"}:rows:0", strconv.Itoa(row)
	f := strings.Split(rdb.HGet(ctx, key, field).Val(), ":")
	at, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		t.Fatal(f, err)
	}
	f[3] = strconv.FormatInt(at-int64(d/time.Second), 10)
	if err := rdb.HSet(ctx, key, field, strings.Join(f, ":")).Err(); err != nil {
		t.Fatal(err)
	}
}

// hush makes the last beat of a worker older than it is.
func hush(t *testing.T, rdb redis.UniversalClient, id, worker string, d time.Duration) {
	t.Helper()
	if err := rdb.ZIncrBy(ctx, "pregon:{"+id+"}:workers", -float64(d.Milliseconds()), worker).Err(); err != nil {
		t.Fatal(err)
	}
}

// claimTime is how long a claim of these tests lives.
const claimTime = 80 * time.Second

func TestAClaimIsInDoubtWhenItsWorkerFallsSilent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		beats   bool
		silent  time.Duration
		claimed time.Duration // ago
		want    bool
	}{
		{"Silent", true, ledger.Silence + time.Second, ledger.Silence + 2*time.Second, true},
		{"SilentForAMoment", true, ledger.Silence - 2*time.Second, ledger.Silence + 5*time.Second, false},
		{"AYoungClaim", true, ledger.Silence + time.Second, ledger.Silence - 2*time.Second, false},
		{"ClaimedJustNow", true, 10 * time.Minute, 0, false},
		{"NeverBeat", false, 0, 70 * time.Second, false},
		{"AtWork", true, 0, 70 * time.Second, false},
		{"DeadlineGone", true, 0, 90 * time.Second, true},
		{"DeadlineGoneNeverBeat", false, 0, 90 * time.Second, true},
	}
	late := map[string]ledger.Outcome{
		"accepted": {State: ledger.Accepted, MessageID: "m"},
		"failed":   {State: ledger.Failed, Code: "1002"},
		"waiting":  {State: ledger.Waiting, Code: "no_connection"},
		"released": {},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			for word, o := range late {
				t.Run(tt.name+"/"+word, func(t *testing.T) {
					id := strings.ToLower(tt.name) + word
					launch(t, l, id, 2)
					if tt.beats {
						if _, err := l.Beat(ctx, id, ana, ""); err != nil {
							t.Fatal(err)
						}
						hush(t, rdb, id, ana, tt.silent)
					}
					if _, err := l.Beat(ctx, id, bela, ""); err != nil { // she sweeps
						t.Fatal(err)
					}
					c, err := l.Claim(ctx, ledger.NewClaim(id, 2, ana), "CO", claimTime-tt.claimed)
					if err != nil || c.Verdict != ledger.Go {
						t.Fatalf("claim: %+v %v", c, err)
					}
					backdate(t, rdb, id, 2, tt.claimed)
					rows, err := l.Overdue(ctx, id, claimTime, 100)
					if err != nil || tt.want && !slices.Equal(rows, []int{2}) {
						t.Errorf("overdue: %v %v", rows, err)
					}
					if ok, err := l.Expire(ctx, id, 2); err != nil || ok != tt.want {
						t.Fatalf("expire: %v %v, want %v", ok, err, tt.want)
					}
					if !tt.want {
						return
					}
					e := entry(t, l, id, 2)
					if e.State != ledger.InDoubt || e.Code != "worker_lost" || (e.Took-tt.claimed).Abs() > 5*time.Second {
						t.Errorf("row: %+v", e.Record)
					}
					resolve(t, l, c, o)
				})
			}
		}
	})
}

// resolve lets the worker that was thought dead say what came of its claim.
func resolve(t *testing.T, l *ledger.Ledger, c ledger.Claim, o ledger.Outcome) {
	t.Helper()
	want := o.State
	if o.State == "" {
		want = ledger.Queued
		if ok, err := l.Release(ctx, c); err != nil || !ok {
			t.Errorf("release: %v %v", ok, err)
		}
	} else if err := settle(l, c, o); err != nil {
		t.Errorf("settle: %v", err)
	}
	if e := entry(t, l, c.Campaign, 2); e.State != want {
		t.Errorf("row: %+v, want %s", e.Record, want)
	}
	wantCounts(t, l, c.Campaign, map[ledger.RowState]int{
		ledger.Queued: 1, ledger.InvalidRow: 1, ledger.SkippedRow: 1, want: 1 + map[bool]int{true: 1}[want == ledger.Queued],
	})
}

// Nobody has beaten while Redis was away: that makes nobody dead.
func TestAnOutageOfRedisMakesNobodyDead(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3, ana, bela)
	c := s.send(bela, 2, ledger.Outcome{})
	overdue, err := s.l.Claim(ctx, ledger.NewClaim("c1", 3, bela), "CO", 0)
	if err != nil || overdue.Verdict != ledger.Go {
		t.Fatalf("claim: %+v %v", overdue, err)
	}
	s.restart(s.size())
	hush(t, s.rdb, "c1", ana, time.Minute)
	hush(t, s.rdb, "c1", bela, time.Minute)
	backdate(t, s.rdb, "c1", 2, time.Minute)
	s.beat(ana)
	for row, want := range map[int]bool{2: false, 3: true} { // a deadline is one all the same
		if ok, err := s.l.Expire(ctx, "c1", row); err != nil || ok != want {
			t.Errorf("expire row %d: %v %v, want %v", row, ok, err, want)
		}
	}
	s.beat(bela)
	s.ago("c1", 3*time.Second)
	s.wantOpen(ana)
	if ok, err := s.l.Expire(ctx, "c1", c.Row); err != nil || ok {
		t.Errorf("expire a claim of a worker that is back: %v %v", ok, err)
	}
	hush(t, s.rdb, "c1", bela, time.Minute)
	if ok, err := s.l.Expire(ctx, "c1", c.Row); err != nil || !ok {
		t.Errorf("expire a claim of a worker that fell silent afterwards: %v %v", ok, err)
	}
}
