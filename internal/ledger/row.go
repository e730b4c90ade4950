package ledger

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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
	Queued: "q", Sending: "s", Waiting: "w", Accepted: "a", Failed: "f", InDoubt: "d",
}

// Record is what changes of one row: its state and its last attempt.
type Record struct {
	State     RowState
	Fence     int       // attempt number
	Tries     int       // what counts against the limit
	ChangedAt time.Time // to the second
	Due       time.Time // sending: deadline; waiting: earliest next try
	Code      string    // why: the provider's code or ours
	MessageID string    // accepted and later
	Class     string    // what the answer meant; "" while there is none; "person" for a decision
	Took      time.Duration
	Why       string    // the provider's words
	Past      []Attempt // the attempts before the last one and the decisions between them, oldest first
}

// Attempt is one attempt at a row, or a person's decision about it (class "person").
type Attempt struct {
	Fence int
	State RowState // what the row became
	At    time.Time
	Took  time.Duration
	Class string
	Code  string
	Why   string
}

// Attempts are all attempts and decisions that the row remembers, oldest first, the last one included if it has come
// to an end. Attempts that sent nothing because their claim was given back left no trace.
func (r Record) Attempts() []Attempt {
	all := r.Past[:len(r.Past):len(r.Past)]
	if r.State == Sending || (r.Class == "" && r.Code == "") {
		return all
	}
	return append(all, Attempt{
		Fence: r.Fence, State: r.State, At: r.ChangedAt, Took: r.Took, Class: r.Class, Code: r.Code, Why: r.Why,
	})
}

// recordShape is SHAPE of lua/record.lua: what a script would not read is not guessed at here either.
var recordShape = regexp.MustCompile(`^([a-z]):(\d+):(\d+):(\d*):(\d*):([^:]*):([^:]*)(?::([^:]*):(\d*):([^:]*))?$`)

// parseRecord reads a record as lua/record.lua writes it; one without the last three fields is of an older version.
// reasons has the words behind the key of the last field.
func parseRecord(text string, reasons map[string]string) (Record, error) {
	f := recordShape.FindStringSubmatch(text)
	if f == nil {
		return Record{}, fmt.Errorf("record does not parse: %w", ErrCorrupt)
	}
	f = f[1:]
	state, known := letters[f[0]]
	fence, err1 := strconv.Atoi(f[1])
	tries, err2 := strconv.Atoi(f[2])
	if !known || err1 != nil || err2 != nil {
		return Record{}, fmt.Errorf("record does not parse: %w", ErrCorrupt)
	}
	due, _ := strconv.ParseInt(f[4], 10, 64) // empty is zero
	r := Record{
		State: state, Fence: fence, Tries: tries, ChangedAt: seconds(f[3]), Due: milliseconds(due), Code: f[5],
		Class: f[7], Took: took(f[8]), Why: reasons[f[9]],
	}
	if state == Accepted { // until then it is the nonce
		r.MessageID = unpackID(f[6])
		if r.Class == "" {
			r.Class = "accepted"
		}
	}
	return r, nil
}

func took(text string) time.Duration {
	ms, _ := strconv.ParseInt(text, 10, 64) // empty is zero
	return time.Duration(ms) * time.Millisecond
}

// parsePast reads the attempts that lua/record.lua put aside. What does not parse is left out: it is history, and
// nothing is decided by it.
func parsePast(text string, reasons map[string]string) []Attempt {
	var past []Attempt
	for line := range strings.SplitSeq(text, ";") {
		f := strings.Split(line, ",")
		if len(f) != 7 {
			continue
		}
		fence, err := strconv.Atoi(f[0])
		state, known := letters[f[1]]
		if err != nil || !known {
			continue
		}
		past = append(past, Attempt{
			Fence: fence, State: state, At: seconds(f[2]), Took: took(f[3]), Class: f[4], Code: f[5],
			Why: reasons[f[6]],
		})
	}
	slices.Reverse(past)
	return past
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
