package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq" //nolint:depguard // what Pregón is measured beside
	"github.com/redis/go-redis/v9"

	"pregon/providers"
)

// measureMemory compares what Redis holds per row: asynq's pending tasks, and a campaign that is launched, that is
// being sent (its hints) and that is over. Memory does not drift, so it is measured once.
func measureMemory(ctx context.Context, s *stand, r *report) error {
	path, err := s.contacts(s.memoryRows)
	if err != nil {
		return err
	}
	if err := s.clear(ctx); err != nil {
		return err
	}
	empty, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	if _, err := s.enqueueTurn(ctx, path, s.memoryRows); err != nil {
		return err
	}
	pending, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	r.weigh("asynq: pending tasks", s.memoryRows, pending-empty)
	if err := s.clear(ctx); err != nil {
		return err
	}
	return s.weighCampaign(ctx, r, path)
}

// weighCampaign launches a campaign, looks at its hints while every send is held, lets everything go and looks again.
func (s *stand) weighCampaign(ctx context.Context, r *report, path string) (err error) {
	held := &heldProvider{open: make(chan struct{})}
	p, err := s.newPregon(held)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	empty, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	_, id, err := s.launched(ctx, p, path, s.memoryRows)
	if err != nil {
		return err
	}
	launched, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	r.weigh("Pregón: launched, nothing sent yet", s.memoryRows, launched-empty)
	looking := make(chan error, 1)
	go func() {
		defer close(held.open)
		looking <- s.weighHints(ctx, r, p, id, launched)
	}()
	workErr := s.work(ctx, p, id, s.memoryRows, func() error { return nil })
	if err := errors.Join(workErr, <-looking); err != nil {
		return err
	}
	finished, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	r.weigh("Pregón: finished, every row accepted", s.memoryRows, finished-empty)
	return s.weighParts(ctx, r, id)
}

// weighHints waits until the feeder has stopped adding hints, and weighs what is there more than before.
func (s *stand) weighHints(ctx context.Context, r *report, p *pregon, id string, before int) error {
	inspector := asynq.NewInspectorFromRedisClient(p.rdb)
	hints, still := 0, 0
	err := until(ctx, 500*time.Millisecond, func() (bool, error) {
		queues, err := inspector.Queues()
		if err != nil || !slices.Contains(queues, id) {
			return false, err
		}
		queue, err := inspector.GetQueueInfo(id)
		if err != nil {
			return false, fmt.Errorf("ask queue: %w", err)
		}
		if still++; queue.Size != hints || hints == 0 {
			hints, still = queue.Size, 0
		}
		return still >= 4, nil // two seconds: the feeder looks every second
	})
	if err != nil {
		return err
	}
	during, err := s.usedMemory(ctx)
	if err != nil {
		return err
	}
	r.weigh("Pregón: one hint in the queue", hints, during-before)
	return nil
}

// heldProvider accepts every message once it is opened.
type heldProvider struct{ open chan struct{} }

func (*heldProvider) Name() string { return "held" }

func (h *heldProvider) Send(ctx context.Context, _ providers.Message) (providers.Receipt, error) {
	select {
	case <-h.open:
		return providers.Receipt{ID: newUUID(), At: time.Now()}, nil
	case <-ctx.Done():
		return providers.Receipt{}, &providers.Error{Op: "send", Class: providers.Unsent, Code: "held", Err: ctx.Err()}
	}
}

// newUUID is a message id of the shape that the provider's document shows.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// weighParts says which keys the memory of a finished campaign is in. Redis's own tables come on top.
func (s *stand) weighParts(ctx context.Context, r *report, id string) error {
	own := "pregon:{" + id + "}:"
	parts := []struct{ what, prefix string }{
		{"· of which pages (the people and their variables)", own + "page:"},
		{"· of which records (state, attempt, times, message id)", own + "rows:"},
		{"· of which the message-id index", "pregon:mid:"},
		{"· of which the rest, asynq's own keys included", ""},
	}
	bytes := make([]int, len(parts))
	keys := s.rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		n, err := s.rdb.MemoryUsage(ctx, keys.Val(), 0).Result()
		if errors.Is(err, redis.Nil) {
			continue // it ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("weigh key: %w", err)
		}
		for i, part := range parts {
			if strings.HasPrefix(keys.Val(), part.prefix) {
				bytes[i] += int(n)
				break
			}
		}
	}
	if err := keys.Err(); err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for i, part := range parts {
		r.weigh(part.what, s.memoryRows, bytes[i])
	}
	return nil
}
