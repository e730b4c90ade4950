package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// dumpLedger writes every key of a Redis with its value, one JSON object per line. Bytes that are no text are written
// as Go would quote them.
func dumpLedger(ctx context.Context, rdb *redis.Client, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	keys := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		kind, value, err := read(ctx, rdb, keys.Val())
		if err != nil {
			value = "not read: " + err.Error() // the others are still worth having
		}
		if err := lines.Encode(map[string]any{"key": keys.Val(), "type": kind, "value": value}); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(keys.Err(), out.Flush(), f.Close())
}

// read returns one value in the form that its type has.
func read(ctx context.Context, rdb *redis.Client, key string) (string, any, error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return "", nil, err
	}
	switch kind {
	case "string":
		v, err := rdb.Get(ctx, key).Result()
		return kind, strconv.QuoteToASCII(v), err
	case "hash":
		v, err := rdb.HGetAll(ctx, key).Result()
		quoted := make(map[string]string, len(v))
		for field, value := range v {
			quoted[strconv.QuoteToASCII(field)] = strconv.QuoteToASCII(value)
		}
		return kind, quoted, err
	case "list":
		v, err := rdb.LRange(ctx, key, 0, -1).Result()
		return kind, v, err
	case "set":
		v, err := rdb.SMembers(ctx, key).Result()
		return kind, v, err
	case "zset":
		v, err := rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
		return kind, v, err
	case "stream":
		v, err := rdb.XRange(ctx, key, "-", "+").Result()
		return kind, v, err
	}
	return kind, nil, fmt.Errorf("type %q is not known", kind)
}
