package contactovirtual

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pregon/providers"
)

// tabled is every code of the class table with its class, apart from the maps that the client reads.
var tabled = func() map[string]providers.Class {
	codes := map[string]providers.Class{}
	each(slices.Concat(reportLines, gatewayLines, sendLines), func(code string, want providers.Meaning) {
		codes[code] = want.Class
	})
	return codes
}()

// checkFit is an error unless an error fits to be stored and shown: one line, no credential and no phone in it, and a
// code that a table column holds.
func checkFit(e *providers.Error) error {
	text := e.Error()
	for _, private := range []string{testLogin, testToken, testMessage.To} {
		if strings.Contains(strings.ToLower(text), private) {
			return fmt.Errorf("%q shows %q", text, private)
		}
	}
	digits := 0
	for _, r := range text {
		if digits++; !unicode.IsDigit(r) {
			digits = 0
		}
		if digits > 6 || unicode.IsControl(r) {
			return fmt.Errorf("%q shows a phone or is no line", text)
		}
	}
	if e.Code == "" || utf8.RuneCountInString(e.Code) > 64 || utf8.RuneCountInString(e.Reason) > 200 {
		return fmt.Errorf("code %q, reason %q: empty or endless", e.Code, e.Reason)
	}
	return nil
}

// statement is what an answer says of a message, read by other means than the client's: any object of the body that
// encoding/json takes, the codes and the prose anywhere on its first level.
type statement struct{ codes, prose []string }

func statements(body []byte) (all []statement) {
	for i, b := range body {
		var object map[string]any
		decoder := json.NewDecoder(bytes.NewReader(body[i:]))
		decoder.UseNumber()
		if b != '{' || decoder.Decode(&object) != nil {
			continue
		}
		var s statement
		for key, value := range object {
			word := strings.ToLower(strings.Join(strings.FieldsFunc(key, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsDigit(r)
			}), ""))
			text := strings.Join(strings.Fields(fmt.Sprint(value)), " ")
			switch _, isText := value.(string); {
			case word == "code":
				s.codes = append(s.codes, text)
			case isText && (word == "status" || word == "reason"):
				s.prose = append(s.prose, strings.ToLower(text))
			}
		}
		all = append(all, s)
	}
	return all
}

func (s statement) refunds() bool {
	return slices.ContainsFunc(s.prose, func(text string) bool { return strings.Contains(text, "return balance") })
}

// FuzzJudgeSend holds what must be true of every answer: it is accepted only if it says code 1 and nothing of a refund,
// it lets the message go again only by a code of the class table or because it was refunded, and what is kept of it
// shows nobody.
func FuzzJudgeSend(f *testing.F) {
	for _, body := range []string{
		`{"code": 1,"status": "mensaje enviado","messageId": "` + testID + `"}`, `{"code":"1002"}`, `[{"code":1}]`,
		`{"code":1,"status":"sending error, return balance 1003"}`, `<html>{"code":2}`, "\xef\xbb\xbf {\"code\":5}",
		`{"code":1,"data":{"code":2}`, `{"code":2}{"code":1}`, `{"code":1008,"reason":"no opt-in"}`, `{"error":{"code":1002}}`,
		`{"code":1,"status":"sending error, return balance","error":{"code":2}}`, `{"code":500,"reason":"return  balance"}`,
		`{"code":9999,"status":"return balance 130429"}`, `{"code":" 1 ","Reason":"no error; error"}`, `{"code":null}`,
		`{"code":"57 300 555 0123","reason":"` + testToken + ` ` + testLogin + `"}`, `{"code":[1,"573005550123"]}`,
	} {
		f.Add(200, []byte(body))
	}
	f.Add(429, []byte(`{"message":"Too Many Requests","status":"error"}`))
	f.Add(502, []byte(`<html>`))
	f.Add(400, []byte(`{"code":"573005550123"}`))
	c := newTestClient(f, "http://127.0.0.1:1", "")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		id, e := judgeSend(providers.Answer{Status: status, Body: body})
		said := statements(body)
		if e == nil {
			if len(id) > maxMessageID || !slices.ContainsFunc(said, func(s statement) bool {
				return slices.Contains(s.codes, "1") && !s.refunds()
			}) {
				t.Fatalf("accepted with id %q: %q", id, body)
			}
			return
		}
		raw := e.Code
		e = c.sign("op", e, testMessage.To)
		if err := checkFit(e); err != nil {
			t.Fatal(err)
		}
		if id != "" || e.Class == providers.Accepted || e.Class == providers.Unsent {
			t.Fatalf("id %q, %v", id, e)
		}
		refunded := slices.ContainsFunc(said, statement.refunds)
		class, listed := tabled[raw]
		switch {
		case status/100 != 2 && strings.HasPrefix(raw, "http_"):
			// TestStatusesOfTheWire has these.
		case raw == CodeRefunded && refunded:
		case listed && class == e.Class, raw == "1008" && e.Class == providers.Rejected:
			if class == providers.NotNow && slices.Contains(strings.Fields(reportLines[0].codes), raw) && !refunded {
				t.Fatalf("%v: %s is definite only where the message was refunded", e, raw)
			}
		case e.Class != providers.Unknown:
			t.Fatalf("%v: code %q is not listed as that", e, raw)
		}
	})
}

// FuzzJudgeReport holds the same of what a "failed" report says.
func FuzzJudgeReport(f *testing.F) {
	for _, code := range []string{"1002", " 1008", "131049\n", "500", "5", "", "9999", "01", "1e0", "573005550123"} {
		f.Add(code, "xxxxx")
		f.Add(code, "User is not opted in: "+testLogin+" 573005550123")
	}
	c := newTestClient(f, "http://127.0.0.1:1", "")
	f.Fuzz(func(t *testing.T, code, reason string) {
		m, ok := c.DescribeReport(code, reason)
		trimmed := strings.TrimSpace(code)
		class, listed := tabled[trimmed]
		if _, own := sendCodes[trimmed]; own {
			class, listed = providers.NotNow, slices.Contains(strings.Fields(reportLines[0].codes), trimmed)
		}
		switch {
		case ok != listed:
			t.Fatalf("%q: described %v, listed %v", code, ok, listed)
		case !ok && m != (providers.Meaning{}):
			t.Fatalf("%q is not listed and means %+v", code, m)
		case ok && m.Class != class && !(trimmed == "1008" && m.Class == providers.Rejected):
			t.Fatalf("%q is %s, want %s", code, m.Class, class)
		case ok && (m.ES == "" || m.EN == ""):
			t.Fatalf("%q is not explained", code)
		}
		if e := c.sign("op", m.Error(code, reason)); e.Code != "" {
			if err := checkFit(e); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzJudgeBalance(f *testing.F) {
	for _, balance := range []string{`"163"`, `163`, `"1.234,50"`, `"1,234.50"`, `"$ 163"`, `"1.234"`, `null`, `"x"`, `1e999`, `"-3"`} {
		f.Add([]byte(`{"balance":` + balance + `,"status":"success"}`))
	}
	f.Add([]byte(`{"code":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, e := judgeBalance(providers.Answer{Status: 200, Body: body})
		if e != nil && (b != providers.Balance{} || e.Code == "") {
			t.Fatalf("%+v with %v", b, e)
		}
		if !b.Known && b.Amount != 0 {
			t.Fatalf("an amount that is not known: %+v", b)
		}
		if math.IsNaN(b.Amount) || math.IsInf(b.Amount, 0) {
			t.Fatalf("%+v", b)
		}
		if b.Known && !strings.ContainsAny(b.Raw, "0123456789") {
			t.Fatalf("an amount without a digit: %+v", b)
		}
		if utf8.RuneCountInString(b.Raw) > maxRawBalance || !utf8.ValidString(b.Raw) {
			t.Fatalf("raw %q", b.Raw)
		}
	})
}

func FuzzJudgeTemplates(f *testing.F) {
	for _, body := range []string{
		`[{"nombre_plantilla":"a","plantilla_aprobada":"*{1}*","status":"success"}]`, `[]`, `{"code":4}`, `{"code":"2"}`,
		`{"0":{"nombre_plantilla":"a"},"2":{"nombre_plantilla":"b"}}`, `[{"nombre_plantilla":"a"},{"x":1}]`, `[{]`, `{"":""}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, e := judgeTemplates(providers.Answer{Status: 200, Body: body})
		if (list == nil) == (e == nil) {
			t.Fatalf("%v and %v", list, e)
		}
		for _, template := range list {
			if template.Name == "" && template.Text == "" {
				t.Fatalf("a template without name and text in %q", body)
			}
		}
	})
}

// FuzzTemplateVariables reads back what the encoder wrote with a parser that forgives nothing, and wants each value as
// it was, but for what cannot stand in one.
func FuzzTemplateVariables(f *testing.F) {
	f.Add(uint8(3), "Carlos", "$100", "miércoles")
	f.Add(uint8(2), "a] [b", "[[", "")
	f.Add(uint8(3), "x\r\ny", "\t\x00", "\u2028\u0085")
	f.Add(uint8(3), "\xff[", "🙂 ", " ")
	f.Add(uint8(0), "", "", "")
	f.Fuzz(func(t *testing.T, n uint8, a, b, c string) {
		values := []string{a, b, c}[:n%4]
		wire := templateVariables(values)
		got, err := parseVariables(wire)
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		if len(got) != len(values) {
			t.Fatalf("%d variables, want %d: %q", len(got), len(values), wire)
		}
		for i, value := range values {
			if want := sendable(value); got[i] != want {
				t.Fatalf("variable %d is %q, want %q", i+1, got[i], want)
			}
		}
	})
}

// sendable is a value as the recipient is to see it.
func sendable(value string) string {
	var want []rune
	for _, r := range value { // A broken byte is U+FFFD.
		switch {
		case r == '[':
			r = '('
		case r == ']':
			r = ')'
		case !plain(string(r)):
			r = ' '
		}
		want = append(want, r)
	}
	return string(want)
}

// plain reports whether a text has no control character and no line break.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029'
	})
}

// parseVariables reads the document's "[Carlos] [$100] [miércoles]": values in brackets, one space between them and
// nothing else outside, no bracket and no control character inside. No variables are an empty text.
func parseVariables(wire string) (values []string, err error) {
	if wire == "" {
		return nil, nil
	}
	for rest := wire; ; {
		value, ok := strings.CutPrefix(rest, "[")
		if !ok {
			return nil, errors.New("a variable does not begin with [")
		}
		end := strings.IndexAny(value, "[]")
		if end < 0 || value[end] != ']' {
			return nil, errors.New("a variable does not end with ]")
		}
		value, rest = value[:end], value[end+1:]
		if !utf8.ValidString(value) || !plain(value) {
			return nil, errors.New("a variable has a character that WhatsApp refuses")
		}
		values = append(values, value)
		if rest == "" {
			return values, nil
		}
		if rest, ok = strings.CutPrefix(rest, " "); !ok {
			return nil, errors.New("variables are not parted by one space")
		}
	}
}

func FuzzCustomField(f *testing.F) {
	f.Add("c:1:1", "exp|7")
	f.Add("", strings.Repeat("ñ", 1200))
	f.Fuzz(func(t *testing.T, ref, text string) {
		got := customField(ref, text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxCustomField || !strings.HasPrefix(got, "p1|") {
			t.Fatalf("%q", got)
		}
	})
}
