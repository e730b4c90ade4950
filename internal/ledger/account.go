package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Account is whether an account may be sent through, for all campaigns and workers. An account nobody closed is open.
type Account struct {
	Closed bool
	Reason string // "account": a person must act; "balance" and "breaker": opens by itself
	Code   string // the provider's code that closed it
	Detail string // in words, never a secret
	Since  time.Time
	Until  time.Time // not tried out before; zero = at any time
}

func accountKey(account string) string { return "pregon:account:" + account }

// CloseAccount stops every campaign of an account. The first reason stays until the account is opened.
func (l *Ledger) CloseAccount(ctx context.Context, account string, a Account) error {
	now, err := l.Now(ctx)
	if err != nil {
		return err
	}
	until := max(a.Until.UnixMilli(), 0) // written in any case, so that a later reason adds no moment to an earlier one
	fields := []any{"reason", a.Reason, "code", a.Code, "detail", a.Detail, "since", now.Unix(), "until", until}
	pipe := l.rdb.TxPipeline()
	for i := 0; i < len(fields); i += 2 {
		pipe.HSetNX(ctx, accountKey(account), fields[i].(string), fields[i+1])
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("close account %s: %w", account, err)
	}
	return nil
}

// HoldAccount keeps a closed account from being tried out before a moment; the zero time takes that moment away. An
// open one stays open.
func (l *Ledger) HoldAccount(ctx context.Context, account string, until time.Time) error {
	ms := max(until.UnixMilli(), 0)
	if err := holdScript.Run(ctx, l.rdb, []string{accountKey(account)}, ms).Err(); err != nil {
		return fmt.Errorf("hold account %s: %w", account, err)
	}
	return nil
}

// How long the breaker stops an account: doubled by each trip.
const (
	shortestStop = 30 * time.Second
	longestStop  = 10 * time.Minute
)

// Strain counts sends through an account that ended well since the last call and, if bad, one after them that did not:
// its message may have been sent, or provably never left. It returns for how long to stop, 0 to go on. A bad trial, a
// message that was to try the account out, always stops it.
func (l *Ledger) Strain(ctx context.Context, account string, good int, bad, trial bool) (time.Duration, error) {
	flag := map[bool]int{true: 1}
	a, err := words(strainScript.Run(ctx, l.rdb, []string{"pregon:breaker:" + account}, good, flag[bad], flag[trial],
		shortestStop.Milliseconds(), longestStop.Milliseconds()).Result())
	if err != nil {
		return 0, fmt.Errorf("strain account %s: %w", account, err)
	}
	return time.Duration(a.number(1)) * time.Millisecond, nil
}

// OpenAccount lets an account be sent through again, and reports whether it was closed.
func (l *Ledger) OpenAccount(ctx context.Context, account string) (bool, error) {
	n, err := l.rdb.Del(ctx, accountKey(account)).Result()
	if err != nil {
		return false, fmt.Errorf("open account %s: %w", account, err)
	}
	return n > 0, nil
}

// Account reads the state of an account.
func (l *Ledger) Account(ctx context.Context, account string) (Account, error) {
	f, err := l.rdb.HGetAll(ctx, accountKey(account)).Result()
	if err != nil {
		return Account{}, fmt.Errorf("read account %s: %w", account, err)
	}
	until, _ := strconv.ParseInt(f["until"], 10, 64) // empty is zero
	return Account{
		Closed: len(f) > 0, Reason: f["reason"], Code: f["code"], Detail: f["detail"], Since: seconds(f["since"]),
		Until: milliseconds(until),
	}, nil
}

// Lease gives one of several workers a duty for a while, so that the others save the work; every duty stays correct
// when two hold it. It reports whether `who` holds it now, and prolongs it if so.
func (l *Ledger) Lease(ctx context.Context, duty, who string, d time.Duration) (bool, error) {
	key := "pregon:lease:" + duty
	won, err := l.rdb.SetNX(ctx, key, who, d).Result()
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", duty, err)
	}
	if won {
		return true, nil
	}
	holder, err := l.rdb.Get(ctx, key).Result()
	if err != nil || holder != who {
		return false, nil //nolint:nilerr // it has just run out: the next call takes it
	}
	if err := l.rdb.PExpire(ctx, key, d).Err(); err != nil {
		return false, fmt.Errorf("lease %s: %w", duty, err)
	}
	return true, nil
}

// Unlease gives a duty back, whoever holds it.
func (l *Ledger) Unlease(ctx context.Context, duty string) error {
	if err := l.rdb.Del(ctx, "pregon:lease:"+duty).Err(); err != nil {
		return fmt.Errorf("give back lease %s: %w", duty, err)
	}
	return nil
}

// Shelve counts one more hint of a campaign kept aside for people to see, and reports whether there is still room
// for it.
func (l *Ledger) Shelve(ctx context.Context, campaign string, room int) (bool, error) {
	n, err := l.rdb.HIncrBy(ctx, campaignKey(campaign, "control"), "shelved", 1).Result()
	if err != nil {
		return false, fmt.Errorf("count shelved hints of campaign %s: %w", campaign, err)
	}
	return n <= int64(room), nil
}
