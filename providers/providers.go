// Package providers says what a messaging provider is: something that takes one template message for one person and
// answers with a receipt or with a classified error. It also holds the careful HTTP client that every provider uses,
// which can tell whether a message may have left this machine. One package per company lives below it.
package providers

import (
	"context"
	"fmt"
	"time"
)

// Provider hands template messages to one account at one messaging company.
type Provider interface {
	// Name is the provider's stable identifier, as used in configuration: "contactovirtual".
	Name() string
	// Send hands over at most one message: no retry, no redirect. Its error, if any, is always an *Error whose
	// Class says what may be done next. Send is safe for concurrent use.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Message is one template message for one person. It prints as its Ref only.
type Message struct {
	To       string   // digits, country code first: "573102111111"
	Template string   // the provider's template id
	Vars     []string // values for {1}, {2}, … in order
	MediaURL string   // address of a file that the provider fetches; "" = none
	// CustomField is the user's own text, echoed when the person replies.
	CustomField string
	// Ref is "<campaign>:<row>:<fence>"; providers that can echo a text get it back with replies.
	Ref string
	// Gate is asked when the request body is first read, just before it would go onto the wire. An error means that
	// no byte of the body leaves: Send then fails as Unsent with an error that wraps the gate's own. nil = open.
	Gate func() error
}

// Format prints the reference and nothing about the person, for every verb.
func (m Message) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "message %s", m.Ref)
}

// Receipt is what a provider gives for a message that it accepted. Accepted is not delivered: that is for reports to
// say.
type Receipt struct {
	ID string    // the provider's message id; "" = accepted without one, so that no report can be matched
	At time.Time // when the answer was read
}

// Report is what a provider says later about an accepted message.
type Report struct {
	ReceiptID    string // the provider's message id, when the report carries one
	Ref          string // our own reference, when the provider echoes it
	Status       string // "sent", "delivered", "read", "failed", "replied"
	Code, Reason string // only of a failed report, the provider's own
	At           time.Time
}

// Limits is what a provider accepts, so that a file can be checked before anything is sent.
type Limits struct {
	Prefix     string   // country code that every number must start with; "" = any
	Digits     int      // length of a whole number, country code included; 0 = any
	NoBrackets bool     // [ and ] cannot be part of a value
	MaxBody    int      // runes of the text after substitution; 0 = no limit
	MaxCustom  int      // runes of Message.CustomField; 0 = no limit
	MediaTypes []string // allowed extensions of the media URL's path, lower case, without the dot; nil = any
	NoVars     bool     // the provider takes no template variables
}

// Balance is an account's credit. Amount means nothing unless Known; the unit (messages or money) is the provider's.
type Balance struct {
	Amount float64
	Known  bool
	Raw    string // the provider's text, at most 64 runes, to be shown when Amount is not Known
}

// Template is a message text that WhatsApp has seen, as a provider lists it.
type Template struct {
	ID     string // "" when the provider's list carries none
	Name   string
	Text   string // with {1} or {{1}} for its variables
	Status string // "approved", "pending", "rejected"; "" = not said
}
