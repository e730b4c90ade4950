package contactovirtual

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pregon/providers"
)

// FuzzJudgeSend holds what must be true of every answer: it never panics, it is accepted only if it says so, and
// it counts as not sent only if a code or words of the tables stand in it.
func FuzzJudgeSend(f *testing.F) {
	for _, body := range []string{
		`{"code": 1,"status": "mensaje enviado","messageId": "` + testID + `"}`, `{"code":"1002"}`, `[{"code":1}]`,
		`{"code":1,"status":"sending error, return balance 1003"}`, `<html>{"code":2}`, "\xef\xbb\xbf {\"code\":5}",
		`{"code":1,"data":{"code":2}`, `{"code":2}{"code":1}`, `{"code":1008,"reason":"no opt-in"}`, `{"error":{"code":1002}}`,
	} {
		f.Add(200, []byte(body))
	}
	f.Add(429, []byte(`{"message":"Too Many Requests","status":"error"}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		id, e := judgeSend(providers.Answer{Status: status, Body: body})
		if e == nil {
			if r, err := readReply(body); err != nil || r.code != "1" || r.refunded || id != r.messageID {
				t.Fatalf("accepted %q", body)
			}
			return
		}
		if id != "" || e.Code == "" || e.Class == providers.Accepted {
			t.Fatalf("id %q, %v", id, e)
		}
		if e.Class == providers.Unknown || e.Class == providers.Unsent || status/100 != 2 {
			return
		}
		if _, listed := sendMeaning(e.Code, "", true); !listed && e.Code != CodeRefunded {
			t.Fatalf("%s by the unlisted code %q", e.Class, e.Code)
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

// FuzzTemplateVariables reads back what the encoder wrote with a parser that forgives nothing.
func FuzzTemplateVariables(f *testing.F) {
	f.Add("Carlos", "$100", "miércoles")
	f.Add("a] [b", "[[", "")
	f.Add("x\r\ny", "\t\x00", "\u2028\u0085")
	f.Add("\xff[", "🙂 ", " ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		values := []string{a, b, c}
		wire := templateVariables(values)
		got, err := parseVariables(wire)
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		if len(got) != len(values) {
			t.Fatalf("%d variables, want %d: %q", len(got), len(values), wire)
		}
		for i, value := range values {
			want := strings.NewReplacer("[", "(", "]", ")", "\n", " ", "\r", " ", "\t", " ").Replace(value)
			if plain(want) && got[i] != strings.ToValidUTF8(want, "\uFFFD") && utf8.ValidString(value) {
				t.Fatalf("variable %d is %q, want %q", i+1, got[i], want)
			}
			if utf8.RuneCountInString(got[i]) != utf8.RuneCountInString(value) {
				t.Fatalf("variable %d has another length: %q, was %q", i+1, got[i], value)
			}
		}
	})
}

// plain reports whether a text has none of the rarer control characters that the encoder blanks too.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029'
	})
}

// parseVariables reads "[v1] [v2]": one space between, nothing else outside, no bracket and no control character
// inside.
func parseVariables(wire string) (values []string, err error) {
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
