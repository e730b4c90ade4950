package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The message-id index says which row a provider's message id belongs to. It lies in slices of a calendar month
// (UTC), each cut into buckets small enough to stay listpacks at a million messages a month, and a slice lives 35
// days past its month: reports come for up to 30 days.
const (
	indexBuckets = 4096
	indexKeep    = 35 * 24 * time.Hour
)

// Place is where a message id belongs: one attempt at one row.
type Place struct {
	Campaign string
	Row      int
	Fence    int
}

func sliceKey(account, packed string, month time.Time) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(packed)) // never fails
	return "pregon:mid:" + account + ":" + month.Format("200601") + ":" + strconv.Itoa(int(h.Sum32()%indexBuckets))
}

// monthOf is the first instant of t's month.
func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Index remembers which attempt a message id belongs to. Settle does it by itself.
func (l *Ledger) Index(ctx context.Context, account, messageID string, p Place, at time.Time) error {
	slice, entry := indexEntry(account, messageID, p, at)
	if err := indexScript.Run(ctx, l.rdb, slice, entry...).Err(); err != nil {
		return fmt.Errorf("index message of row %d of campaign %s: %w", p.Row, p.Campaign, err)
	}
	return nil
}

// indexEntry gives the keys and arguments of lua/index.lua.
func indexEntry(account, messageID string, p Place, at time.Time) (keys []string, args []any) {
	packed, month := packID(messageID), monthOf(at)
	value := p.Campaign + ":" + strconv.Itoa(p.Row) + ":" + strconv.Itoa(p.Fence)
	end := month.AddDate(0, 1, 0).Add(indexKeep).Unix()
	return []string{sliceKey(account, packed, month)}, []any{packed, value, end}
}

// Find returns the attempt a message id belongs to, looking back over the slices that still live at the given time.
func (l *Ledger) Find(ctx context.Context, account, messageID string, at time.Time) (Place, bool, error) {
	packed := packID(messageID)
	for month := monthOf(at); month.AddDate(0, 1, 0).Add(indexKeep).After(at); month = month.AddDate(0, -1, 0) {
		value, err := l.rdb.HGet(ctx, sliceKey(account, packed, month), packed).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return Place{}, false, fmt.Errorf("find message: %w", err)
		}
		p, err := parsePlace(value)
		return p, err == nil, err
	}
	return Place{}, false, nil
}

func parsePlace(value string) (Place, error) {
	f := strings.Split(value, ":")
	if len(f) != 3 {
		return Place{}, fmt.Errorf("index entry has %d fields: %w", len(f), ErrCorrupt)
	}
	row, err1 := strconv.Atoi(f[1])
	fence, err2 := strconv.Atoi(f[2])
	if err1 != nil || err2 != nil {
		return Place{}, fmt.Errorf("index entry does not parse: %w", ErrCorrupt)
	}
	return Place{Campaign: f[0], Row: row, Fence: fence}, nil
}
