package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long a new run of Redis waits for those who were at work before it.
const (
	// barrierLeast lets every live worker be noticed: each looks at a running campaign once a second.
	barrierLeast = 2 * time.Second
	// barrierMost is how long a silent worker without a journal is waited for: it may be stopped or cut off. What it
	// sent and Redis lost is known to nobody if it died.
	barrierMost = 30 * time.Second
	// barrierFew is how long it is waited for if it was silent that long already: Redis was away meanwhile.
	barrierFew = 5 * time.Second
)

// ErrUnsaid means that Redis was restarted and a worker has not said again yet what it did before.
var ErrUnsaid = errors.New("redis was restarted, and the worker has not said again yet what it did before")

// Beat is what a worker learns by saying that it is at work.
type Beat struct {
	// Assert names a run of Redis to which this worker has not said yet what it did before; "" = it has.
	Assert string
	// Waiting are the workers that others wait for, since how long; nobody may claim meanwhile.
	Waiting []string
	Since   time.Duration
}

// Open reports whether rows may be claimed.
func (b Beat) Open() bool { return b.Assert == "" && b.Since == 0 && len(b.Waiting) == 0 }

// Beat says that a worker (see WorkerName) is at work on a campaign, and that it has said again what it did to the run
// of Redis named by said. lua/beat.lua tells what for.
func (l *Ledger) Beat(ctx context.Context, campaign, worker, said string) (Beat, error) {
	keys := []string{
		campaignKey(campaign, "control"), campaignKey(campaign, "workers"), campaignKey(campaign, "expected"),
		campaignKey(campaign, "asserted"),
	}
	a, err := words(beatScript.Run(ctx, l.rdb, keys, worker, said, barrierLeast.Milliseconds(),
		barrierMost.Milliseconds(), barrierFew.Milliseconds()).Result())
	if err != nil {
		return Beat{}, fmt.Errorf("beat for campaign %s: %w", campaign, err)
	}
	switch a.text(0) {
	case "OK":
		return Beat{}, nil
	case "ASSERT":
		return Beat{Assert: a.text(1)}, nil
	case "WAIT":
		var ms int64
		if _, err := fmt.Sscan(a.text(1), &ms); err != nil {
			return Beat{}, fmt.Errorf("beat for campaign %s answered %q: %w", campaign, a.text(1), ErrCorrupt)
		}
		b := Beat{Since: time.Duration(ms)*time.Millisecond + 1}
		for i := 2; i < len(a); i++ {
			b.Waiting = append(b.Waiting, a.text(i))
		}
		return b, nil
	}
	return Beat{}, fmt.Errorf("beat for campaign %s answered %q: %w", campaign, a.text(0), ErrCorrupt)
}

// AtWork reports whether a worker is counted as at work on a campaign. If it has not begun yet, a predecessor of the
// same name died.
func (l *Ledger) AtWork(ctx context.Context, campaign, worker string) (bool, error) {
	err := l.rdb.ZScore(ctx, campaignKey(campaign, "workers"), worker).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for worker of campaign %s: %w", campaign, err)
	}
	return true, nil
}

// Bereaved reports whether a worker of a campaign fell silent since it was last asked, by whomever: what it had in its
// hands, it will not bring back.
func (l *Ledger) Bereaved(ctx context.Context, campaign string) (bool, error) {
	now, err := l.Now(ctx)
	if err != nil {
		return false, err
	}
	silent, err := l.rdb.ZRangeByScoreWithScores(ctx, campaignKey(campaign, "workers"), &redis.ZRangeBy{
		Min: "-inf", Max: millis(now.Add(-silence)),
	}).Result()
	if err != nil {
		return false, fmt.Errorf("look for silent workers of campaign %s: %w", campaign, err)
	}
	news, key := false, campaignKey(campaign, "silent")
	for _, z := range silent {
		name, _ := z.Member.(string)
		first, err := l.rdb.HSetNX(ctx, key, name+" "+strconv.FormatInt(int64(z.Score), 10), 1).Result()
		if err == nil && first {
			news, err = true, l.rdb.Expire(ctx, key, time.Hour).Err()
		}
		if err != nil {
			return news, fmt.Errorf("note silent worker of campaign %s: %w", campaign, err)
		}
	}
	return news, nil
}

// Leave says that a worker has let go of a campaign: everything it did is recorded, and nobody need wait for it.
// ErrUnsaid means that it must say again first what it did: Redis was restarted since.
func (l *Ledger) Leave(ctx context.Context, campaign, worker string) error {
	keys := []string{
		campaignKey(campaign, "control"), campaignKey(campaign, "workers"), campaignKey(campaign, "asserted"),
	}
	word, err := leaveScript.Run(ctx, l.rdb, keys, worker).Text()
	if err == nil && word != "LEFT" {
		err = ErrUnsaid
	}
	if err != nil {
		return fmt.Errorf("leave campaign %s: %w", campaign, err)
	}
	return nil
}
