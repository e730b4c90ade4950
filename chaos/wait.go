package main

import (
	"context"
	"fmt"
	"time"
)

// pause waits for a while, or returns the context's error if it ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until looks again and again until something holds, or returns an error that names it when the context ends before.
func until(ctx context.Context, every time.Duration, what string, holds func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
	return nil
}
