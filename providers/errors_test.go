package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"pregon/providers"
)

func TestClassOfIsCareful(t *testing.T) {
	var nilError *providers.Error
	tests := map[string]struct {
		err  error
		want providers.Class
	}{
		"NoErrorIsAccepted":               {nil, providers.Accepted},
		"ZeroErrorIsUnknown":              {&providers.Error{}, providers.Unknown},
		"ForeignErrorIsUnknown":           {context.Canceled, providers.Unknown},
		"TypedNilIsUnknown":               {nilError, providers.Unknown},
		"ErrorCannotBeAccepted":           {&providers.Error{Class: providers.Accepted}, providers.Unknown},
		"ImpossibleClassIsUnknown":        {&providers.Error{Class: 99}, providers.Unknown},
		"WrappedErrorKeepsItsClass":       {fmt.Errorf("x: %w", &providers.Error{Class: providers.Later}), providers.Later},
		"UnsentIsUnsent":                  {&providers.Error{Class: providers.Unsent}, providers.Unsent},
		"ForeignErrorBelowChangesNothing": {&providers.Error{Class: providers.Broke, Err: errors.New("x")}, providers.Broke},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := providers.ClassOf(tt.err); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClassNames(t *testing.T) {
	var names []string
	for class := providers.Unknown; class <= providers.Later; class++ {
		names = append(names, class.String())
	}
	want := strings.Fields("unknown accepted unsent not_now rejected content blocked broke later")
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if got := providers.Class(200).String(); got != "unknown" {
		t.Errorf("an impossible class reads %q", got)
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  *providers.Error
		want string
	}{
		{&providers.Error{Op: "acme send", Class: providers.Rejected, Code: "1002", Reason: "no such number"},
			"acme send: 1002 (rejected): no such number"},
		{&providers.Error{Class: providers.Unknown, Code: "reset", Err: errors.New("EOF")}, "reset (unknown): EOF"},
		{&providers.Error{}, "(unknown)"},
		{&providers.Error{Code: "x", Err: errors.New("row of 573005550123\nfailed")}, "x (unknown): row of *** failed"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestBalanceDecidesBroke(t *testing.T) {
	ask := &providers.Error{Class: providers.Broke, Code: "5", AskBalance: true}
	tests := map[string]struct {
		err     *providers.Error
		balance providers.Balance
		want    providers.Class
	}{
		"LowBalanceStaysBroke":      {ask, providers.Balance{Amount: 10, Known: true}, providers.Broke},
		"EnoughBalanceIsBlocked":    {ask, providers.Balance{Amount: 10.5, Known: true}, providers.Blocked},
		"UnknownBalanceStaysBroke":  {ask, providers.Balance{Amount: 99}, providers.Broke},
		"OtherErrorsAreNotDecided":  {&providers.Error{Class: providers.Broke}, providers.Balance{Amount: 99, Known: true}, providers.Broke},
		"UnknownErrorsStayUnknown ": {&providers.Error{}, providers.Balance{Amount: 99, Known: true}, providers.Unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := tt.err.WithBalance(tt.balance, 10)
			if got.Class != tt.want || got.AskBalance || got.Code != tt.err.Code {
				t.Errorf("got %+v, want class %s", got, tt.want)
			}
		})
	}
	if !ask.AskBalance || ask.Class != providers.Broke {
		t.Error("WithBalance changed its receiver")
	}
}

func TestMeaningMakesItsError(t *testing.T) {
	m := providers.Meaning{
		Class: providers.Rejected, ES: "es", EN: "en", RetryAfter: 1, Suppress: providers.Forever,
		MarketingOnly: true, Halt: true, Suspect: 0.5, AskBalance: true,
	}
	want := &providers.Error{
		Class: providers.Rejected, Code: "7", Reason: "words", RetryAfter: 1, Suppress: providers.Forever,
		MarketingOnly: true, Halt: true, Suspect: 0.5, AskBalance: true,
	}
	if diff := cmp.Diff(want, m.Error("7", "words")); diff != "" {
		t.Error(diff)
	}
	for lang, want := range map[string]string{"": "es", "es": "es", "en": "en", "EN_US.UTF-8": "en", "fr": "es"} {
		if got := m.Text(lang); got != want {
			t.Errorf("Text(%q) = %q, want %q", lang, got, want)
		}
	}
}

// TestSecretHides prints a secret in every way that this project prints, also from inside a struct's unexported field,
// where fmt calls no methods.
func TestSecretHides(t *testing.T) {
	const text = "b6fd61ec974d"
	secret := providers.NewSecret(text)
	type config struct {
		Token  providers.Secret `json:"token" yaml:"token"`
		hidden providers.Secret
		Many   map[string]providers.Secret
	}
	c := config{secret, secret, map[string]providers.Secret{"a": secret}}
	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, value := range []any{secret, &secret, c, &c, []providers.Secret{secret}} {
			shown[verb] += fmt.Sprintf(verb, value)
		}
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("x", "secret", secret, "config", c, "pointer", &c, "list", []any{secret})
	}
	shown["JSON"], shown["YAML"], shown["slog"] = string(asJSON), string(asYAML), logged.String()
	for how, got := range shown {
		for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
			if strings.Contains(got, leak) {
				t.Errorf("%s shows the secret: %s", how, got)
			}
		}
	}
	if want := `{"token":"[hidden]","Many":{"a":"[hidden]"}}`; string(asJSON) != want {
		t.Errorf("JSON %s, want %s", asJSON, want)
	}
	if secret.Reveal() != text || c.hidden.Reveal() != text {
		t.Error("Reveal does not give the text back")
	}
}

func TestSecretReadsItself(t *testing.T) {
	var config struct{ Token providers.Secret }
	if err := yaml.Unmarshal([]byte("token: abc"), &config); err != nil || config.Token.Reveal() != "abc" {
		t.Errorf("YAML gave %q, %v", config.Token.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`{"token":"xyz"}`), &config); err != nil || config.Token.Reveal() != "xyz" {
		t.Errorf("JSON gave %q, %v", config.Token.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`{"token":"[hidden]"}`), &config); err == nil {
		t.Error("a hidden secret was read as a credential")
	}
	if !providers.NewSecret("").IsZero() || providers.NewSecret("a").IsZero() {
		t.Error("IsZero is wrong")
	}
	if !providers.NewSecret("a").Equal(providers.NewSecret("a")) || providers.NewSecret("a").Equal(providers.NewSecret("b")) {
		t.Error("Equal is wrong")
	}
}

func TestMessagePrintsItsReferenceOnly(t *testing.T) {
	m := providers.Message{To: "573005550123", Vars: []string{"Zoraida"}, CustomField: "exp", Ref: "c1:7:2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, m); got != "message c1:7:2" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

func TestMask(t *testing.T) {
	long := strings.Repeat("ñ", 300)
	tests := map[string]struct {
		text    string
		private []string
		want    string
	}{
		"PhoneIsHidden":               {"to 573005550123 failed", nil, "to *** failed"},
		"SevenDigitsAreHidden":        {"1234567", nil, "***"},
		"SixDigitsAreACode":           {"131049 and 1002", nil, "131049 and 1002"},
		"SeparatedPhoneIsHidden":      {"+57 (300) 555-01.23!", nil, "+***!"},
		"ArabicDigitsAreDigits":       {"٣٠٠٥٥٥٠١٢٣", nil, "***"},
		"SecretIsHidden":              {"login demo@example.com is wrong", []string{"demo@example.com"}, "login *** is wrong"},
		"CaseDoesNotMatter":           {"DEMO@Example.com", []string{"demo@example.com"}, "***"},
		"LongerSecretGoesFirst":       {"Ana María", []string{"Ana", "Ana María"}, "***"},
		"ShortValuesStay":             {"ok, 1 of 2", []string{"1", "ok", ""}, "ok, 1 of 2"},
		"SecretWithSpecialCharacters": {"a (b|c.* d", []string{"(b|c.*"}, "a *** d"},
		"LinesBecomeOne":              {" a\r\n\tb\x00\u2028c ", nil, "a b c"},
		"SecretAcrossLinesIsHidden":   {"x Ana\n María y", []string{"Ana María"}, "x *** y"},
		"BrokenTextIsMended":          {"a\xffb", nil, "a\uFFFDb"},
		"LongTextIsCut":               {long, nil, long[:400]},
		"CutCannotLeaveHalfASecret":   {strings.Repeat("a", 195) + " topsecret", []string{"topsecret"}, strings.Repeat("a", 195) + " ***"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := providers.Mask(tt.text, tt.private...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	for _, code := range []string{
		"gate", "no_connection", "tls", "cancelled", "bad_request", "timeout", "interrupted", "reset", "malformed",
		"cut_answer", "not_json", "no_code", "http_302", "http_400", "http_401", "http_429", "http_500", "http_503",
	} {
		m, ok := providers.Describe(code)
		if !ok || m.ES == m.EN {
			t.Errorf("%s is not explained in two languages", code)
		}
		for _, text := range []string{m.ES, m.EN} { // What happened, and what to do.
			if strings.Count(text, ". ") != 1 || !strings.HasSuffix(text, ".") || len([]rune(text)) > 120 {
				t.Errorf("%s: want two short sentences, got %q", code, text)
			}
		}
	}
	for _, code := range []string{"", "1002", "http_", "http_x", "http_99", "http_1000", "HTTP_500"} {
		if _, ok := providers.Describe(code); ok {
			t.Errorf("%q is no code of this package", code)
		}
	}
	if m, _ := providers.Describe("http_401"); m.Class != providers.Blocked {
		t.Errorf("http_401 is %s", m.Class)
	}
}
