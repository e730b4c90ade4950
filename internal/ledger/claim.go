package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Verdict is what CLAIM said.
type Verdict string

// The verdicts of a claim. Only Go gives the right to send.
const (
	Go      Verdict = "GO"
	Busy    Verdict = "BUSY"     // another attempt is under way; Retry says when it ends at the latest
	Wait    Verdict = "WAIT"     // not before Due
	Done    Verdict = "DONE"     // State says how it ended
	Doubt   Verdict = "IN_DOUBT" // a person decides
	Closed  Verdict = "CLOSED"   // the campaign does not run; Campaign and Reason say why
	Window  Verdict = "WINDOW"   // people of this country may not be contacted now
	Void    Verdict = "VOID"     // this nonce was released or settled
	Epoch   Verdict = "EPOCH"    // Redis was restarted, and not all workers have said yet what they did before
	Probing Verdict = "PROBING"  // one message tries out the account, and it is not this one
	Corrupt Verdict = "CORRUPT"
)

// Claim is the answer to a claim, and after Go the ticket to settle or release it.
type Claim struct {
	Verdict  Verdict
	Campaign string
	Row      int
	Nonce    string
	Fence    int
	Tries    int       // counted so far, this attempt not included
	Deadline time.Time // Go: afterwards the row is in doubt
	Probe    bool      // Go: this message tries out the account
	Due      time.Time // Wait
	Retry    time.Duration
	State    RowState // Done
	Code     string   // Done and Doubt: why
	Control  State    // Closed
	Reason   string   // Closed
}

// NewClaim names an attempt of a worker (see WorkerName; "" for none). The same ticket may be asked again: after a lost
// answer it gets the same claim.
func NewClaim(campaign string, row int, worker string) Claim {
	return Claim{Campaign: campaign, Row: row, Nonce: newNonce(worker)}
}

// Claim takes the right to send one valid row for at most ttl. The caller knows from the page that the row is Valid
// and which country it is in.
func (l *Ledger) Claim(ctx context.Context, ticket Claim, country string, ttl time.Duration) (Claim, error) {
	c := ticket
	keys := append(rowKeys(c.Campaign, c.Row), campaignKey(c.Campaign, "void:"+c.Nonce))
	a, err := words(claimScript.Run(ctx, l.rdb, keys, c.Row, c.Nonce, ttl.Milliseconds(), country).Result())
	if err != nil {
		return c, fmt.Errorf("claim row %d of campaign %s: %w", c.Row, c.Campaign, err)
	}
	c.Verdict = Verdict(a.text(0))
	switch c.Verdict {
	case Go:
		c.Fence, c.Tries, c.Deadline = int(a.number(1)), int(a.number(2)), milliseconds(a.number(3))
		c.Probe = a.number(4) == 1
	case Busy:
		c.Retry = time.Duration(a.number(1)) * time.Millisecond
	case Wait:
		c.Due = milliseconds(a.number(1))
	case Done:
		c.State, c.Code = RowState(a.text(1)), a.text(2)
	case Closed:
		c.Control, c.Reason = State(a.text(1)), a.text(2)
	case Doubt:
		c.Code = a.text(1)
	case Window, Void, Epoch, Probing:
	case Corrupt:
		return c, fmt.Errorf("claim row %d of campaign %s: %w", c.Row, c.Campaign, ErrCorrupt)
	default:
		return c, fmt.Errorf("claim row %d of campaign %s answered %q: %w", c.Row, c.Campaign, c.Verdict, ErrCorrupt)
	}
	return c, nil
}

// voidFor is how long a released nonce stays void: far longer than a command can be on its way.
const voidFor = 10 * time.Minute

// Release gives back a claim that provably sent nothing, whether or not its answer ever came. It reports whether
// the row was still held by this nonce.
func (l *Ledger) Release(ctx context.Context, c Claim) (bool, error) {
	keys := append(rowKeys(c.Campaign, c.Row), campaignKey(c.Campaign, "void:"+c.Nonce))
	release := func(awake int) (string, error) {
		a, err := words(releaseScript.Run(ctx, l.rdb, keys, c.Row, c.Nonce, voidFor.Milliseconds(), awake).Result())
		if err != nil {
			return "", fmt.Errorf("release row %d of campaign %s: %w", c.Row, c.Campaign, err)
		}
		return a.text(0), nil
	}
	word, err := release(0)
	if err == nil && word == "ASLEEP" {
		err = l.awake(ctx, c.Campaign, func() error {
			word, err = release(1)
			return err
		})
	}
	if err != nil {
		return false, err
	}
	if word == string(Corrupt) {
		return false, fmt.Errorf("release row %d of campaign %s: %w", c.Row, c.Campaign, ErrCorrupt)
	}
	return word == "RELEASED", nil
}

// awake does what may open a row of a finished campaign again: a worker must look at it, also if this process dies
// right afterwards, and once more if one let go of it in between.
func (l *Ledger) awake(ctx context.Context, campaign string, do func() error) error {
	if err := l.Activate(ctx, campaign); err != nil {
		return err
	}
	return errors.Join(do(), l.Activate(ctx, campaign)) // also when the answer was lost
}

// Outcome is what came of an attempt.
type Outcome struct {
	State     RowState // Accepted, Failed, InDoubt, Waiting, or Queued for "not this row's fault"
	Code      string
	MessageID string        // Accepted
	Account   string        // whose message id it is, for the index
	After     time.Duration // Waiting: not before this much later, by the ledger's clock at the settle
	Tried     bool          // counts against the limit
	Class     string        // what the answer meant; Content is the only one that the ledger knows
	Took      time.Duration // from the claim to the answer
	Why       string        // the provider's words, without a person or a secret
	// Suspect is the share of a campaign's first results that may bear this code before the list or the account is
	// suspected; 0 = never.
	Suspect float64
}

// Content is the class of a refusal that speaks of the template or its values. A campaign stops when too many answers
// are of this class.
const Content = "content"

// Alarm is what a campaign must stop for, as a settled row shows.
type Alarm string

// The alarms.
const (
	NoAlarm      Alarm = ""
	ContentAlarm Alarm = "content" // not the row's values but the template
	SuspectAlarm Alarm = "suspect" // not the person but the list or the account
)

// Settle records what came of a claim. Settling the same outcome again changes nothing. ErrFenced means that the
// row has another definite result or a later attempt.
func (l *Ledger) Settle(ctx context.Context, c Claim, o Outcome) (Alarm, error) {
	if o.State == Sending {
		o.State = "" // not an outcome
	}
	_, alarm, err := l.record(ctx, c, o, time.Time{})
	return alarm, err
}

// Reassert says again what was done with a claim, to a Redis that may have forgotten it: a result settled at a moment,
// or, with an outcome without a state, that the attempt is under way. It changes nothing that the ledger still knows,
// and reports whether it had forgotten.
func (l *Ledger) Reassert(ctx context.Context, c Claim, o Outcome, settled time.Time) (forgotten bool, err error) {
	due := time.Time{}
	switch o.State {
	case "":
		o.State, due = Sending, c.Deadline
	case Waiting:
		due = settled.Add(o.After)
	}
	changed, _, err := l.record(ctx, c, o, due)
	if errors.Is(err, ErrFenced) {
		return false, nil // it knows more
	}
	return changed, err
}

// record runs lua/settle.lua and reports whether it changed anything.
func (l *Ledger) record(ctx context.Context, c Claim, o Outcome, due time.Time) (changed bool, alarm Alarm, err error) {
	letter, ok := letterOf[o.State]
	if !ok {
		return false, NoAlarm, fmt.Errorf("settle row %d of campaign %s as %q: not an outcome", c.Row, c.Campaign, o.State)
	}
	settle := func() error {
		a, err := l.settle(ctx, c, o, settleArgs(c, o, letter, due))
		if err != nil {
			return fmt.Errorf("settle row %d of campaign %s: %w", c.Row, c.Campaign, err)
		}
		switch a.text(0) {
		case "SETTLED":
			changed, alarm = true, Alarm(a.text(1))
			return nil
		case "SAME":
			return nil
		case "FENCED":
			return fmt.Errorf("settle row %d of campaign %s, now %s: %w", c.Row, c.Campaign, a.text(1), ErrFenced)
		}
		return fmt.Errorf("settle row %d of campaign %s: %w", c.Row, c.Campaign, ErrCorrupt)
	}
	if o.State == Waiting || o.State == Queued || o.State == Sending {
		err = l.awake(ctx, c.Campaign, settle)
	} else {
		err = settle()
	}
	return changed, alarm, err
}

// settleArgs are the arguments of lua/settle.lua.
func settleArgs(c Claim, o Outcome, letter string, due time.Time) []any {
	tries, class, until := c.Tries, o.Class, ""
	if o.Tried {
		tries++
	}
	if o.State == Accepted {
		class = "" // goes without saying
	}
	if !due.IsZero() {
		until = strconv.FormatInt(due.UnixMilli(), 10)
	}
	return []any{
		c.Row, c.Fence, letter, cleanCode(o.Code), o.After.Milliseconds(), tries, packID(o.MessageID), cleanCode(c.Nonce),
		cleanCode(class), max(o.Took, 0).Milliseconds(), cleanWords(o.Why), o.Suspect, until,
	}
}

// settle runs the script; a message id is indexed before it, in the same round trip, so that a report that follows the
// answer at once finds its row.
func (l *Ledger) settle(ctx context.Context, c Claim, o Outcome, args []any) (answer, error) {
	keys := append(rowKeys(c.Campaign, c.Row), campaignKey(c.Campaign, "void:"+c.Nonce))
	if o.MessageID == "" || o.Account == "" {
		return words(settleScript.Run(ctx, l.rdb, keys, args...).Result())
	}
	place, now := Place{Campaign: c.Campaign, Row: c.Row, Fence: c.Fence}, time.Now()
	slice, entry := indexEntry(o.Account, o.MessageID, place, now)
	pipe := l.rdb.Pipeline()
	index := indexScript.EvalSha(ctx, pipe, slice, entry...)
	settled := settleScript.EvalSha(ctx, pipe, keys, args...)
	_, err := pipe.Exec(ctx)
	if err == nil || index.Err() == nil {
		if !redis.HasErrorPrefix(settled.Err(), "NOSCRIPT") {
			return words(settled.Result())
		}
	} else if !redis.HasErrorPrefix(index.Err(), "NOSCRIPT") {
		return nil, index.Err()
	}
	// Redis has forgotten its scripts: one by one they teach it again.
	if err := l.Index(ctx, o.Account, o.MessageID, place, now); err != nil {
		return nil, err
	}
	return words(settleScript.Run(ctx, l.rdb, keys, args...).Result())
}

// silence is how long a worker may be silent before its claims are in doubt: beats come every second while a campaign
// runs, and what is late for a moment is not dead.
const silence = 10 * time.Second

// Overdue returns up to limit rows whose claim, given for ttl, may have outlived its deadline or its worker; Expire
// decides.
func (l *Ledger) Overdue(ctx context.Context, campaign string, ttl time.Duration, limit int) ([]int, error) {
	now, err := l.Now(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := l.rdb.ZCount(ctx, campaignKey(campaign, "workers"), "-inf", millis(now.Add(-silence))).Result()
	if err != nil {
		return nil, fmt.Errorf("count silent workers of campaign %s: %w", campaign, err)
	}
	upTo := now
	if dead > 0 {
		upTo = now.Add(max(ttl-silence, 0)) // the deadlines of claims older than the silence
	}
	members, err := l.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: campaignKey(campaign, "sending"), ByScore: true, Start: "-inf", Stop: millis(upTo), Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list overdue claims of campaign %s: %w", campaign, err)
	}
	rows := make([]int, 0, len(members))
	for _, m := range members {
		row, err := strconv.Atoi(m)
		if err != nil {
			return nil, fmt.Errorf("list overdue claims of campaign %s: %w", campaign, ErrCorrupt)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Expire puts a row in doubt whose claim is overdue or whose worker is dead, and reports whether it was.
func (l *Ledger) Expire(ctx context.Context, campaign string, row int) (bool, error) {
	keys := append(rowKeys(campaign, row), campaignKey(campaign, "workers"))
	a, err := words(expireScript.Run(ctx, l.rdb, keys, row, silence.Milliseconds()).Result())
	if err != nil {
		return false, fmt.Errorf("expire row %d of campaign %s: %w", row, campaign, err)
	}
	if a.text(0) == string(Corrupt) {
		return false, fmt.Errorf("expire row %d of campaign %s: %w", row, campaign, ErrCorrupt)
	}
	return a.text(0) == string(Doubt), nil
}
