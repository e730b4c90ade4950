// Package jobs carries campaigns out. It is the only package that knows asynq, and the one that joins the file's
// rows (package campaign), the truth about them (internal/ledger) and the companies that send them (package
// providers).
//
// One campaign is one asynq queue. A task in it is a hint, "look at row 4213": it may come twice, late or never,
// because the right to send comes from a claim in the ledger alone. Operator launches and steers campaigns; Worker
// sends them.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"pregon/campaign"
	"pregon/providers"
)

// Account is one set of credentials and limits at one provider.
type Account struct {
	Name      string
	Provider  providers.Provider
	Rate      float64  // messages per second, over the whole fleet
	Burst     int      // back-to-back messages, at least 1
	Cost      *float64 // per message, in the balance's unit; nil = unknown
	Templates map[string]campaign.Template
}

// The capabilities that a provider may have beside sending. They are declared here, where they are used.
type (
	balancer interface {
		Balance(ctx context.Context) (providers.Balance, error)
	}
	lister interface {
		Templates(ctx context.Context) ([]providers.Template, error)
	}
	limited interface {
		Limits() providers.Limits
	}
	teller interface {
		Describe(code string) (providers.Meaning, bool)
	}
)

// TypeSend is the asynq task type of a hint. It carries a version: a later one may live beside it in the same queue.
const TypeSend = "send:v1"

// hint is the payload of TypeSend: ids only, since everybody who can open the queue dashboard sees it.
type hint struct {
	Campaign string `json:"campaign"`
	Row      int    `json:"row"`
}

// The limits of a hint's life in asynq.
const (
	// hintRetries is far above what the ledger allows: asynq's counter is a fuse, the ledger counts the tries.
	// Zero would archive a hint whose worker was killed without ever running it again.
	hintRetries = 100_000
	// hintTimeout lies far above the longest handler: at a task's timeout asynq queues it again while its handler
	// runs.
	hintTimeout = 10 * time.Minute
)

func newHint(campaignID string, row, generation int) (*asynq.Task, error) {
	payload, err := json.Marshal(hint{Campaign: campaignID, Row: row})
	if err != nil {
		return nil, fmt.Errorf("encode hint: %w", err)
	}
	id := campaignID + ":" + strconv.Itoa(row) + ":" + strconv.Itoa(generation)
	return asynq.NewTask(TypeSend, payload, asynq.TaskID(id), asynq.Queue(campaignID),
		asynq.MaxRetry(hintRetries), asynq.Timeout(hintTimeout)), nil
}

func parseHint(t *asynq.Task) (hint, error) {
	var h hint
	if t.Type() != TypeSend {
		return h, fmt.Errorf("task type %q is not %q", t.Type(), TypeSend)
	}
	if err := json.Unmarshal(t.Payload(), &h); err != nil {
		return h, errors.New("payload is not a hint")
	}
	if h.Campaign == "" || h.Row <= 0 {
		return h, errors.New("payload names no row")
	}
	return h, nil
}
