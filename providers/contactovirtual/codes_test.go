package contactovirtual

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pregon/providers"
)

// TestDocumentedCodesAreAll holds the list in this package's conformance test against the tables.
func TestDocumentedCodesAreAll(t *testing.T) {
	var listed []string
	for _, codes := range documented {
		listed = append(listed, codes...)
	}
	known := append(slices.Collect(maps.Keys(sendCodes)), slices.Collect(maps.Keys(gatewayCodes))...)
	known = slices.DeleteFunc(known, func(code string) bool { return code == "1" })
	slices.Sort(listed)
	slices.Sort(known)
	if !slices.Equal(listed, known) {
		t.Errorf("tested %v\nknown %v", listed, known)
	}
}

// TestMeaningsAreForPeople wants two sentences in both languages: what happened and what to do.
func TestMeaningsAreForPeople(t *testing.T) {
	for name, codes := range map[string]table{
		"send": sendCodes, "balance": balanceCodes, "template": templateCodes, "gateway": gatewayCodes,
		"report": reportCodes, "own": ownCodes,
	} {
		for code, m := range codes {
			for _, text := range []string{m.ES, m.EN} {
				if strings.Count(text, ". ") != 1 || !strings.HasSuffix(text, ".") {
					t.Errorf("%s %s: want two sentences, got %q", name, code, text)
				}
			}
			if m.ES == m.EN {
				t.Errorf("%s %s: one text for two languages", name, code)
			}
			if m.Suppress > 0 && m.Class != providers.Rejected {
				t.Errorf("%s %s suppresses although it is %s", name, code, m.Class)
			}
			if m.AskBalance && m.Class != providers.Broke {
				t.Errorf("%s %s asks for the balance although it is %s", name, code, m.Class)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	for _, code := range []string{"1", "4", "1002", "131049", "500", CodeRefunded, providers.CodeTimeout, "http_502"} {
		if m, ok := c.Describe(code); !ok || m.ES == "" || m.EN == "" {
			t.Errorf("%s is not explained", code)
		}
	}
	for _, code := range []string{"", "9999", "01", "1002 "} {
		if _, ok := c.Describe(code); ok {
			t.Errorf("%q is explained", code)
		}
	}
	if m, _ := c.Describe("4"); m.Class != providers.Rejected {
		t.Errorf("4 is the send endpoint's, not the template endpoint's: %s", m.Class)
	}
}

func TestEffectsOfCodes(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	suppress := map[string]int{"1002": 90, "1013": 30, "131026": 30}
	forever := []string{"1012", "131050"}
	halt := []string{"7", "4005", "132015", "132016"}
	for _, codes := range documented {
		for _, code := range codes {
			m, _ := c.Describe(code)
			if m.Halt != slices.Contains(halt, code) {
				t.Errorf("%s: Halt %v", code, m.Halt)
			}
			if (m.Suppress == providers.Forever) != slices.Contains(forever, code) {
				t.Errorf("%s: Suppress %s", code, m.Suppress)
			}
			if m.Suppress != providers.Forever && int(m.Suppress/day) != suppress[code] {
				t.Errorf("%s: Suppress %s", code, m.Suppress)
			}
			if m.MarketingOnly != (code == "131050") || m.AskBalance != (code == "5") {
				t.Errorf("%s: %+v", code, m)
			}
		}
	}
	if m, _ := c.Describe("131049"); m.RetryAfter != day {
		t.Errorf("131049 waits %s", m.RetryAfter)
	}
}

func TestReportsAreDefinite(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	tests := []struct {
		code, reason string
		want         providers.Class
	}{
		{"500", "", providers.NotNow}, {"131000", "", providers.NotNow}, {"131016", "", providers.NotNow},
		{"131057", "", providers.NotNow}, {"80007", "", providers.NotNow}, {"1", "", providers.NotNow},
		{"2", "", providers.NotNow}, {"4", "", providers.NotNow}, {"1002", "", providers.Rejected},
		{"1003", "", providers.Broke}, {"131049", "", providers.Later}, {"4002", "", providers.Unknown},
		{"1008", "User is not opted in and inactive", providers.Rejected},
		{"1008", "falta parametros obligatorio en la plantilla", providers.Content},
	}
	for _, tt := range tests {
		if m, ok := c.DescribeReport(tt.code, tt.reason); !ok || m.Class != tt.want {
			t.Errorf("%s %q: %s, %v", tt.code, tt.reason, m.Class, ok)
		}
	}
	for _, code := range []string{"3", "5", "7", "9999", ""} {
		if _, ok := c.DescribeReport(code, ""); ok {
			t.Errorf("%q is no code of a report", code)
		}
	}
}

func TestCode1008IsReadByItsWords(t *testing.T) {
	tests := map[string]providers.Class{
		"falta parametros obligatorio en la plantilla":           providers.Content,
		"Required parameter is missing":                          providers.Content,
		"Optional parameter is missing, user inactive":           providers.Content,
		"User is not opted in and inactive":                      providers.Rejected,
		"el usuario está inactivo y no ha optado por el mensaje": providers.Rejected,
		"Opt-in is required":                                     providers.Rejected,
		"sending error, return balance":                          providers.Content,
		"adopted":                                                providers.Content,
		"":                                                       providers.Content,
	}
	for words, want := range tests {
		if m, ok := sendMeaning("1008", words, false); !ok || m.Class != want {
			t.Errorf("%q: %s, want %s", words, m.Class, want)
		}
	}
}
