package jobs

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/jobs/journal"
)

// A keeper that is busy feeding must not look like a pause, and a pause must be seen without it.
func TestWhatTheGateTrustsIsKeptFreshApartFromTheKeeper(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2))
		var live liveness
		j, err := journal.Open("", s.log.logger())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		sender := &sender{
			ledger: s.ledger, campaign: &ledger.Campaign{ID: "c1"}, live: &live, stop: ctx, log: s.log.logger(),
			barrier: &barrier{
				ledger: s.ledger, recall: &recall{journal: j}, campaign: "c1", worker: "w00000", log: s.log.logger(),
			},
		}
		wg.Go(func() { sender.pulse(ctx) })
		for range 2 {
			await(t, "the campaign that runs is seen running", live.fresh)
			live.stopped() // as it gets old while a keeper is busy
		}
		if _, _, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Pause, Person: true}); err != nil {
			t.Fatal(err)
		}
		await(t, "the pause is seen", func() bool { return !live.fresh() })
	})
}
