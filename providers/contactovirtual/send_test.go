package contactovirtual

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pregon/providers"
)

// judged runs an answer's body through judgeSend.
func judged(status int, body string) (id string, e *providers.Error) {
	return judgeSend(providers.Answer{Status: status, Header: http.Header{}, Body: []byte(body)})
}

func TestAnswersOfSend(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		class  providers.Class
		code   string // of the error, or the message id
	}{
		// What PHP does to the document's example.
		"CodeAsText":         {200, `{"code":"1","messageId":"m"}`, providers.Accepted, "m"},
		"CodeWithBlanks":     {200, `{"code":" 1 ","messageId":" m "}`, providers.Accepted, "m"},
		"NumericMessageID":   {200, `{"code":1,"messageId":12}`, providers.Accepted, "12"},
		"AmpersandKey":       {200, `{"code":1,"&messageId":"m"}`, providers.Accepted, "m"},
		"OtherCaseOfKeys":    {200, `{"CODE":1,"message_id":"m"}`, providers.Accepted, "m"},
		"NullMessageID":      {200, `{"code":1,"messageId":null}`, providers.Accepted, ""},
		"ObjectAsMessageID":  {200, `{"code":1,"messageId":{"a":1}}`, providers.Accepted, ""},
		"EndlessMessageID":   {200, `{"code":1,"messageId":"` + strings.Repeat("a", 129) + `"}`, providers.Accepted, ""},
		"BinaryMessageID":    {200, `{"code":1,"messageId":"a\u0000b"}`, providers.Accepted, ""},
		"ByteOrderMark":      {200, "\xef\xbb\xbf{\"code\":1,\"messageId\":\"m\"}", providers.Accepted, "m"},
		"BlanksAround":       {200, " \r\n\t{\"code\":1,\"messageId\":\"m\"}\n\n", providers.Accepted, "m"},
		"PHPNoticeBefore":    {200, "<br />\n<b>Notice</b>: Undefined index: {media} in <b>/a.php</b> [0]<br />\n{\"code\":1,\"messageId\":\"m\"}", providers.Accepted, "m"},
		"PHPWarningAfter":    {200, "{\"code\":2}\n<b>Warning</b>: something {odd} on line 3", providers.Blocked, "2"},
		"IDDespiteServerErr": {500, `{"code":1,"messageId":"m"}`, providers.Accepted, "m"},
		"UnknownKeys":        {200, `{"code":1,"messageId":"m","extra":[1,{"code":2}]}`, providers.Accepted, "m"},
		"SameKeyTwiceAlike":  {200, `{"code":1,"code":1,"messageId":"m"}`, providers.Accepted, "m"},
		"NoErrorsInStatus":   {200, `{"code":1,"status":"enviado sin errores","messageId":"m"}`, providers.Accepted, "m"},

		// Codes decide whatever the status.
		"CodeWithBadStatus": {400, `{"code":4}`, providers.Rejected, "4"},
		"CodeWithServerErr": {500, `{"code":"1003","status":"sending error, return balance"}`, providers.Broke, "1003"},

		// "sending error, return balance": not sent and refunded.
		"RefundAlone":             {200, `{"status":"sending error, return balance"}`, providers.NotNow, CodeRefunded},
		"RefundWithInnerCode":     {200, `{"code":1,"status":"sending error, return balance","description":"1003 Verifique el saldo"}`, providers.Broke, "1003"},
		"RefundWithNestedCode":    {200, `{"code":1,"status":"return balance","error":{"code":1002}}`, providers.Rejected, "1002"},
		"RefundWithErrorCode":     {200, `{"code":1,"status":"return balance","error_code":"131049"}`, providers.Later, "131049"},
		"RefundWithOtherNumber":   {200, `{"code":1,"status":"sending error, return balance 4999"}`, providers.NotNow, CodeRefunded},
		"RefundWithOwnCodeInside": {200, `{"code":1,"status":"return balance","error":{"code":2}}`, providers.NotNow, CodeRefunded},
		"RefundWithOddBlanks":     {200, `{"code":1,"reason":"return\u00a0 Balance","messageId":"m"}`, providers.NotNow, CodeRefunded},
		"ErrorInReason":           {200, `{"code":1,"status":"mensaje enviado","reason":"error 3","messageId":"m"}`, providers.Unknown, "1"},
		"NoErrorAndAnError":       {200, `{"code":1,"status":"sin error; error 3","messageId":"m"}`, providers.Unknown, "1"},
		"SendingErrorAlone":       {200, `{"status":"sending error"}`, providers.Unknown, providers.CodeNoCode},
		"EchoIsNoRefund":          {200, `{"code":1,"message":"return balance today","messageId":"m"}`, providers.Accepted, "m"},

		// What cannot be known.
		"Code1WithoutIDIn500": {500, `{"code":1}`, providers.Unknown, "1"},
		"UnlistedIn500":       {500, `{"code":9999}`, providers.Unknown, "9999"},
		"Empty":               {200, ``, providers.Unknown, providers.CodeNotJSON},
		"BareNumber":          {200, `1`, providers.Unknown, providers.CodeNotJSON},
		"Array":               {200, `[{"code":2}]`, providers.Unknown, providers.CodeNotJSON},
		"EmptyArray":          {200, `[]`, providers.Unknown, providers.CodeNotJSON},
		"CutInsideInner":      {200, `{"code":1,"data":{"code":2}`, providers.Unknown, providers.CodeNotJSON},
		"CutInText":           {200, `{"code":2,"status":"auth`, providers.Unknown, providers.CodeNotJSON},
		"TwoAnswers":          {200, `{"code":2}{"code":1,"messageId":"m"}`, providers.Unknown, providers.CodeNotJSON},
		"TwoCodes":            {200, `{"code":2,"code":1}`, providers.Unknown, providers.CodeNotJSON},
		"TwoSpellings":        {200, `{"code":2,"Code":"1"}`, providers.Unknown, providers.CodeNotJSON},
		"HTMLWithScript":      {200, `<!doctype html><script>x={"code":2}</script>`, providers.Unknown, providers.CodeNotJSON},
		"HTMLPage":            {200, `<html>Ingrese</html>`, providers.Unknown, providers.CodeNotJSON},

		// Without a listed code the status decides.
		"GupshupsTooMany": {429, `{"message":"Too Many Requests","status":"error"}`, providers.NotNow, "http_429"},
		"Unauthorized":    {401, `{"message":"no"}`, providers.Blocked, "http_401"},
		"BadWithUnlisted": {400, `{"code":"E17"}`, providers.Content, "http_400"},
		"ServerError":     {502, `{"error":"x"}`, providers.Unknown, "http_502"},
		"Redirect":        {302, ``, providers.Blocked, "http_302"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id, e := judged(tt.status, tt.body)
			if e == nil {
				if tt.class != providers.Accepted || id != tt.code {
					t.Errorf("accepted with id %q, want %s %q", id, tt.class, tt.code)
				}
				return
			}
			if e.Class != tt.class || e.Code != tt.code {
				t.Errorf("got %s %q, want %s %q", e.Class, e.Code, tt.class, tt.code)
			}
		})
	}
}

func TestUnlistedCodeIsShownWhereTheStatusDecides(t *testing.T) {
	_, e := judged(400, `{"code":"E17","reason":"bad thing"}`)
	if e.Reason != "code E17: bad thing" {
		t.Errorf("reason %q", e.Reason)
	}
}

// TestServersWaitIsTakenOver wants Retry-After obeyed by what is refused for now, whatever the status it came with.
func TestServersWaitIsTakenOver(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   time.Duration
	}{
		"CodeIn429":        {429, `{"code":130429}`, 9 * time.Second},
		"CodeIn200":        {200, `{"code":130429}`, 9 * time.Second},
		"CodeIn503":        {503, `{"code":131056}`, 9 * time.Second},
		"Refunded":         {200, `{"status":"sending error, return balance"}`, 9 * time.Second},
		"429Alone":         {429, `{"message":"Too Many Requests"}`, 9 * time.Second},
		"TablesWaitStands": {429, `{"code":131049}`, day},
		"RefusedForGood":   {429, `{"code":1002}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, e := judgeSend(providers.Answer{
				Status: tt.status, Header: http.Header{"Retry-After": {"9"}}, Body: []byte(tt.body),
			})
			if e == nil || e.RetryAfter != tt.want {
				t.Errorf("%v, wait %s", e, e.RetryAfter)
			}
		})
	}
}

// TestSignedCodes wants a code as it came, unless it shows what it must not.
func TestSignedCodes(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	for code, want := range map[string]string{
		"1002": "1002", "9999": "9999", "131049": "131049", "E-17": "E-17", "timeout": "timeout", "refunded": "refunded",
		testToken: "***", "x " + url.QueryEscape(testLogin): "x ***",
		"573005550123": "***", "+57 300 555-0123": "+***", "Zoraida Ñáñez": "***", "a\tb\x00c": "a b c",
		strings.Repeat("ñ", 500): strings.Repeat("ñ", 64),
	} {
		e := c.sign("op", &providers.Error{Code: code}, "9999", "1002", "time", "fund", "Zoraida Ñáñez", "573005550123")
		if e.Code != want || e.Op != "op" {
			t.Errorf("%q became %q, want %q", code, e.Code, want)
		}
	}
}

// form is what a server got, whatever the encoding.
func form(t *testing.T, r *http.Request) url.Values {
	t.Helper()
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Error(err)
	}
	got := url.Values{}
	if kind != "multipart/form-data" {
		body, _ := io.ReadAll(r.Body)
		if got, err = url.ParseQuery(string(body)); err != nil {
			t.Error(err)
		}
		return got
	}
	for reader := multipart.NewReader(r.Body, params["boundary"]); ; {
		part, err := reader.NextPart()
		if err != nil {
			return got
		}
		value, _ := io.ReadAll(part)
		got.Add(part.FormName(), string(value))
	}
}

func TestRequestsOfSend(t *testing.T) {
	long := strings.Repeat("ñ", 1200)
	creds := url.Values{"login": {testLogin}, "token": {testToken}, "mobile": {"573005550123"}, "id_template": {"990"}}
	with := func(more ...string) url.Values {
		v := url.Values{}
		for key, value := range creds {
			v[key] = value
		}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	tests := map[string]struct {
		m    providers.Message
		want url.Values
	}{
		"BareTemplateLeavesOptionalFieldsOut": {providers.Message{}, with()},
		"VariablesInBrackets": {providers.Message{Vars: []string{"Carlos", "$100", "miércoles"}},
			with("template_variables", "[Carlos] [$100] [miércoles]")},
		"BracketsAndLinesInValues": {providers.Message{Vars: []string{"a] [b", "c\r\nd\te"}},
			with("template_variables", "[a) (b] [c  d e]")},
		"EmptyValueKeepsTheCount": {providers.Message{Vars: []string{"", "b"}}, with("template_variables", "[] [b]")},
		"FormCharactersSurvive": {providers.Message{Vars: []string{"a&b=c+d%20;é🙂*_"}},
			with("template_variables", "[a&b=c+d%20;é🙂*_]")},
		"MediaAndCustomField": {providers.Message{MediaURL: "https://x.co/a b.pdf?c=1&d", CustomField: "exp|7", Ref: "c:1:1"},
			with("media", "https://x.co/a b.pdf?c=1&d", "custom_field", "p1|c:1:1|exp|7")},
		"ReferenceAlone":         {providers.Message{Ref: "c:1:1"}, with("custom_field", "p1|c:1:1|")},
		"LongCustomFieldIsCut":   {providers.Message{Ref: "c", CustomField: long}, with("custom_field", "p1|c|"+long[:2*995])},
		"BrokenTextIsMendedOnce": {providers.Message{Vars: []string{"a\xffb"}}, with("template_variables", "[a\uFFFDb]")},
	}
	for _, encoding := range []string{encodingForm, encodingMultipart} {
		for name, tt := range tests {
			t.Run(encoding+"/"+name, func(t *testing.T) {
				got, path, method := url.Values{}, "", ""
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got, path, method = form(t, r), r.URL.RequestURI(), r.Method
					io.WriteString(w, `{"code":1,"messageId":"m"}`)
				}))
				defer server.Close()
				tt.m.To, tt.m.Template = "573005550123", "990"
				if _, err := newTestClient(t, server.URL+"/", encoding).Send(t.Context(), tt.m); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if path != "/bot/chat_wa/ws/send/" || method != http.MethodPost {
					t.Errorf("%s %s", method, path)
				}
			})
		}
	}
}

// TestSendAsksTheServerFirst sends to a server that refuses at the headers: with ExpectContinue that is certain.
func TestSendAsksTheServerFirst(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	for expect, want := range map[bool]providers.Class{true: providers.Unsent, false: providers.Unknown} {
		c := newTestClient(t, server.URL, "")
		c.expectContinue = expect
		if _, err := c.Send(t.Context(), testMessage); providers.ClassOf(err) != want {
			t.Errorf("ExpectContinue %v: %v, want %s", expect, err, want)
		}
	}
}

// TestSendHasItsOwnBudget gives a context without end to a server that never answers.
func TestSendHasItsOwnBudget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Only then does the server notice that the client has gone.
		<-r.Context().Done()
	}))
	defer server.Close()
	c := newTestClient(t, server.URL, "")
	if c.timeout != time.Minute {
		t.Errorf("the default budget is %s, want 1m", c.timeout)
	}
	c.timeout = time.Millisecond
	_, err := c.Send(context.Background(), testMessage)
	if class := providers.ClassOf(err); class != providers.Unknown && class != providers.Unsent {
		t.Errorf("got %v", err)
	}
}

func TestReasonHidesEscapedCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode(map[string]any{"code": testToken, "reason": "got " + string(body)})
	}))
	defer server.Close()
	c := newTestClient(t, server.URL, "")
	for _, call := range []func() error{
		func() error { _, err := c.Send(t.Context(), testMessage); return err },
		func() error { _, err := c.Balance(t.Context()); return err },
		func() error { _, err := c.Templates(t.Context()); return err },
	} {
		err := call()
		if err == nil {
			t.Fatal("no error")
		}
		for _, secret := range []string{testToken, testLogin, url.QueryEscape(testLogin), "573005550123"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q shows a secret", err)
			}
		}
		if !strings.Contains(err.Error(), "got login=***") {
			t.Errorf("%q lost the provider's words", err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := newTestClient(b, "http://127.0.0.1:1", "")
	b.ReportAllocs()
	for b.Loop() {
		encode(encodingForm, c.sendFields(testMessage))
	}
}

func BenchmarkJudgeSend(b *testing.B) {
	a := providers.Answer{Status: 200, Body: []byte(`{"code":1,"status":"mensaje enviado","messageId":"` + testID + `"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, e := judgeSend(a); e != nil {
			b.Fatal(e)
		}
	}
}
