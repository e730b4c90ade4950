package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/providers"
)

// Operator does what a person asks for at the command line or on a page: check, launch, watch, steer and read
// campaigns.
type Operator struct {
	ledger   *ledger.Ledger
	queue    *asynq.Inspector
	accounts map[string]Account
}

// Errors of an operator.
var (
	// ErrNotNow means that the campaign is in a state in which this cannot be done.
	ErrNotNow = errors.New("not possible in this state")
	// ErrNoCapability means that the account's provider has no such operation.
	ErrNoCapability = errors.New("the provider offers no such operation")
)

// NewOperator returns an operator of the campaigns in one Redis.
func NewOperator(rdb redis.UniversalClient, l *ledger.Ledger, accounts []Account) *Operator {
	o := &Operator{ledger: l, queue: asynq.NewInspectorFromRedisClient(rdb), accounts: make(map[string]Account)}
	for _, a := range accounts {
		o.accounts[a.Name] = a
	}
	return o
}

// Rules are what the account's provider accepts, for the check of a file.
func (a Account) Rules() (rules campaign.Rules, noVars bool) {
	p, ok := a.Provider.(limited)
	if !ok {
		return campaign.Rules{}, false
	}
	l := p.Limits()
	return campaign.Rules{
		Prefix: l.Prefix, Digits: l.Digits, NoBrackets: l.NoBrackets, MaxBody: l.MaxBody, MaxCustom: l.MaxCustom,
		MediaTypes: l.MediaTypes,
	}, l.NoVars
}

// Describe explains a provider's code to people; false when the provider does not list it.
func (a Account) Describe(code string) (providers.Meaning, bool) {
	if t, ok := a.Provider.(teller); ok {
		return t.Describe(code)
	}
	return providers.Meaning{}, false
}

// Balance asks the account for its credit.
func (a Account) Balance(ctx context.Context) (providers.Balance, error) {
	b, ok := a.Provider.(balancer)
	if !ok {
		return providers.Balance{}, fmt.Errorf("balance of account %q: %w", a.Name, ErrNoCapability)
	}
	return b.Balance(ctx)
}

// ListTemplates asks the account for its templates.
func (a Account) ListTemplates(ctx context.Context) ([]providers.Template, error) {
	p, ok := a.Provider.(lister)
	if !ok {
		return nil, fmt.Errorf("templates of account %q: %w", a.Name, ErrNoCapability)
	}
	return p.Templates(ctx)
}

// Pause stops a campaign: what is in flight ends, nothing new starts. The ledger comes first, since it decides.
func (o *Operator) Pause(ctx context.Context, id, why string) error {
	pause := ledger.Steering{Verb: ledger.Pause, Reason: reasonOperator, Detail: why, Person: true}
	if err := o.steer(ctx, id, pause); err != nil {
		return err
	}
	_ = o.queue.PauseQueue(id) // an error means that it is paused, or has no queue yet; the keeper asserts it
	return nil
}

// Resume lets a campaign go on. A closed account is opened: a person says that what closed it is mended.
func (o *Operator) Resume(ctx context.Context, id string) error {
	s, err := o.ledger.Status(ctx, id)
	if err != nil {
		return err
	}
	if s.Control.State == ledger.Paused {
		if _, err := o.ledger.OpenAccount(ctx, s.Campaign.Account); err != nil {
			return err
		}
	}
	return o.resume(ctx, id, ledger.Steering{Verb: ledger.Resume, Person: true})
}

// resume comes in this order, and looks at the queue twice, because a keeper may be asserting the pause meanwhile.
func (o *Operator) resume(ctx context.Context, id string, s ledger.Steering) error {
	_ = o.queue.UnpauseQueue(id) // an error means that it is not paused
	if err := o.steer(ctx, id, s); err != nil {
		return err
	}
	_ = o.queue.UnpauseQueue(id)
	return nil
}

// Cancel ends a campaign for good: its open rows are never sent.
func (o *Operator) Cancel(ctx context.Context, id, why string) error {
	return o.steer(ctx, id, ledger.Steering{Verb: ledger.Cancel, Reason: reasonOperator, Detail: why, Person: true})
}

// steer reports ErrNotNow when the verb does not apply, but not when the campaign is already there.
func (o *Operator) steer(ctx context.Context, id string, s ledger.Steering) error {
	if _, err := o.ledger.Campaign(ctx, id); err != nil {
		return err
	}
	state, ok, err := o.ledger.Steer(ctx, id, s)
	if err != nil {
		return err
	}
	reached := map[ledger.Verb]ledger.State{
		ledger.Pause: ledger.Paused, ledger.Resume: ledger.Running, ledger.Cancel: ledger.Cancelled,
	}
	if !ok && state != reached[s.Verb] && s.Person {
		return fmt.Errorf("%s campaign %s, which is %s: %w", s.Verb, id, state, ErrNotNow)
	}
	return nil
}
