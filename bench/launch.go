package main

import (
	"context"
	"errors"
	"fmt"
)

// measureLaunch times the way from a CSV file to work that a worker can take up: Pregón checks every row and launches a
// campaign, the plain program enqueues a task per row. encoding/csv alone shows how far reading could go.
func measureLaunch(ctx context.Context, s *stand, r *report) error {
	path, err := s.contacts(s.rows)
	if err != nil {
		return err
	}
	c := contest{
		parts: []part{{fmt.Sprintf("Launching a CSV of %d rows", s.rows), "rows"}},
		contenders: []contender{
			{"Pregón: check and launch", func(ctx context.Context) ([]sample, error) {
				took, err := s.launchTurn(ctx, path, s.rows)
				return []sample{took}, err
			}},
			{"asynq: client.Enqueue per row", func(ctx context.Context) ([]sample, error) {
				took, err := s.enqueueTurn(ctx, path, s.rows)
				return []sample{took}, err
			}},
			{"encoding/csv: read the file only", func(ctx context.Context) ([]sample, error) {
				took, err := s.timed(ctx, s.rows, func() (int, error) {
					return readPlain(path, func(int, []string) error { return nil })
				})
				return []sample{took}, err
			}},
		},
	}
	outcomes, err := c.hold(ctx, s.rounds, s.log)
	if err != nil {
		return err
	}
	r.add(outcomes)
	return nil
}

// timed measures work that says how much it did, and is an error when that is not everything.
func (s *stand) timed(ctx context.Context, want int, work func() (int, error)) (sample, error) {
	watch, err := s.start(ctx)
	if err != nil {
		return sample{}, err
	}
	done, err := work()
	if err != nil {
		return sample{}, err
	}
	took, err := watch.stop(ctx, done)
	if err == nil && done != want {
		err = fmt.Errorf("%d of %d were done", done, want)
	}
	return took, err
}

// launchTurn launches the file on an empty Redis, and looks whether the campaign is all there.
func (s *stand) launchTurn(ctx context.Context, path string, rows int) (took sample, err error) {
	if err := s.clear(ctx); err != nil {
		return sample{}, err
	}
	p, err := s.newPregon(nil)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	took, _, err = s.launched(ctx, p, path, rows)
	return took, err
}

// launched times a launch and returns the campaign, which must have every row queued.
func (s *stand) launched(ctx context.Context, p *pregon, path string, rows int) (took sample, id string, err error) {
	took, err = s.timed(ctx, rows, func() (valid int, err error) {
		id, valid, err = p.launch(ctx, path)
		return valid, err
	})
	if err != nil {
		return took, id, err
	}
	st, err := p.operator.Status(ctx, id)
	if err == nil && st.Counts.Open() != rows {
		err = fmt.Errorf("the campaign has %d open rows, want %d", st.Counts.Open(), rows)
	}
	return took, id, err
}

// enqueueTurn enqueues the file on an empty Redis.
func (s *stand) enqueueTurn(ctx context.Context, path string, rows int) (sample, error) {
	if err := s.clear(ctx); err != nil {
		return sample{}, err
	}
	return s.timed(ctx, rows, func() (int, error) { return s.enqueuePlain(ctx, path) })
}
