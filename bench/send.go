package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"pregon/providers"
)

// measureSend times one worker that sends a launched campaign to a provider which answers at once, and the whole way
// from the file to the last recorded answer. A loop that only POSTs shows how far HTTP itself could go.
func measureSend(ctx context.Context, s *stand, r *report) error {
	path, err := s.contacts(s.messages)
	if err != nil {
		return err
	}
	sim, err := s.startProvider(ctx)
	if err != nil {
		return err
	}
	defer sim.stop()
	t := sendTurns{stand: s, provider: sim, path: path}
	c := contest{
		parts: []part{
			{fmt.Sprintf("Sending %d messages, %d in flight", s.messages, s.concurrency), "messages"},
			{fmt.Sprintf("The same from the file to the last recorded answer, %d rows", s.messages), "messages"},
		},
		contenders: []contender{
			{"Pregón: one worker", t.pregon},
			{"asynq: a handler that POSTs and stores", t.plain},
			{"no queue: a loop that POSTs", t.loop},
		},
	}
	outcomes, err := c.hold(ctx, s.rounds, s.log)
	if err != nil {
		return err
	}
	r.add(outcomes)
	return nil
}

// sendTurns are the turns of the contest: the same file to the same provider.
type sendTurns struct {
	*stand
	provider *provider
	path     string
}

func (t sendTurns) prepare(ctx context.Context) error {
	return errors.Join(t.clear(ctx), t.provider.reset(ctx))
}

func (t sendTurns) pregon(ctx context.Context) (samples []sample, err error) {
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	connections := providers.NewHTTPClient(providers.MaxConns(t.concurrency))
	defer connections.CloseIdleConnections()
	contactovirtual, err := client(t.provider.url, connections)
	if err != nil {
		return nil, err
	}
	p, err := t.newPregon(contactovirtual)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	launch, id, err := t.launched(ctx, p, t.path, t.messages)
	if err != nil {
		return nil, err
	}
	watch, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	var send sample
	err = t.work(ctx, p, id, t.messages, func() (err error) {
		send, err = watch.stop(ctx, t.messages)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []sample{send, launch.plus(send)}, t.provider.expect(ctx, t.messages)
}

func (t sendTurns) plain(ctx context.Context) ([]sample, error) {
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	enqueue, err := t.enqueueTurn(ctx, t.path, t.messages)
	if err != nil {
		return nil, err
	}
	watch, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	var send sample
	err = t.workPlain(ctx, newPlainHandler(t.provider.url, t.concurrency), t.messages, func() (err error) {
		send, err = watch.stop(ctx, t.messages)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []sample{send, enqueue.plus(send)}, t.provider.expect(ctx, t.messages)
}

// loop POSTs the file from as many goroutines, remembering nothing.
func (t sendTurns) loop(ctx context.Context) ([]sample, error) {
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	h := newPlainHandler(t.provider.url, t.concurrency)
	defer h.http.CloseIdleConnections()
	send, err := t.timed(ctx, t.messages, func() (int, error) { return t.post(ctx, h) })
	if err != nil {
		return nil, err
	}
	return []sample{send}, t.provider.expect(ctx, t.messages)
}

func (t sendTurns) post(ctx context.Context, h *plainHandler) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tasks := make(chan plainTask)
	var wg sync.WaitGroup
	for range t.concurrency {
		wg.Go(func() {
			for task := range tasks {
				if _, err := h.post(ctx, task, "bench"); err != nil {
					cancel(err)
				}
			}
		})
	}
	rows, err := readPlain(t.path, func(_ int, record []string) error {
		select {
		case tasks <- plainTask{Phone: "57" + record[0], Variables: append([]string(nil), record[1:]...)}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(tasks)
	wg.Wait()
	return rows, errors.Join(err, context.Cause(ctx))
}
