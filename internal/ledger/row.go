package ledger

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// RowState is the one state a row is in.
type RowState string

// The states of a row, in the order people read them.
const (
	Queued       RowState = "queued"
	Sending      RowState = "sending"
	Waiting      RowState = "waiting"
	Accepted     RowState = "accepted"
	Sent         RowState = "sent"
	Delivered    RowState = "delivered"
	Read         RowState = "read"
	Failed       RowState = "failed"
	InDoubt      RowState = "in_doubt"
	SkippedRow   RowState = "skipped"
	CancelledRow RowState = "cancelled"
	InvalidRow   RowState = "invalid"
)

// RowStates lists all states; the counts of a campaign have one entry for each.
var RowStates = []RowState{
	Queued, Sending, Waiting, Accepted, Sent, Delivered, Read, Failed, InDoubt, SkippedRow, CancelledRow, InvalidRow,
}

var letters = map[string]RowState{
	"q": Queued, "s": Sending, "w": Waiting, "a": Accepted, "f": Failed, "d": InDoubt,
}

var letterOf = map[RowState]string{
	Queued: "q", Waiting: "w", Accepted: "a", Failed: "f", InDoubt: "d",
}

// Record is what changes of one row.
type Record struct {
	State     RowState
	Fence     int       // attempt number
	Tries     int       // what counts against the limit
	ChangedAt time.Time // to the second
	Due       time.Time // sending: deadline; waiting: earliest next try
	Code      string    // why: the provider's code or ours
	MessageID string    // accepted and later
}

// parseRecord reads a record as lua/record.lua writes it.
func parseRecord(text string) (Record, error) {
	f := strings.SplitN(text, ":", 7)
	if len(f) != 7 {
		return Record{}, fmt.Errorf("record has %d fields: %w", len(f), ErrCorrupt)
	}
	state, known := letters[f[0]]
	fence, err1 := strconv.Atoi(f[1])
	tries, err2 := strconv.Atoi(f[2])
	if !known || err1 != nil || err2 != nil {
		return Record{}, fmt.Errorf("record does not parse: %w", ErrCorrupt)
	}
	due, _ := strconv.ParseInt(f[4], 10, 64) // empty is zero
	r := Record{
		State: state, Fence: fence, Tries: tries, ChangedAt: seconds(f[3]), Due: milliseconds(due), Code: f[5],
	}
	if state != Sending { // there it is the nonce
		r.MessageID = unpackID(f[6])
	}
	return r, nil
}

var uuidShape = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// packID makes a message id short and free of separators: a UUID becomes 22 characters, anything else "=" and base64.
func packID(id string) string {
	if id == "" {
		return ""
	}
	if uuidShape.MatchString(id) {
		raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err == nil {
			return base64.RawURLEncoding.EncodeToString(raw)
		}
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(id))
}

func unpackID(packed string) string {
	if packed == "" {
		return ""
	}
	if rest, other := strings.CutPrefix(packed, "="); other {
		raw, err := base64.RawURLEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	raw, err := base64.RawURLEncoding.DecodeString(packed)
	if err != nil || len(raw) != 16 {
		return ""
	}
	h := hex.EncodeToString(raw)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

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
	Void    Verdict = "VOID"     // this nonce was released
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
	Due      time.Time // Wait
	Retry    time.Duration
	State    RowState // Done
	Code     string   // Done and Doubt: why
	Control  State    // Closed
	Reason   string   // Closed
}

// NewClaim names an attempt. The same ticket may be asked again: after a lost answer it gets the same claim.
func NewClaim(campaign string, row int) Claim {
	return Claim{Campaign: campaign, Row: row, Nonce: newNonce()}
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
	case Window, Void:
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
	a, err := words(releaseScript.Run(ctx, l.rdb, keys, c.Row, c.Nonce, voidFor.Milliseconds()).Result())
	if err != nil {
		return false, fmt.Errorf("release row %d of campaign %s: %w", c.Row, c.Campaign, err)
	}
	if a.text(0) == string(Corrupt) {
		return false, fmt.Errorf("release row %d of campaign %s: %w", c.Row, c.Campaign, ErrCorrupt)
	}
	return a.text(0) == "RELEASED", nil
}

// Outcome is what came of an attempt.
type Outcome struct {
	State     RowState // Accepted, Failed, InDoubt, Waiting, or Queued for "not this row's fault"
	Code      string
	MessageID string        // Accepted
	Account   string        // whose message id it is, for the index
	After     time.Duration // Waiting: not before this much later, by the ledger's clock at the settle
	Tried     bool          // counts against the limit
}

// Settle records what came of a claim. Settling the same outcome again changes nothing. ErrFenced means that the
// row has another definite result or a later attempt.
func (l *Ledger) Settle(ctx context.Context, c Claim, o Outcome) error {
	letter, ok := letterOf[o.State]
	if !ok {
		return fmt.Errorf("settle row %d of campaign %s as %q: not an outcome", c.Row, c.Campaign, o.State)
	}
	tries := 0
	if o.Tried {
		tries = 1
	}
	reopens := o.State == Waiting || o.State == Queued
	if reopens {
		// The campaign may have finished with this row in doubt: then it runs again, and a worker must look at it, also
		// if this process dies right after the script.
		if err := l.Activate(ctx, c.Campaign); err != nil {
			return err
		}
	}
	args := []any{c.Row, c.Fence, letter, cleanCode(o.Code), o.After.Milliseconds(), tries, packID(o.MessageID)}
	a, err := l.settle(ctx, c, o, args)
	if err != nil {
		return fmt.Errorf("settle row %d of campaign %s: %w", c.Row, c.Campaign, err)
	}
	switch a.text(0) {
	case "SETTLED", "SAME":
		if reopens { // once more: a worker may have let go of the finished campaign in between
			return l.Activate(ctx, c.Campaign)
		}
		return nil
	case "FENCED":
		return fmt.Errorf("settle row %d of campaign %s, now %s: %w", c.Row, c.Campaign, a.text(1), ErrFenced)
	}
	return fmt.Errorf("settle row %d of campaign %s: %w", c.Row, c.Campaign, ErrCorrupt)
}

// settle runs the script; a message id is indexed before it, in the same round trip, so that a report that follows the
// answer at once finds its row.
func (l *Ledger) settle(ctx context.Context, c Claim, o Outcome, args []any) (answer, error) {
	keys := rowKeys(c.Campaign, c.Row)
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

// Overdue returns up to limit rows whose claim has outlived its deadline.
func (l *Ledger) Overdue(ctx context.Context, campaign string, limit int) ([]int, error) {
	now, err := l.rdb.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("read clock: %w", err)
	}
	members, err := l.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: campaignKey(campaign, "sending"), ByScore: true, Start: "-inf",
		Stop: strconv.FormatInt(now.UnixMilli(), 10), Count: int64(limit),
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

// Expire puts a row whose claim is overdue in doubt, and reports whether it was.
func (l *Ledger) Expire(ctx context.Context, campaign string, row int) (bool, error) {
	a, err := words(expireScript.Run(ctx, l.rdb, rowKeys(campaign, row), row).Result())
	if err != nil {
		return false, fmt.Errorf("expire row %d of campaign %s: %w", row, campaign, err)
	}
	if a.text(0) == string(Corrupt) {
		return false, fmt.Errorf("expire row %d of campaign %s: %w", row, campaign, ErrCorrupt)
	}
	return a.text(0) == string(Doubt), nil
}
