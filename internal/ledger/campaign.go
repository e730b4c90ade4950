package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Campaign is what was launched: one file, one template, one account and the rules. It never changes.
type Campaign struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Account    string    `json:"account"`
	Template   string    `json:"template,omitempty"`
	Purpose    string    `json:"purpose"`
	AnyHour    bool      `json:"any_hour,omitempty"` // contact hours overridden; who launched is in LaunchedBy
	Rate       float64   `json:"rate,omitempty"`     // messages per second under the account's; 0 = the account's
	File       string    `json:"file"`               // the name people know it by
	Content    string    `json:"content"`            // hash of the checked rows
	Countries  []string  `json:"countries"`          // ISO regions of the valid rows
	Rows       int       `json:"rows"`
	Valid      int       `json:"valid"`
	Invalid    int       `json:"invalid"`
	Skipped    int       `json:"skipped"`
	LastRow    int       `json:"last_row"`    // the highest row number
	At         time.Time `json:"at,omitzero"` // scheduled start; zero = at once
	CreatedAt  time.Time `json:"created_at"`
	LaunchedBy string    `json:"launched_by,omitempty"`
}

// State is where a campaign is in its life.
type State string

// The states of a campaign. Draft is a launch that has not committed; "checked" never reaches Redis.
const (
	Draft     State = "draft"
	Scheduled State = "scheduled"
	Running   State = "running"
	Paused    State = "paused"
	Finished  State = "finished"
	Cancelled State = "cancelled"
)

// Control is what may change of a campaign, apart from its rows.
type Control struct {
	State      State
	Reason     string // why it is paused: operator, account, balance, breaker, window, template, list, epoch, asynqmon
	Detail     string // the reason in words, never a person or a secret
	ByPerson   bool   // only a person lifts it
	Since      time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	Generation int  // of hints
	FedPages   int  // pages up to this number (exclusive) have their hints
	FedRows    int  // valid rows among them
	Probing    bool // it runs to send one message that tries the account out
}

// Create writes the key of a campaign and its definition as a draft, and makes it known. Nothing is sent of a
// draft: until Commit another launch may replace its rules, but not its rows, whose pages may be there already
// (ErrConflict).
func (l *Ledger) Create(ctx context.Context, c Campaign) (*Writer, error) {
	stored, err := l.Campaign(ctx, c.ID)
	if err != nil && !errors.Is(err, ErrNoCampaign) {
		return nil, err
	}
	if stored != nil && (stored.Content != c.Content || stored.Rows != c.Rows) {
		return nil, fmt.Errorf("campaign %s: %w", c.ID, ErrConflict)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode campaign %s: %w", c.ID, err)
	}
	if err := l.rdb.Set(ctx, campaignKey(c.ID, "draft"), text, 0).Err(); err != nil {
		return nil, fmt.Errorf("store campaign %s: %w", c.ID, err)
	}
	box, err := l.keys.create(ctx, l.rdb, c.ID)
	if err != nil {
		return nil, err
	}
	// Known before it is committed: a launch killed after the commit is still found by the workers.
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAddNX(ctx, campaignsKey, redis.Z{Score: float64(c.CreatedAt.UnixMilli()), Member: c.ID})
		p.SAdd(ctx, activeKey, c.ID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list campaign %s: %w", c.ID, err)
	}
	return &Writer{ledger: l, campaign: c.ID, box: box, page: -1, pipe: l.rdb.Pipeline(), last: -1}, nil
}

// Commit launches a campaign whose pages are all written. It happens once; a repetition returns the state found.
func (l *Ledger) Commit(ctx context.Context, c Campaign) (State, error) {
	state := Running
	if !c.At.IsZero() {
		state = Scheduled
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode campaign %s: %w", c.ID, err)
	}
	keys := []string{
		campaignKey(c.ID, "control"), campaignKey(c.ID, "counts"), campaignKey(c.ID, "campaign"), campaignKey(c.ID, "draft"),
	}
	got, err := commitScript.Run(ctx, l.rdb, keys, string(state), c.Valid, c.Invalid, c.Skipped, text).Text()
	if err != nil {
		return "", fmt.Errorf("commit campaign %s: %w", c.ID, err)
	}
	l.nudge(ctx, c.ID)
	return State(got), nil
}

// Campaign reads a definition: of a launched campaign, which never changes, or of a draft.
func (l *Ledger) Campaign(ctx context.Context, id string) (*Campaign, error) {
	l.mu.Lock()
	known := l.definitions[id]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}
	texts, err := l.rdb.MGet(ctx, campaignKey(id, "campaign"), campaignKey(id, "draft")).Result()
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", id, err)
	}
	text, launched := texts[0].(string)
	if !launched {
		var draft bool
		if text, draft = texts[1].(string); !draft {
			return nil, fmt.Errorf("campaign %s: %w", id, ErrNoCampaign)
		}
	}
	c := new(Campaign)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("decode campaign %s: %w", id, ErrCorrupt)
	}
	if launched {
		l.mu.Lock()
		l.definitions[id] = c
		l.mu.Unlock()
	}
	return c, nil
}

// Control reads what may change of a campaign. A campaign without a control key is a draft.
func (l *Ledger) Control(ctx context.Context, campaign string) (Control, error) {
	fields, err := l.rdb.HGetAll(ctx, campaignKey(campaign, "control")).Result()
	if err != nil {
		return Control{}, fmt.Errorf("read control of campaign %s: %w", campaign, err)
	}
	return parseControl(fields), nil
}

func parseControl(f map[string]string) Control {
	number := func(name string) int {
		n, _ := strconv.Atoi(f[name]) // written by our scripts; absent is zero
		return n
	}
	c := Control{
		State: State(f["state"]), Reason: f["reason"], Detail: f["detail"], ByPerson: f["by"] == "person",
		Since: seconds(f["since"]), StartedAt: seconds(f["started"]), FinishedAt: seconds(f["finished"]),
		Generation: number("generation"), FedPages: number("fed_pages"), FedRows: number("fed_rows"),
	}
	_, c.Probing = f["allow"]
	if c.State == "" {
		c.State = Draft
	}
	return c
}

// List returns the ids of all campaigns, the newest first.
func (l *Ledger) List(ctx context.Context) ([]string, error) {
	ids, err := l.rdb.ZRevRange(ctx, campaignsKey, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	return ids, nil
}

// Active returns the ids of the campaigns that workers must look at: all but those that Retire took off.
func (l *Ledger) Active(ctx context.Context) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, activeKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list active campaigns: %w", err)
	}
	return ids, nil
}

// Activate puts a campaign back before the workers, after something reopened it.
func (l *Ledger) Activate(ctx context.Context, campaign string) error {
	if err := l.rdb.SAdd(ctx, activeKey, campaign).Err(); err != nil {
		return fmt.Errorf("activate campaign %s: %w", campaign, err)
	}
	return nil
}

// Retire takes a finished or cancelled campaign off the workers' list.
func (l *Ledger) Retire(ctx context.Context, campaign string) error {
	if err := l.rdb.SRem(ctx, activeKey, campaign).Err(); err != nil {
		return fmt.Errorf("retire campaign %s: %w", campaign, err)
	}
	return nil
}

// Verb is what Steer does to a campaign.
type Verb string

// The verbs. Each applies only in some states; see lua/steer.lua.
const (
	Pause  Verb = "pause"
	Resume Verb = "resume"
	Start  Verb = "start"
	Cancel Verb = "cancel"
	Finish Verb = "finish"
)

// Steering is one steering of a campaign and who does it.
type Steering struct {
	Verb   Verb
	Reason string // of a pause; of a machine's resume: the only reason it may lift
	Detail string
	Person bool
	Probe  bool // of a machine's resume: one message, to try the account out
}

// Steer pauses, resumes, starts, cancels or finishes a campaign. It returns the state afterwards, and false when
// the verb did not apply in the state found.
func (l *Ledger) Steer(ctx context.Context, campaign string, s Steering) (State, bool, error) {
	by, allow := "machine", ""
	if s.Person {
		by = "person"
	}
	if s.Probe {
		allow = "1"
	}
	keys := []string{campaignKey(campaign, "control"), campaignKey(campaign, "counts"), campaignKey(campaign, "waiting")}
	a, err := words(steerScript.Run(ctx, l.rdb, keys, string(s.Verb), s.Reason, s.Detail, by, allow).Result())
	if err != nil {
		return "", false, fmt.Errorf("%s campaign %s: %w", s.Verb, campaign, err)
	}
	done := a.text(1) == "OK"
	if done {
		l.nudge(ctx, campaign)
	}
	return State(a.text(0)), done, nil
}

// EndProbe lets a campaign that ran for one trial message go on as ever: the account is open.
func (l *Ledger) EndProbe(ctx context.Context, campaign string) error {
	if err := l.rdb.HDel(ctx, campaignKey(campaign, "control"), "allow", "probe").Err(); err != nil {
		return fmt.Errorf("end probe of campaign %s: %w", campaign, err)
	}
	l.nudge(ctx, campaign)
	return nil
}

// OpenUntil tells CLAIM until which instant each country may be contacted ("*" stands for every country). A country
// that is not named is closed.
func (l *Ledger) OpenUntil(ctx context.Context, campaign string, closing map[string]time.Time) error {
	if len(closing) == 0 {
		return nil
	}
	fields := make([]any, 0, 2*len(closing))
	for country, t := range closing {
		fields = append(fields, "open:"+country, t.UnixMilli())
	}
	if err := l.rdb.HSet(ctx, campaignKey(campaign, "control"), fields...).Err(); err != nil {
		return fmt.Errorf("open countries of campaign %s: %w", campaign, err)
	}
	return nil
}

// Fed records that the hints of all pages before `pages` (and so of `rows` valid rows) are in the queue of a
// generation. It reports false when another worker is further already.
func (l *Ledger) Fed(ctx context.Context, campaign string, generation, pages, rows int) (bool, error) {
	return l.feed(ctx, campaign, generation, pages, rows)
}

// NewGeneration makes every open row of the campaign be hinted anew.
func (l *Ledger) NewGeneration(ctx context.Context, campaign string, old int) (bool, error) {
	return l.feed(ctx, campaign, old, -1, 0)
}

func (l *Ledger) feed(ctx context.Context, campaign string, generation, pages, rows int) (bool, error) {
	keys := []string{campaignKey(campaign, "control")}
	word, err := feedScript.Run(ctx, l.rdb, keys, generation, pages, rows).Text()
	if err != nil {
		return false, fmt.Errorf("move feed cursor of campaign %s: %w", campaign, err)
	}
	return word == "OK", nil
}

// SameContent records that a campaign has this content and returns the campaigns that had it before, oldest first.
func (l *Ledger) SameContent(ctx context.Context, content, campaign string) ([]string, error) {
	key := "pregon:content:" + content
	if campaign != "" {
		err := l.rdb.ZAddNX(ctx, key, redis.Z{Score: float64(time.Now().UnixMilli()), Member: campaign}).Err()
		if err != nil {
			return nil, fmt.Errorf("remember content of campaign %s: %w", campaign, err)
		}
	}
	ids, err := l.rdb.ZRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("look up content: %w", err)
	}
	return ids, nil
}

// nudge tells the workers to look now. A lost nudge costs a second, no more.
func (l *Ledger) nudge(ctx context.Context, campaign string) {
	l.rdb.Publish(ctx, nudgeChannel, campaign)
}

// Nudges delivers the ids of campaigns whose state changed, until ctx ends.
func (l *Ledger) Nudges(ctx context.Context) <-chan string {
	out := make(chan string, 64)
	sub := l.rdb.Subscribe(ctx, nudgeChannel)
	go func() {
		defer close(out)
		defer func() { _ = sub.Close() }()
		in := sub.Channel()
		for {
			select {
			case <-ctx.Done():
				return
			case m, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- strings.Clone(m.Payload):
				default: // nobody reads: each campaign is looked at every few seconds anyway
				}
			}
		}
	}()
	return out
}
