package jobs

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/providers"
)

func everyCountry() map[string]time.Time { return map[string]time.Time{"*": time.Now().Add(time.Hour)} }

// fake is a provider that does what a test says.
type fake struct {
	send    func(ctx context.Context, m providers.Message) (providers.Receipt, error)
	balance func() (providers.Balance, error)
	sent    atomic.Int64
	asked   atomic.Int64
}

func (f *fake) Name() string { return "fake" }

// Send asks the gate as a real client does, and counts what passed it.
func (f *fake) Send(ctx context.Context, m providers.Message) (providers.Receipt, error) {
	if err := m.Gate(); err != nil {
		return providers.Receipt{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeGate, Err: err}
	}
	f.sent.Add(1)
	if f.send != nil {
		return f.send(ctx, m)
	}
	return providers.Receipt{ID: m.Ref}, nil
}

func (f *fake) Balance(context.Context) (providers.Balance, error) {
	f.asked.Add(1)
	if f.balance == nil {
		return providers.Balance{}, &providers.Error{Code: providers.CodeTimeout}
	}
	return f.balance()
}

// newFakeStage is a stage whose account is at a fake provider.
func newFakeStage(t *testing.T, rdb redis.UniversalClient, f *fake) *stage {
	t.Helper()
	s := &stage{
		t: t, addr: rdb.(*redis.Client).Options().Addr, rdb: rdb, ledger: newLedger(t, rdb), log: new(tap),
		queue: asynq.NewInspectorFromRedisClient(rdb), account: Account{Name: "cv", Provider: f, Rate: 500, Burst: 5},
	}
	t.Cleanup(s.private)
	return s
}
