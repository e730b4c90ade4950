package jobs

import (
	"context"
	"time"

	"pregon/internal/ledger"
)

// How often a closed account is asked whether what closed it is over, and how long one may take to answer.
const (
	reopenEvery  = time.Minute
	breakerEvery = 10 * time.Second
	askTimeout   = 10 * time.Second
)

// dutyTrial is held by the campaign whose message tries an account out.
const dutyTrial = "trial:"

// probeTime is how long one campaign may take to send the message that tries the account out.
var probeTime = claimTime + 20*time.Second

// reopened asks a closed account whether what closed it is over: a balance after a top-up, credentials that
// authenticate again, a provider that answers. Where that does not tell, one message tries it out. Everything else
// needs a person. One worker asks at a time.
func (k *keeper) reopened(ctx context.Context, a ledger.Account) (open, trial bool, err error) {
	if k.worker.now().Before(a.Until) {
		return false, false, nil
	}
	authenticates := a.Code == "2" || a.Code == "http_401"
	if a.Reason == closeAccount && !authenticates && a.Until.IsZero() {
		return false, false, nil
	}
	needsTrial := a.Reason == reasonBreaker || a.Code == codeWallet || (a.Reason == closeAccount && !authenticates)
	every := k.worker.reopenEvery
	if a.Reason == reasonBreaker {
		every = min(every, breakerEvery)
	}
	mine, err := k.ledger.Lease(ctx, "reopen:"+k.campaign.Account, k.worker.name+time.Now().String(), every)
	if err != nil || !mine {
		return false, false, err
	}
	if !k.answers(ctx, a) {
		return false, false, nil
	}
	if needsTrial {
		mine, err := k.ledger.Lease(ctx, dutyTrial+k.campaign.Account, k.campaign.ID, probeTime)
		return mine, true, err
	}
	open, err = k.ledger.OpenAccount(ctx, k.campaign.Account)
	return open, false, err
}

// answers asks for the balance, which is free. A provider without one cannot be asked, only tried out.
func (k *keeper) answers(ctx context.Context, a ledger.Account) bool {
	provider, can := k.lane.Provider.(balancer)
	if !can {
		return a.Reason == reasonBreaker
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	b, err := provider.Balance(ctx)
	if err != nil {
		return false
	}
	return a.Reason != closeBalance || (b.Known && b.Amount > k.lane.lowBalance())
}

// settleStrain tells the breaker of sends that ended well, so that it sees those of all workers.
func (k *keeper) settleStrain(ctx context.Context) error {
	n := k.lane.well.Swap(0)
	if n == 0 {
		return nil
	}
	_, err := k.ledger.Strain(ctx, k.lane.Name, int(n), false, false)
	return err
}
