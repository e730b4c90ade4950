package jobs

import (
	"context"
	"time"

	"pregon/internal/ledger"
)

// markEvery is how often, at most, a campaign's balance is looked at as evidence for rows in doubt.
const markEvery = 30 * time.Second

// markTimeout is how long such a look may take: sending waits for the first one.
const markTimeout = 3 * time.Second

// mark is when a keeper last looked at the balance, and how many rows were in doubt then.
type mark struct {
	at      time.Time
	inDoubt int
}

// markBalance remembers the balance when rows came into doubt: what was spent since the one before helps a person to
// tell whether they were sent. It does not hold the keeper up.
func (k *keeper) markBalance(ctx context.Context, s ledger.Status) {
	changed := s.Counts[ledger.InDoubt] != k.marked.inDoubt
	if changed && time.Since(k.marked.at) >= markEvery {
		k.marked = mark{at: time.Now(), inDoubt: s.Counts[ledger.InDoubt]}
		k.asks.Go(func() { k.askBalance(ctx, s.Counts, "balance:") })
	}
}

// askBalance remembers the balance now. One worker asks at a time; a balance that cannot be had is no evidence, and no
// trouble.
func (k *keeper) askBalance(ctx context.Context, c ledger.Counts, duty string) {
	provider, can := k.lane.Provider.(balancer)
	if !can {
		return
	}
	mine, err := k.ledger.Lease(ctx, duty+k.campaign.ID, k.worker.name, markEvery)
	if err != nil || !mine {
		return
	}
	ask, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	b, err := provider.Balance(ask)
	if err != nil || !b.Known {
		return
	}
	m := ledger.BalanceMark{
		At: k.worker.now(), Amount: b.Amount, InDoubt: c[ledger.InDoubt],
		Accepted: c[ledger.Accepted] + c[ledger.Sent] + c[ledger.Delivered] + c[ledger.Read],
	}
	if err := k.ledger.MarkBalance(ctx, k.campaign.ID, m); err != nil {
		k.log.WarnContext(ctx, "balance not remembered", "err", err)
	}
}
