// Package providertest is the conformance suite that every provider passes: what each answer and each broken connection
// must mean, that one Send is one request at most, and that no error shows a person or a secret. It scripts its own
// servers, and is imported by tests only.
package providertest

import (
	"net/http"
	"testing"

	"pregon/providers"
)

// Harness is what the suite must know of a provider.
type Harness struct {
	// New makes a client whose account lives at the root address, with the provider's normal HTTP client.
	New func(root string) (providers.Provider, error)
	// Message is a sendable message with every field but Gate filled with something recognisable.
	Message providers.Message
	// Accepted is the answer to a message that was taken, and ReceiptID the message id in it.
	Accepted  Reply
	ReceiptID string
	// Cases is every answer that the provider documents, refusals above all.
	Cases []Case
	// Unlisted is an answer with a code that the provider does not document, and UnlistedCode that code, verbatim.
	Unlisted     Reply
	UnlistedCode string
	// Echo is a refusal whose words are the given text.
	Echo func(text string) Reply
	// Private is the account's credentials. The message's own values are private without being listed.
	Private []string
}

// Reply is a scripted answer. Status 0 means 200.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
}

// Case is a documented answer and what it must mean.
type Case struct {
	Name  string
	Reply Reply
	Class providers.Class
	Code  string // as the error must carry it; unused if Class is Accepted
}

// Run runs the whole suite as subtests.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range checks(h) {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(h); err != nil {
				t.Error(err)
			}
		})
	}
}

func (r Reply) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8") // What PHP says unless it is told otherwise.
	for name, value := range r.Header {
		w.Header().Set(name, value)
	}
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(r.Body)) // A client that has gone is part of the suite.
}
