package jobs

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
)

// A keeper that is busy feeding must not look like a pause, and a pause must be seen without it.
func TestWhatTheGateTrustsIsKeptFreshApartFromTheKeeper(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newFakeStage(t, rdb, new(fake))
		commit(t, s.ledger, "c1", valid(2))
		var live liveness
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() { live.watch(ctx, s.ledger, "c1") })
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
