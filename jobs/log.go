package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// quietLogger passes asynq's warnings on, at most one a second: during an outage of Redis each server repeats
// itself many times a second. What was left out is counted.
type quietLogger struct {
	log *slog.Logger

	mu      sync.Mutex
	last    time.Time
	skipped int
}

func newQuietLogger(log *slog.Logger) *quietLogger { return &quietLogger{log: log} }

func (q *quietLogger) say(level slog.Level, args []any) {
	q.mu.Lock()
	if time.Since(q.last) < time.Second {
		q.skipped++
		q.mu.Unlock()
		return
	}
	skipped := q.skipped
	q.last, q.skipped = time.Now(), 0
	q.mu.Unlock()
	q.log.Log(context.Background(), level, "asynq", "says", fmt.Sprint(args...), "left_out", skipped)
}

func (q *quietLogger) Debug(...any)     {}
func (q *quietLogger) Info(...any)      {}
func (q *quietLogger) Warn(args ...any) { q.say(slog.LevelDebug, args) }

func (q *quietLogger) Error(args ...any) { q.say(slog.LevelWarn, args) }
func (q *quietLogger) Fatal(args ...any) { q.say(slog.LevelError, args) }
