package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pregon/providers"
)

// sample is a small provider that can be told to break one rule.
type sample struct {
	root  string
	fault string
}

var client = providers.NewHTTPClient()

func (sample) Name() string { return "sample" }

func (s sample) Send(ctx context.Context, m providers.Message) (providers.Receipt, error) {
	receipt, failure := s.try(ctx, m)
	if failure == nil {
		return receipt, nil
	}
	failure.Op = "sample send"
	switch s.fault {
	case "retries what may have left":
		if failure.Class == providers.Unknown {
			receipt, failure = s.try(ctx, m)
			if failure == nil {
				return receipt, nil
			}
		}
	case "calls the unknown unsent":
		if failure.Class == providers.Unknown {
			failure.Class = providers.Unsent
		}
	case "gives plain errors":
		return receipt, errors.New("it failed")
	case "shows the person":
		failure.Reason += " " + m.To
		return receipt, failure
	case "shows the person below":
		failure.Err = errors.New(m.Vars[0])
		return receipt, failure
	case "drops Retry-After":
		failure.RetryAfter = 0
	}
	if s.fault != "does not mask" {
		failure.Reason = providers.Mask(failure.Reason, append([]string{"t0ken", m.To, m.MediaURL, m.CustomField}, m.Vars...)...)
	}
	return receipt, failure
}

func (s sample) try(ctx context.Context, m providers.Message) (providers.Receipt, *providers.Error) {
	body, _ := json.Marshal(map[string]any{"to": m.To, "token": "t0ken"})
	answer, failure := s.post(ctx, m, body)
	if failure != nil {
		return providers.Receipt{}, failure
	}
	var out struct{ Code, ID, Reason string }
	if json.Unmarshal(answer.Body, &out) != nil {
		if s.fault == "accepts what it cannot read" {
			return providers.Receipt{At: time.Now()}, nil
		}
		return providers.Receipt{}, providers.ClassifyStatus(answer)
	}
	switch out.Code {
	case "ok":
		if s.fault == "forgets the receipt" {
			out.ID = ""
		}
		return providers.Receipt{ID: out.ID, At: time.Now()}, nil
	case "bad":
		return providers.Receipt{}, &providers.Error{Class: providers.Rejected, Code: "bad", Reason: out.Reason}
	}
	if s.fault == "guesses at codes" {
		return providers.Receipt{}, &providers.Error{Class: providers.Rejected, Code: out.Code}
	}
	return providers.Receipt{}, &providers.Error{Code: out.Code, Reason: out.Reason}
}

func (s sample) post(ctx context.Context, m providers.Message, body []byte) (providers.Answer, *providers.Error) {
	switch s.fault {
	case "ignores the gate":
		m.Gate = nil
	case "asks the gate early":
		if m.Gate != nil && m.Gate() != nil {
			return providers.Answer{}, &providers.Error{Class: providers.Unsent, Code: "gate"}
		}
	case "follows redirects", "sends an idempotency key":
		return s.plain(ctx, body)
	}
	return providers.Post(ctx, client, providers.Request{URL: s.root, Body: body, Gate: m.Gate})
}

// plain posts as code without care would.
func (s sample) plain(ctx context.Context, body []byte) (providers.Answer, *providers.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.root, bytes.NewReader(body))
	if err != nil {
		return providers.Answer{}, &providers.Error{Code: "request"}
	}
	if s.fault == "sends an idempotency key" {
		req.Header.Set("Idempotency-Key", "1")
	}
	c := &http.Client{Transport: client.Transport}
	resp, err := c.Do(req)
	if err != nil {
		return providers.Answer{}, &providers.Error{Code: "do"}
	}
	defer resp.Body.Close()
	read, _ := io.ReadAll(resp.Body)
	return providers.Answer{Status: resp.StatusCode, Header: resp.Header, Body: read}, nil
}

func sampleHarness(fault string) Harness {
	return Harness{
		New: func(root string) (providers.Provider, error) { return sample{root, fault}, nil },
		Message: providers.Message{
			To: "573005550123", Template: "t", Vars: []string{"Zoraida", "Ñuñez"},
			MediaURL: "https://example.com/zz.pdf", CustomField: "expediente-77", Ref: "c:1:1",
		},
		Accepted:     Reply{Body: `{"code":"ok","id":"m-1"}`},
		ReceiptID:    "m-1",
		Cases:        []Case{{"Bad", Reply{Body: `{"code":"bad"}`}, providers.Rejected, "bad"}},
		Unlisted:     Reply{Body: `{"code":"E17"}`},
		UnlistedCode: "E17",
		Echo: func(text string) Reply {
			body, _ := json.Marshal(map[string]string{"code": "bad", "reason": text})
			return Reply{Body: string(body)}
		},
		Private: []string{"t0ken"},
	}
}

func TestCarefulProviderPasses(t *testing.T) {
	t.Cleanup(client.CloseIdleConnections)
	Run(t, sampleHarness(""))
}

// TestSuiteCatches breaks one rule at a time: a check that cannot fail proves nothing.
func TestSuiteCatches(t *testing.T) {
	t.Cleanup(client.CloseIdleConnections)
	tests := []struct{ fault, caughtBy string }{
		{"retries what may have left", "LostReplyIsUnknown"},
		{"retries what may have left", "ReusedConnectionIsNotRetried"},
		{"calls the unknown unsent", "CutReplyIsUnknown"},
		{"calls the unknown unsent", "Status502Is_unknown"},
		{"calls the unknown unsent", "DeadlineAfterIsUnknown"},
		{"gives plain errors", "RefusedConnectionIsUnsent"},
		{"shows the person", "RefusedConnectionIsUnsent"},
		{"shows the person below", "RefusedConnectionIsUnsent"},
		{"does not mask", "EchoedValuesAreMasked"},
		{"drops Retry-After", "RetryAfterIsObeyed"},
		{"accepts what it cannot read", "Status200Is_unknown"},
		{"accepts what it cannot read", "CutReplyWithoutLengthIsUnknown"},
		{"forgets the receipt", "AcceptedGivesTheReceipt"},
		{"guesses at codes", "UnlistedCodeIsUnknownAndKept"},
		{"ignores the gate", "GateRefusalIsUnsent"},
		{"asks the gate early", "GateRefusalIsUnsent"},
		{"asks the gate early", "OpenGateIsAskedOnce"},
		{"follows redirects", "RedirectIsNotFollowed"},
		{"sends an idempotency key", "AcceptedGivesTheReceipt"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.fault, " ", "_")+"/"+tt.caughtBy, func(t *testing.T) {
			h := sampleHarness(tt.fault)
			for _, c := range checks(h) {
				if c.name == tt.caughtBy {
					if c.run(h) == nil {
						t.Error("the check passed")
					}
					return
				}
			}
			t.Error("there is no such check")
		})
	}
}
