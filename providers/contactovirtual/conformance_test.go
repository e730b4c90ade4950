package contactovirtual

import (
	"encoding/json"
	"fmt"
	"slices"
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
	each(slices.Concat(sendLines, gatewayLines), func(code string, want providers.Meaning) {
		h.Cases = append(h.Cases, providertest.Case{
			Name: code, Class: want.Class, Code: code,
			Reply: providertest.Reply{Body: fmt.Sprintf(`{"code":%s,"status":%q}`, code, refund)},
		})
	})
	return h
}

func TestConformsWithForm(t *testing.T)      { providertest.Run(t, harness(t, encodingForm)) }
func TestConformsWithMultipart(t *testing.T) { providertest.Run(t, harness(t, encodingMultipart)) }
