package journal

import (
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"pregon/internal/ledger"
)

// version is that of the lines written here. It grows when an older program would misunderstand a line; fields that it
// may as well overlook are added without.
const version = 1

// What a line says. A file is read from its beginning; of what it says about one attempt the last word counts.
const (
	claimed = "claimed"
	settled = "settled" // complete without its claim's line
	dropped = "dropped"
	forgot  = "forgot" // entries of the campaign up to At were let go to stay within bounds
)

// line is one event as it stands in a file and as it is remembered: ids and words of ours or of the provider's code
// lists, never a person, a phone or a text. To keep another field of a claim or an outcome, add it here and to the two
// functions that fill and read it.
type line struct {
	V        int    `json:"v"`
	Event    string `json:"e"`
	Campaign string `json:"c"`
	At       int64  `json:"at"`          // unix milliseconds, by this machine's clock
	Order    int64  `json:"n,omitempty"` // of the claims: where lines that were carried over stand in another one

	Row      int    `json:"row,omitempty"`
	Fence    int    `json:"fence,omitempty"`
	Tries    int    `json:"tries,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	Deadline int64  `json:"due,omitempty"` // unix milliseconds, as the ledger has it

	State     ledger.RowState `json:"state,omitempty"`
	Code      string          `json:"code,omitempty"`
	MessageID string          `json:"id,omitempty"`
	Account   string          `json:"account,omitempty"`
	After     time.Duration   `json:"after,omitempty"` // nanoseconds, like Took
	Tried     bool            `json:"tried,omitempty"`
	Class     string          `json:"class,omitempty"`
	Took      time.Duration   `json:"took,omitempty"`
	Why       string          `json:"-"` // remembered only: free text stays out of files
}

// claimLine says something of an attempt, now.
func claimLine(event string, c ledger.Claim) line {
	l := line{
		V: version, Event: event, Campaign: c.Campaign, At: time.Now().UnixMilli(),
		Row: c.Row, Fence: c.Fence, Tries: c.Tries, Nonce: c.Nonce,
	}
	if !c.Deadline.IsZero() {
		l.Deadline = c.Deadline.UnixMilli()
	}
	return l
}

// outcomeLine leaves out Suspect: it decides at the first settle only.
func outcomeLine(c ledger.Claim, o ledger.Outcome) line {
	l := claimLine(settled, c)
	l.State, l.Code, l.MessageID, l.Account, l.After = o.State, o.Code, o.MessageID, o.Account, o.After
	l.Tried, l.Class, l.Took, l.Why = o.Tried, o.Class, o.Took, o.Why
	return l
}

func (l *line) outcome() ledger.Outcome {
	return ledger.Outcome{
		State: l.State, Code: l.Code, MessageID: l.MessageID, Account: l.Account, After: l.After,
		Tried: l.Tried, Class: l.Class, Took: l.Took, Why: l.Why,
	}
}

// moment reads unix milliseconds as the ledger does.
func moment(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// whole reports whether everything is there that makes it what it says it is.
func (l *line) whole() bool {
	if l.Campaign == "" || l.At <= 0 {
		return false
	}
	attempt := l.Row > 0 && l.Fence > 0 && l.Nonce != ""
	switch l.Event {
	case claimed, dropped:
		return attempt && l.State == ""
	case settled:
		return attempt && l.State != ""
	}
	return l.Event == forgot
}

// encode ends the line. It cannot fail: there is nothing in a line that JSON has no form for.
func (l *line) encode() []byte {
	text, _ := json.Marshal(l)
	return append(text, '\n')
}

var (
	errDamaged = errors.New("damaged line")
	errNewer   = errors.New("written by a newer version of this program; start that one, or take another directory")
)

// parse reads a line without its newline.
func parse(text []byte) (line, error) {
	var l line
	err := json.Unmarshal(text, &l)
	if err != nil { // A newer version may have given a field another type.
		var header struct{ V int }
		if json.Unmarshal(text, &header) == nil && header.V > version {
			return line{}, errNewer
		}
		return line{}, errDamaged
	}
	switch {
	case l.V > version:
		return line{}, errNewer
	case l.V != version, !l.whole(), !utf8.Valid(text): // Unmarshal would have put in a sign of its own.
		return line{}, errDamaged
	}
	return l, nil
}
