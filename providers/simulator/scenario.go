package simulator

import (
	"fmt"
	"strings"
)

// Scenario is how phones with one ending are treated.
type Scenario struct {
	Suffix    string // the last four digits of the mobile, or a range of them
	Behaviour string
	Arrives   bool // the first POST for such a phone is counted as a message that arrived
}

// Scenarios returns the table of scenarios in the order of the documentation.
func Scenarios() []Scenario {
	return []Scenario{
		{"1001-1013", `answers that code with "sending error, return balance"; the charge is refunded`, false},
		{"0429", "first POST for the phone: 429 with Retry-After: 1; later ones are accepted", false},
		{"0503", "first POST for the phone: 503 with Retry-After: 1; later ones are accepted", false},
		{"0500", "arrives, then 500", true},
		{"0502", "arrives, then 502 with an HTML page", true},
		{"0000", "arrives, then the connection is closed (FIN) without an answer", true},
		{"0001", "the connection is reset (RST) as if the body had not been read", false},
		{"0408", "arrives, and the answer never comes until the client gives up", true},
		{"0200", "arrives, and the answer is 200 with an HTML page", true},
		{"0777", "arrives, and the answer is code 1 without messageId", true},
		{"9999", "answers the unlisted code 9999", false},
	}
}

// Help is the table of scenarios and of control paths as text for a terminal.
func Help() string {
	var b strings.Builder
	b.WriteString("Scenarios, by the last four digits of mobile (every other phone is accepted):\n\n")
	fmt.Fprintf(&b, "  %-10s %-8s %s\n", "last four", "arrives", "behaviour")
	for _, s := range Scenarios() {
		arrives := "no"
		if s.Arrives {
			arrives = "yes"
		}
		fmt.Fprintf(&b, "  %-10s %-8s %s\n", s.Suffix, arrives, s.Behaviour)
	}
	b.WriteString(`
Control, apart from the documented paths:

  GET  /_sim/receipts   messages that really arrived, per phone; ?wait=N answers when N have
  GET  /_sim/messages   those messages, one JSON object per line
  GET  /_sim/rate       the most sends within any one second
  GET  /_sim/requests   requests per provider path
  GET  /_sim/balance    balance, charged, refunded; POST {"balance":N} sets it
  GET  /_sim/faults     shares of sends that go wrong; POST replaces them
  POST /_sim/reset      back to the state at the start
`)
	return b.String()
}

// treatment is a scenario as the send endpoint carries it out. The zero value accepts.
type treatment struct {
	refuse    int    // gateway code that is answered instead of accepting
	unlisted  bool   // refuse is no code of the document: nothing is charged and nothing returned
	firstOnly int    // HTTP status of the first POST for the phone
	unread    bool   // reset before anything is done
	withoutID bool   // accepted, but the answer has no messageId
	instead   answer // what is answered after the message has arrived
	replaced  bool   // instead is set
}

var treatments = newTreatments()

func newTreatments() map[string]treatment {
	arrivesThen := func(a answer) treatment { return treatment{instead: a, replaced: true} }
	internalError := answer{status: 500, contentType: htmlType} // PHP dies with an empty page.
	t := map[string]treatment{
		"0429": {firstOnly: 429},
		"0503": {firstOnly: 503},
		"0500": arrivesThen(internalError),
		"0502": arrivesThen(htmlPage(502)),
		"0000": arrivesThen(answer{end: closed}),
		"0001": {unread: true},
		"0408": arrivesThen(answer{end: hung}),
		"0200": arrivesThen(htmlPage(200)),
		"0777": {withoutID: true},
		"9999": {refuse: 9999, unlisted: true},
	}
	for code := 1001; code <= 1013; code++ {
		t[fmt.Sprint(code)] = treatment{refuse: code}
	}
	return t
}
