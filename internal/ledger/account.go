package ledger

import (
	"context"
	"fmt"
	"time"
)

// Account is whether an account may be sent through, for all campaigns and workers. An account nobody closed is open.
type Account struct {
	Closed bool
	Reason string // "account": a person must act; "balance": opens by itself after a top-up
	Code   string // the provider's code that closed it
	Detail string // in words, never a secret
	Since  time.Time
}

func accountKey(account string) string { return "pregon:account:" + account }

// CloseAccount stops every campaign of an account. The first reason stays until the account is opened.
func (l *Ledger) CloseAccount(ctx context.Context, account string, a Account) error {
	fields := []any{"reason", a.Reason, "code", a.Code, "detail", a.Detail, "since", time.Now().Unix()}
	pipe := l.rdb.TxPipeline()
	for i := 0; i < len(fields); i += 2 {
		pipe.HSetNX(ctx, accountKey(account), fields[i].(string), fields[i+1])
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("close account %s: %w", account, err)
	}
	return nil
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
	return Account{
		Closed: len(f) > 0, Reason: f["reason"], Code: f["code"], Detail: f["detail"], Since: seconds(f["since"]),
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

// Shelve counts one more hint of a campaign kept aside for people to see, and reports whether there is still room
// for it.
func (l *Ledger) Shelve(ctx context.Context, campaign string, room int) (bool, error) {
	n, err := l.rdb.HIncrBy(ctx, campaignKey(campaign, "control"), "shelved", 1).Result()
	if err != nil {
		return false, fmt.Errorf("count shelved hints of campaign %s: %w", campaign, err)
	}
	return n <= int64(room), nil
}
