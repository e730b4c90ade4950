package contactovirtual

import (
	"encoding/json"
	"fmt"
	"testing"

	"pregon/providers"
	"pregon/providers/providertest"
)

const (
	testLogin = "demo@example.com"
	testToken = "24wa97e2b575-not-hex"
	testID    = "0e1add43-f91c-4e7c-8805-221ef6b27b98"
)

var testMessage = providers.Message{
	To: "573005550123", Template: "990", Vars: []string{"Zoraida Ñáñez", "$100", "miércoles"},
	MediaURL: "https://files.example.com/cita.pdf", CustomField: "1234-5678-912554", Ref: "citas-1a2b:7:1",
}

// newTestClient is a client of a test's server, whose idle connections end with the test and whose reads hurry.
func newTestClient(t testing.TB, root, encoding string) *Client {
	t.Helper()
	hc := providers.NewHTTPClient()
	t.Cleanup(hc.CloseIdleConnections)
	c, err := New(Config{
		URL: root, Login: providers.NewSecret(testLogin), Token: providers.NewSecret(testToken),
		Encoding: encoding, HTTPClient: hc,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.pause = 1
	return c
}

// documented is every code that Send may be answered with, and its class: design section 5 in full.
var documented = map[providers.Class][]string{
	providers.Unknown:  {"4002"},
	providers.NotNow:   {"130429", "131056"},
	providers.Rejected: {"4", "1002", "1006", "1012", "1013", "130472", "131021", "131026", "131050"},
	providers.Content: {
		"6", "7", "8", "1005", "1007", "1008", "1009", "1010", "1011", "4003", "4004", "4005", "100", "470",
		"131008", "131009", "131047", "131051", "131052", "131053", "132000", "132001", "132005", "132007",
		"132012", "132015", "132016", "132018",
	},
	providers.Blocked: {"2", "3", "1001", "1004", "4001", "131031", "131042", "131045", "131048", "133010", "368"},
	providers.Broke:   {"5", "1003"},
	providers.Later:   {"131049"},
}

func harness(t *testing.T, encoding string) providertest.Harness {
	h := providertest.Harness{
		New: func(root string) (providers.Provider, error) {
			return newTestClient(t, root, encoding), nil
		},
		Message:      testMessage,
		Accepted:     providertest.Reply{Body: `{"code": 1, "status": "mensaje enviado", "messageId": "` + testID + `"}`},
		ReceiptID:    testID,
		Unlisted:     providertest.Reply{Body: `{"code":"9999","status":"something new"}`},
		UnlistedCode: "9999",
		Echo: func(text string) providertest.Reply {
			body, err := json.Marshal(map[string]any{"code": 1002, "reason": text})
			if err != nil {
				t.Fatal(err)
			}
			return providertest.Reply{Body: string(body)}
		},
		Private: []string{testLogin, testToken},
	}
	for class, codes := range documented {
		for _, code := range codes {
			h.Cases = append(h.Cases, providertest.Case{
				Name: code, Class: class, Code: code,
				Reply: providertest.Reply{Body: fmt.Sprintf(`{"code":%s,"status":"sending error, return balance"}`, code)},
			})
		}
	}
	return h
}

func TestConformsWithForm(t *testing.T)      { providertest.Run(t, harness(t, encodingForm)) }
func TestConformsWithMultipart(t *testing.T) { providertest.Run(t, harness(t, encodingMultipart)) }
