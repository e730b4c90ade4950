package providers

import (
	"errors"
	"math"
	"strings"
	"time"
)

// Forever is a Suppress that does not end: the person asked not to be written to.
const Forever = time.Duration(math.MaxInt64)

// Error is the only kind of error that Send returns. Its text holds no person, no message and no secret.
type Error struct {
	Op    string // what was being done: "contactovirtual send"
	Class Class
	// Code is the provider's own ("1002"), verbatim, or one of the Code constants of this package, or "http_<status>".
	Code       string
	Reason     string        // the provider's words, masked by Mask
	RetryAfter time.Duration // the earliest sensible next try; 0 = not said
	Suppress   time.Duration // Rejected only: keep the number out of later campaigns this long; Forever = opted out
	// MarketingOnly limits Suppress to marketing: other messages may still go to this person.
	MarketingOnly bool
	Halt          bool // no message of this campaign can fare better: stop it at once
	// Suspect is a share of a campaign's first results, of about 20. Once so many of them bear this code, not their rows
	// are to be suspected but the list or the account: 0.8 for "not on WhatsApp" means that four in five are no longer a
	// matter of four people. 0 = never.
	Suspect float64
	// AskBalance is set with class Broke when the provider uses one code for "no balance" and "account inactive".
	// Ask for the balance and then use WithBalance.
	AskBalance bool
	Err        error // what lies below, if anything; errors.Is finds context errors and the gate's own
}

// Error is one English line for engineers: what was being done, code, class and the provider's words.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	if e.Code != "" {
		b.WriteString(e.Code + " ")
	}
	b.WriteString("(" + e.Class.String() + ")")
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	if e.Err != nil {
		b.WriteString(": " + Mask(e.Err.Error()))
	}
	return b.String()
}

// Unwrap gives what lies below.
func (e *Error) Unwrap() error { return e.Err }

// WithBalance decides an error that has AskBalance set: with more than low left, the account and not its balance is the
// trouble, so the copy it returns is Blocked. A low or unreadable balance leaves it Broke, which is watched and ends by
// itself. Other errors come back as they are.
func (e *Error) WithBalance(b Balance, low float64) *Error {
	if !e.AskBalance {
		return e
	}
	decided := *e
	decided.AskBalance = false
	if b.Known && b.Amount > low {
		decided.Class = Blocked
	}
	return &decided
}

// Meaning explains a code to people: what happened and what to do, in Spanish and in English.
type Meaning struct {
	Class         Class
	ES, EN        string        // two sentences: what happened, what to do
	RetryAfter    time.Duration // as in Error
	Suppress      time.Duration // as in Error
	MarketingOnly bool          // as in Error
	Halt          bool          // as in Error
	Suspect       float64       // as in Error
	AskBalance    bool          // as in Error
}

// Text is the meaning in a language: "en" is English, everything else Spanish.
func (m Meaning) Text(lang string) string {
	if strings.HasPrefix(strings.ToLower(lang), "en") {
		return m.EN
	}
	return m.ES
}

// Error makes the error that a code with this meaning stands for. The reason is the provider's text, not yet masked.
func (m Meaning) Error(code, reason string) *Error {
	return &Error{
		Class: m.Class, Code: code, Reason: reason, RetryAfter: m.RetryAfter,
		Suppress: m.Suppress, MarketingOnly: m.MarketingOnly, Halt: m.Halt, Suspect: m.Suspect, AskBalance: m.AskBalance,
	}
}

// hidden keeps an error findable by errors.Is and errors.As while its own text, which may quote what a server sent,
// cannot be reached by printing or unwrapping.
type hidden struct {
	text string
	err  error
}

func (h *hidden) Error() string        { return h.text }
func (h *hidden) Is(target error) bool { return errors.Is(h.err, target) }
func (h *hidden) As(target any) bool   { return errors.As(h.err, target) }
