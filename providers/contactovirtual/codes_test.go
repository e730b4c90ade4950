package contactovirtual

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pregon/providers"
)

// line is one line of the class table: the codes it names and what they do. Its meanings have no texts.
type line struct {
	codes string
	want  providers.Meaning
}

// each calls f with every code of some lines, in their order.
func each(lines []line, f func(code string, want providers.Meaning)) {
	for _, l := range lines {
		for _, code := range strings.Fields(l.codes) {
			f(code, l.want)
		}
	}
}

// The class table of research/providers.md, section 1.3, in its order. Where it and design.md section 5 differ, the
// design is right: 4001 and 131042 are Blocked, 4002 stays Unknown even in a report, and a code that is not listed is
// Unknown in an answer.
var (
	// "Synchronous answer of /send/"; its lines of code 1 are in TestClassTable.
	sendLines = []line{
		{"2 3", providers.Meaning{Class: providers.Blocked}},
		{"4", providers.Meaning{Class: providers.Rejected}},
		{"5", providers.Meaning{Class: providers.Broke, AskBalance: true}},
		{"6", providers.Meaning{Class: providers.Content}},
		{"7", providers.Meaning{Class: providers.Content, Halt: true}},
		{"8", providers.Meaning{Class: providers.Content}},
	}
	// "Gateway / asynchronous codes (webhook failed, or inside the sync answer)". 1008 without words is the document's.
	gatewayLines = []line{
		{"1001", providers.Meaning{Class: providers.Blocked}},
		{"1002", providers.Meaning{Class: providers.Rejected, Suppress: 90 * day, Suspect: 0.8}},
		{"1003", providers.Meaning{Class: providers.Broke}},
		{"1004", providers.Meaning{Class: providers.Blocked}},
		{"1005", providers.Meaning{Class: providers.Content}},
		{"1006", providers.Meaning{Class: providers.Rejected, Suspect: 0.5}},
		{"1007 1008 1009 1010 1011", providers.Meaning{Class: providers.Content}},
		{"1012", providers.Meaning{Class: providers.Rejected, Suppress: providers.Forever}},
		{"131050", providers.Meaning{Class: providers.Rejected, Suppress: providers.Forever, MarketingOnly: true}},
		{"1013 131026", providers.Meaning{Class: providers.Rejected, Suppress: 30 * day}},
		{"131021", providers.Meaning{Class: providers.Rejected}},
		{"4001", providers.Meaning{Class: providers.Blocked, RetryAfter: 15 * time.Minute}},
		{"4002", providers.Meaning{Class: providers.Unknown}},
		{"4003 4004 132000 132001 132005 132007 132012 132018 100 131008 131009 131051 131052 131053",
			providers.Meaning{Class: providers.Content}},
		{"4005 132015", providers.Meaning{Class: providers.Content, Halt: true, RetryAfter: 3 * time.Hour}},
		{"132016", providers.Meaning{Class: providers.Content, Halt: true}},
		{"470 131047", providers.Meaning{Class: providers.Content}},
		{"131049", providers.Meaning{Class: providers.Later, RetryAfter: day}},
		{"130472", providers.Meaning{Class: providers.Rejected}},
		{"130429", providers.Meaning{Class: providers.NotNow}},
		{"131056", providers.Meaning{Class: providers.NotNow}},
		{"131048", providers.Meaning{Class: providers.Blocked}},
		{"131042", providers.Meaning{Class: providers.Blocked}},
		{"131031 368 131045 133010", providers.Meaning{Class: providers.Blocked}},
	}
	// "An async failed is definitive": the last line of that table, which holds in reports only.
	reportLines = []line{
		{"500 131000 131016 131057 1 2 4 80007", providers.Meaning{Class: providers.NotNow}},
	}
)

// effects is a meaning without its texts.
func effects(m providers.Meaning) providers.Meaning {
	m.ES, m.EN = "", ""
	return m
}

// effectsOf is what an error says is to be done.
func effectsOf(e *providers.Error) providers.Meaning {
	return providers.Meaning{
		Class: e.Class, RetryAfter: e.RetryAfter, Suppress: e.Suppress, MarketingOnly: e.MarketingOnly,
		Halt: e.Halt, Suspect: e.Suspect, AskBalance: e.AskBalance,
	}
}

// spelled is an answer with a code as the document shows it, as text and with blanks (oddity 9), and with its words.
func spelled(code, words string) []string {
	return []string{
		fmt.Sprintf(`{"code":%s,"status":%q}`, code, words),
		fmt.Sprintf(`{"code":%q,"status":%q}`, code, words),
		fmt.Sprintf(`{"code":" %s ","status":%q,"messageId":""}`, code, words),
	}
}

// expect holds an answer of the send endpoint against a line of the table.
func expect(t *testing.T, body, code string, want providers.Meaning) {
	t.Helper()
	_, e := judged(200, body)
	if e == nil {
		t.Errorf("%s was accepted, want %s", body, want.Class)
		return
	}
	if got := effectsOf(e); got != want || e.Code != code {
		t.Errorf("%s: %q %+v\nwant %q %+v", body, e.Code, got, code, want)
	}
}

// refund is the document's text for a message that was not sent and whose credit came back.
const refund = "sending error, return balance"

func TestClassTable(t *testing.T) {
	for _, tt := range []struct {
		name, body, id string // an id, or a code and what it means
		code           string
		want           providers.Meaning
	}{
		{name: "1_WithMessageID", body: `{"code": 1,"status": "mensaje enviado","messageId": "` + testID + `"}`, id: testID},
		{name: "1_WithoutMessageID", body: `{"code":1,"status":"mensaje enviado"}`},
		{name: "1_ButReturnBalance", body: `{"code":1,"status":"sending error, return balance","messageId":"m"}`,
			code: CodeRefunded, want: providers.Meaning{Class: providers.NotNow}},
		{name: "1_ButReturnBalanceWithInnerCode", body: `{"code":1,"status":"1003 sending error, return balance"}`,
			code: "1003", want: providers.Meaning{Class: providers.Broke}},
		{name: "1_ButError", body: `{"code":1,"status":"error"}`, code: "1"},
		{name: "1_ButErrorAndMessageID", body: `{"code":1,"status":"error 1003","messageId":"m"}`, code: "1"},
		{name: "1_ButSendingError", body: `{"code":1,"status":"sending error","messageId":"m"}`, code: "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code != "" {
				expect(t, tt.body, tt.code, tt.want)
				return
			}
			if id, e := judged(200, tt.body); e != nil || id != tt.id {
				t.Errorf("id %q, %v; want %q", id, e, tt.id)
			}
		})
	}
	each(slices.Concat(sendLines, gatewayLines), func(code string, want providers.Meaning) {
		t.Run(code, func(t *testing.T) {
			for _, body := range slices.Concat(spelled(code, ""), spelled(code, refund)) {
				expect(t, body, code, want)
			}
		})
	})
	each(reportLines, func(code string, want providers.Meaning) {
		if _, own := sendCodes[code]; own {
			return
		}
		t.Run(code, func(t *testing.T) {
			for _, body := range spelled(code, "error") {
				expect(t, body, code, providers.Meaning{Class: providers.Unknown})
			}
			for _, body := range spelled(code, refund) {
				expect(t, body, code, want)
			}
		})
	})
	t.Run("NoCode", func(t *testing.T) {
		for _, body := range []string{
			`{}`, `{"status":"mensaje enviado","messageId":"m"}`, `{"code":null}`, `{"code":" "}`, `{"code":""}`,
		} {
			expect(t, body, providers.CodeNoCode, providers.Meaning{Class: providers.Unknown})
		}
	})
}

func TestReportTable(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	each(slices.Concat(gatewayLines, reportLines), func(code string, want providers.Meaning) {
		t.Run(code, func(t *testing.T) {
			for _, spelling := range []string{code, " " + code + "\n"} {
				m, ok := c.DescribeReport(spelling, "xxxxx")
				if !ok || effects(m) != want {
					t.Errorf("%q: %+v, %v\nwant %+v", spelling, effects(m), ok, want)
				}
				if e := m.Error(code, "xxxxx"); effectsOf(e) != want || e.Code != code {
					t.Errorf("its error: %+v", e)
				}
			}
		})
	})
	t.Run("CodesOfSendOnly", func(t *testing.T) {
		for _, code := range []string{"3", "5", "6", "7", "8", "", " ", CodeRefunded, providers.CodeTimeout} {
			if m, ok := c.DescribeReport(code, ""); ok || m != (providers.Meaning{}) {
				t.Errorf("%q is no code of a report: %+v", code, m)
			}
		}
	})
}

// TestClassTableIsWhole wants every code of the tables in the lines above, and the other way round.
func TestClassTableIsWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		lines []line
		codes table
		apart string
	}{
		"send": {sendLines, sendCodes, "1"}, "gateway": {gatewayLines, gatewayCodes, ""}, "report": {reportLines, reportCodes, ""},
	} {
		var listed []string
		each(tt.lines, func(code string, _ providers.Meaning) { listed = append(listed, code) })
		known := slices.DeleteFunc(slices.Collect(maps.Keys(tt.codes)), func(code string) bool { return code == tt.apart })
		slices.Sort(listed)
		slices.Sort(known)
		if !slices.Equal(listed, known) {
			t.Errorf("%s: tested %v\nknown %v", name, listed, known)
		}
	}
}

// TestUnlistedCodesAreKept is the other last line of the table, as the design decides it: in an answer they say nothing
// about what left, in a report the row has failed with them.
func TestUnlistedCodesAreKept(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	for raw, code := range map[string]string{
		`9999`: "9999", `"9999"`: "9999", `" 9999\n"`: "9999", `0`: "0", `-1`: "-1", `999999`: "999999", `9`: "9",
		`1014`: "1014", `"01"`: "01", `"1002 x"`: "1002 x", `1.0`: "1.0", `1e0`: "1e0", `10e-1`: "10e-1", `1002.0`: "1002.0",
		`"E-17"`: "E-17", `"e17"`: "e17", `"ñ"`: "ñ", `"１"`: "１", `"1\u200b"`: "1\u200b", `"[1]"`: "[1]",
		`true`: "true", `false`: "false", `[1]`: "[1]", `{"code":1}`: `{"code":1}`, `"refunded"`: CodeRefunded,
	} {
		t.Run(code, func(t *testing.T) {
			for _, words := range []string{"mensaje enviado", "error", refund} {
				body := fmt.Sprintf(`{"code":%s,"status":%q,"messageId":"m"}`, raw, words)
				expect(t, body, code, providers.Meaning{Class: providers.Unknown})
			}
			if m, ok := c.DescribeReport(code, refund); ok || m != (providers.Meaning{}) {
				t.Errorf("explained in a report: %+v", m)
			}
			if _, ok := c.Describe(code); ok && code != CodeRefunded {
				t.Error("explained")
			}
		})
	}
}

func TestCode1008IsReadByItsWords(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	noOptIn := providers.Meaning{Class: providers.Rejected, Suspect: 0.5}
	noParameter := providers.Meaning{Class: providers.Content}
	for words, want := range map[string]providers.Meaning{
		// Nothing that decides: the document's reading.
		"": noParameter, refund: noParameter, "xxxxx": noParameter, "adopted": noParameter, "opción no válida": noParameter,
		// A parameter is missing.
		"falta parametros obligatorio en la plantilla":      noParameter,
		"Falta un parámetro":                                noParameter,
		"FALTAN DATOS OBLIGATORIOS":                         noParameter,
		"Required parameter is missing":                     noParameter,
		"Message failed: optional parameter is not allowed": noParameter,
		// No opt-in.
		"User is not Opted in and Inactive":                   noOptIn,
		"Neither Proxied Nor Opted-in":                        noOptIn,
		"user inactive":                                       noOptIn,
		"el usuario está inactivo para el mensaje de sesión":  noOptIn,
		"La persona no ha optado por el mensaje de plantilla": noOptIn,
		"Usuaria INACTIVA":                                    noOptIn,
		"no hizo opt-in":                                      noOptIn,
		"not_opted_in":                                        noOptIn,
		"optin missing":                                       noOptIn,
		"no opt":                                              noOptIn,
		"sending error, return balance: user is not opted in": noOptIn,
		// Both: the words that are not the document's for this number.
		"Opt-in is required": noOptIn,
		"Required parameter is missing: user is not opted in":            noOptIn,
		"falta parametros obligatorio en la plantilla; usuario inactivo": noOptIn,
	} {
		t.Run(words, func(t *testing.T) {
			for _, shape := range []string{`{"code":1008,"reason":%q}`, `{"code":" 1008","status":%q}`, `{"code":"1008","description":%q}`} {
				expect(t, fmt.Sprintf(shape, words), "1008", want)
			}
			if m, ok := c.DescribeReport("1008", words); !ok || effects(m) != want {
				t.Errorf("in a report: %+v, %v; want %+v", effects(m), ok, want)
			}
		})
	}
	const ours, theirs = "falta parametros obligatorio en la plantilla", "User is not opted in and inactive"
	expect(t, fmt.Sprintf(`{"code":1008,"status":%q,"reason":%q}`, ours, theirs), "1008", noOptIn)
	expect(t, fmt.Sprintf(`{"code":1008,"status":%q,"reason":%q}`, theirs, ours), "1008", noOptIn)
	expect(t, fmt.Sprintf(`{"code":1,"status":"1008 %s","reason":%q}`, refund, theirs), "1008", noOptIn)
}

// TestMeaningsAreForPeople wants two short sentences in both languages, what happened and what to do, that name the
// provider's things by the words that people know.
func TestMeaningsAreForPeople(t *testing.T) {
	for name, codes := range map[string]table{
		"send": sendCodes, "balance": balanceCodes, "template": templateCodes, "gateway": gatewayCodes,
		"report": reportCodes, "own": ownCodes,
	} {
		for code, m := range codes {
			for _, text := range []string{m.ES, m.EN} {
				if strings.Count(text, ". ") != 1 || !strings.HasSuffix(text, ".") || len([]rune(text)) > 120 {
					t.Errorf("%s %s: want two short sentences, got %q", name, code, text)
				}
				for _, jargon := range []string{"API", "HTTP", "JSON", "opt-in", "Gupshup", "Meta", "template_", code} {
					if len(jargon) > 1 && strings.Contains(text, jargon) {
						t.Errorf("%s %s: people do not say %q: %q", name, code, jargon, text)
					}
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
	each(slices.Concat(sendLines, gatewayLines), func(code string, want providers.Meaning) {
		if m, ok := c.Describe(code); !ok || effects(m) != want || m.ES == "" || m.EN == "" {
			t.Errorf("%s is explained as %+v", code, m)
		}
	})
	for _, code := range []string{"1", "500", CodeRefunded, providers.CodeTimeout, "http_502"} {
		if m, ok := c.Describe(code); !ok || m.ES == "" || m.EN == "" {
			t.Errorf("%s is not explained", code)
		}
	}
	if _, ok := c.Describe("1002 "); ok {
		t.Error("a code that no answer can have is explained")
	}
}
