package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// What helps a person to decide about rows in doubt: balances before and after, reports about messages that no row
// knows, replies.

// BalanceMark is the balance of a campaign's account at a moment, and how far the campaign was.
type BalanceMark struct {
	At       time.Time
	Amount   float64
	Accepted int // rows of this campaign that the provider had accepted
	InDoubt  int
}

// mostMarks bounds how many marks a campaign keeps, the newest ones.
const mostMarks = 200

// MarkBalance remembers a balance.
func (l *Ledger) MarkBalance(ctx context.Context, campaign string, m BalanceMark) error {
	key := campaignKey(campaign, "balances")
	text := fmt.Sprintf("%d %s %d %d", m.At.UnixMilli(), strconv.FormatFloat(m.Amount, 'f', -1, 64), m.Accepted, m.InDoubt)
	n, err := l.rdb.RPush(ctx, key, text).Result()
	if err == nil && n > mostMarks {
		err = l.rdb.LTrim(ctx, key, n-mostMarks, -1).Err()
	}
	if err != nil {
		return fmt.Errorf("mark balance of campaign %s: %w", campaign, err)
	}
	return nil
}

// BalanceMarks are the balances remembered, oldest first.
func (l *Ledger) BalanceMarks(ctx context.Context, campaign string) ([]BalanceMark, error) {
	lines, err := l.rdb.LRange(ctx, campaignKey(campaign, "balances"), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read balances of campaign %s: %w", campaign, err)
	}
	marks := make([]BalanceMark, 0, len(lines))
	for _, line := range lines {
		var ms int64
		var m BalanceMark
		if _, err := fmt.Sscan(line, &ms, &m.Amount, &m.Accepted, &m.InDoubt); err != nil {
			return nil, fmt.Errorf("balance of campaign %s does not parse: %w", campaign, ErrCorrupt)
		}
		m.At = milliseconds(ms)
		marks = append(marks, m)
	}
	return marks, nil
}

// orphansFor is how long a report about an unknown message is kept.
const orphansFor = 8 * 24 * time.Hour

// Orphan is a message that a provider reported about and that no row knows.
type Orphan struct {
	MessageID string
	At        time.Time // when WhatsApp sent it, or when the report came
}

// AddOrphan remembers a report about a message that no row knows; the first report about it counts.
func (l *Ledger) AddOrphan(ctx context.Context, account string, o Orphan) error {
	key := "pregon:orphans:" + account
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAddNX(ctx, key, redis.Z{Score: float64(o.At.UnixMilli()), Member: o.MessageID})
		p.ZRemRangeByScore(ctx, key, "-inf", millis(o.At.Add(-orphansFor)))
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep orphan of account %s: %w", account, err)
	}
	return nil
}

// Orphans are the unknown messages of an account from one moment to another.
func (l *Ledger) Orphans(ctx context.Context, account string, from, to time.Time) ([]Orphan, error) {
	found, err := l.rdb.ZRangeByScoreWithScores(ctx, "pregon:orphans:"+account, &redis.ZRangeBy{
		Min: millis(from), Max: millis(to),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("read orphans of account %s: %w", account, err)
	}
	orphans := make([]Orphan, 0, len(found))
	for _, z := range found {
		id, _ := z.Member.(string)
		orphans = append(orphans, Orphan{MessageID: id, At: time.UnixMilli(int64(z.Score))})
	}
	return orphans, nil
}

// AddReply remembers that the person of a row replied to an attempt: proof that the message arrived.
func (l *Ledger) AddReply(ctx context.Context, p Place, at time.Time) error {
	text := strconv.Itoa(p.Fence) + " " + millis(at)
	if err := l.rdb.HSetNX(ctx, campaignKey(p.Campaign, "replied"), strconv.Itoa(p.Row), text).Err(); err != nil {
		return fmt.Errorf("keep reply to row %d of campaign %s: %w", p.Row, p.Campaign, err)
	}
	return nil
}

// Reply is when the person of a row first replied and to which attempt; false if not.
func (l *Ledger) Reply(ctx context.Context, campaign string, row int) (at time.Time, fence int, ok bool, err error) {
	text, err := l.rdb.HGet(ctx, campaignKey(campaign, "replied"), strconv.Itoa(row)).Result()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, 0, false, nil
	}
	if err != nil {
		return time.Time{}, 0, false, fmt.Errorf("read reply to row %d of campaign %s: %w", row, campaign, err)
	}
	first, second, _ := strings.Cut(text, " ")
	fence, err1 := strconv.Atoi(first)
	ms, err2 := strconv.ParseInt(second, 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, 0, false,
			fmt.Errorf("reply to row %d of campaign %s does not parse: %w", row, campaign, ErrCorrupt)
	}
	return milliseconds(ms), fence, true, nil
}
