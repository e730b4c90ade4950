package contactovirtual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pregon/providers"
)

func TestAnswersOfBalance(t *testing.T) {
	known := func(amount float64, raw string) providers.Balance {
		return providers.Balance{Amount: amount, Known: true, Raw: raw}
	}
	unknown := func(raw string) providers.Balance { return providers.Balance{Raw: raw} }
	tests := map[string]struct {
		body string
		want providers.Balance
	}{
		"DocumentsExample":      {`{ "balance": "163", "status": "success" }`, known(163, "163")},
		"Number":                {`{"balance":163}`, known(163, "163")},
		"NumberWithDecimals":    {`{"balance":1.234}`, known(1.234, "1.234")},
		"NumberWithExponent":    {`{"balance":1e3}`, known(1000, "1e3")},
		"Zero":                  {`{"balance":"0"}`, known(0, "0")},
		"Negative":              {`{"balance":"-3"}`, known(-3, "-3")},
		"Decimals":              {`{"balance":"163.50"}`, known(163.5, "163.50")},
		"DatabaseDecimals":      {`{"balance":"163.0000"}`, known(163, "163.0000")},
		"DecimalComma":          {`{"balance":"163,5"}`, known(163.5, "163,5")},
		"CommaThousands":        {`{"balance":"1,234"}`, known(1234, "1,234")},
		"ColombianThousands":    {`{"balance":"1.234,50"}`, known(1234.5, "1.234,50")},
		"AmericanThousands":     {`{"balance":"1,234.50"}`, known(1234.5, "1,234.50")},
		"Millions":              {`{"balance":"1.234.567"}`, known(1234567, "1.234.567")},
		"Pesos":                 {`{"balance":" $ 1.234.567 COP"}`, known(1234567, "$ 1.234.567 COP")},
		"CurrencyFirst":         {`{"balance":"USD 12.5"}`, known(12.5, "USD 12.5")},
		"BelowOne":              {`{"balance":"0.125"}`, known(0.125, "0.125")},
		"FourDigitsThenThree":   {`{"balance":"1234.567"}`, known(1234.567, "1234.567")},
		"WithCode1":             {`{"code":1,"balance":"163"}`, known(163, "163")},
		"ThousandOrLittle":      {`{"balance":"1.234"}`, unknown("1.234")},
		"Words":                 {`{"balance":"ilimitado"}`, unknown("ilimitado")},
		"EmptyText":             {`{"balance":""}`, unknown(`""`)},
		"Null":                  {`{"balance":null}`, unknown("null")},
		"Object":                {`{"balance":{"a":1}}`, unknown(`{"a":1}`)},
		"TextExponent":          {`{"balance":"1e3"}`, unknown("1e3")},
		"Hexadecimal":           {`{"balance":"0x10"}`, unknown("0x10")},
		"Infinity":              {`{"balance":"Inf"}`, unknown("Inf")},
		"TooLargeANumber":       {`{"balance":1e999}`, unknown("1e999")},
		"WrongGroups":           {`{"balance":"1,23,456"}`, unknown("1,23,456")},
		"TwoAmounts":            {`{"balance":"163 / 20"}`, unknown("163 / 20")},
		"CurrencyWithoutAmount": {`{"balance":"$"}`, unknown("$")},
		"EndlessTextIsCut":      {`{"balance":"` + strings.Repeat("ñ", 100) + `"}`, unknown(strings.Repeat("ñ", 64))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, e := judgeBalance(providers.Answer{Status: 200, Body: []byte(tt.body)})
			if e != nil {
				t.Fatal(e)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// refusals holds for both endpoints that only read.
var refusals = map[string]struct {
	status int
	body   string
	class  providers.Class
	code   string
}{
	"WrongCredentials": {200, `{"code":2,"status":"authentication error"}`, providers.Blocked, "2"},
	"CodeAsText":       {200, `{"code":" 3"}`, providers.Blocked, "3"},
	"CodeIn401":        {401, `{"code":2}`, providers.Blocked, "2"},
	"Unlisted":         {200, `{"code":"9999"}`, providers.Unknown, "9999"},
	"SendsCode7":       {200, `{"code":7}`, providers.Unknown, "7"},
	"NoCode":           {200, `{"status":"success"}`, providers.Unknown, providers.CodeNoCode},
	"EmptyObject":      {200, `{}`, providers.Unknown, providers.CodeNoCode},
	"Empty":            {200, ``, providers.Unknown, providers.CodeNotJSON},
	"Page":             {200, `<html>{"balance":"163"}</html>`, providers.Unknown, providers.CodeNotJSON},
	"Cut":              {200, `{"balance":"163"`, providers.Unknown, providers.CodeNotJSON},
	"Conflict":         {200, `{"code":2,"code":3}`, providers.Unknown, providers.CodeNotJSON},
	"ServerError":      {502, `<html>`, providers.Unknown, "http_502"},
	"SlowDown":         {429, `{"message":"Too Many Requests"}`, providers.NotNow, "http_429"},
	"Unauthorized":     {401, ``, providers.Blocked, "http_401"},
	"Redirect":         {301, ``, providers.Blocked, "http_301"},
}

func TestRefusalsOfReads(t *testing.T) {
	for name, tt := range refusals {
		t.Run(name, func(t *testing.T) {
			a := providers.Answer{Status: tt.status, Body: []byte(tt.body)}
			_, balance := judgeBalance(a)
			_, templates := judgeTemplates(a)
			for endpoint, e := range map[string]*providers.Error{"balance": balance, "templates": templates} {
				if e == nil || e.Class != tt.class || e.Code != tt.code {
					t.Errorf("%s: got %v, want %s %q", endpoint, e, tt.class, tt.code)
				}
			}
		})
	}
	for name, body := range map[string]string{
		"BalanceOfAnotherEndpointsCode": `{"code":4}`,
		"BalanceBesideACode":            `{"code":2,"balance":"0"}`,
		"BalanceBesideAnError":          `{"balance":"0","status":"error"}`,
		"ListOfTemplates":               `[{"nombre_plantilla":"a"}]`,
	} {
		if _, e := judgeBalance(providers.Answer{Status: 200, Body: []byte(body)}); e == nil {
			t.Errorf("%s was read as a balance", name)
		}
	}
	if _, e := judgeBalance(providers.Answer{Status: 500, Body: []byte(`{"balance":"163"}`)}); e == nil {
		t.Error("a failed call was read as a balance")
	}
}

func TestAnswersOfTemplates(t *testing.T) {
	cita := providers.Template{Name: "Asignación de cita", Text: "¡Hola *{1}*!\nFecha: *{2}*", Status: "approved"}
	const citaJSON = `{"nombre_plantilla":"Asignaci\u00f3n de cita",` +
		`"plantilla_aprobada":"\u00a1Hola *{1}*!\nFecha: *{2}*","status":"success"}`
	promo := providers.Template{ID: "991", Name: "Promo", Text: "{{1}}", Status: "pending"}
	const promoJSON = `{"id_template":991,"nombre_plantilla":"Promo","plantilla_pendiente":"{{1}}"}`
	tests := map[string]struct {
		body string
		want []providers.Template
	}{
		"DocumentsShape":     {"[" + citaJSON + "]", []providers.Template{cita}},
		"SeveralInOrder":     {"[" + promoJSON + "," + citaJSON + "]", []providers.Template{promo, cita}},
		"OneObject":          {citaJSON, []providers.Template{cita}},
		"NumberedObject":     {`{"10":` + citaJSON + `,"2":` + promoJSON + `}`, []providers.Template{promo, cita}},
		"NoticeBefore":       {"<b>Notice</b>: [x] {y}\n[" + citaJSON + "]", []providers.Template{cita}},
		"Rejected":           {`[{"nombre_plantilla":"a","plantilla_rechazada":"b"}]`, []providers.Template{{Name: "a", Text: "b", Status: "rejected"}}},
		"NameOnly":           {`[{"nombre_plantilla":"a","plantilla_aprobada":""}]`, []providers.Template{{Name: "a"}}},
		"EmptyList":          {`[]`, []providers.Template{}},
		"Code4IsAnEmptyList": {`{"code":4,"status":"without templates"}`, []providers.Template{}},
		"Code4AsText":        {`{"code":"4"}`, []providers.Template{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, e := judgeTemplates(providers.Answer{Status: 200, Body: []byte(tt.body)})
			if e != nil {
				t.Fatal(e)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, tt := range map[string]struct {
		body  string
		class providers.Class
	}{
		"ErrorInsideAList":       {`[{"code":2}]`, providers.Blocked},
		"StrangerInTheList":      {"[" + citaJSON + `,{"a":1}]`, providers.Unknown},
		"TextInTheList":          {"[" + citaJSON + `,"x"]`, providers.Unknown},
		"DocumentsBrokenExample": {`[{"nombre_plantilla":"a","plantilla_aprobada":"b *{1}* *{"\n\nstatus":"success"}]`, providers.Unknown},
		"NumbersAndWords":        {`{"1":` + citaJSON + `,"total":{"a":1}}`, providers.Unknown},
		"NotAList":               {`{"a":"b"}`, providers.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, e := judgeTemplates(providers.Answer{Status: 200, Body: []byte(tt.body)})
			if e == nil || e.Class != tt.class || got != nil {
				t.Errorf("got %v, %v; want %s", got, e, tt.class)
			}
		})
	}
	if _, e := judgeTemplates(providers.Answer{Status: 500, Body: []byte("[" + citaJSON + "]")}); e == nil {
		t.Error("a failed call was read as a list")
	}
}

func TestRequestsOfReads(t *testing.T) {
	want := url.Values{"login": {testLogin}, "token": {testToken}}
	got, path := url.Values{}, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, path = form(t, r), r.URL.RequestURI()
		io.WriteString(w, `{"nombre_plantilla":"a","balance":"163"}`)
	}))
	defer server.Close()
	c := newTestClient(t, server.URL, encodingMultipart)
	balance, err := c.Balance(t.Context())
	if err != nil || balance.Amount != 163 || path != "/bot/chat_wa/ws/balance/" {
		t.Errorf("%+v, %v from %s", balance, err, path)
	}
	templates, err := c.Templates(t.Context())
	if err != nil || len(templates) != 1 || path != "/bot/chat_wa/ws/template/" {
		t.Errorf("%+v, %v from %s", templates, err, path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// dialer refuses the first connections it is asked for.
type dialer struct{ refuse, asked int }

func (d *dialer) client(t *testing.T) *http.Client {
	c := providers.NewHTTPClient()
	t.Cleanup(c.CloseIdleConnections)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d.asked++; d.asked <= d.refuse {
			return nil, errors.New("refused")
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return c
}

func TestReadsAreRepeatedOnlyWhenUnsent(t *testing.T) {
	tests := map[string]struct {
		refuse, dials int
		hits          int32
		lose          bool
		class         providers.Class
	}{
		"TwoRefusalsAreOvercome": {2, 3, 1, false, providers.Accepted},
		"ThreeAreTooMany":        {3, 3, 0, false, providers.Unsent},
		"LostAnswerIsNotAsked":   {0, 1, 1, true, providers.Unknown},
	}
	for name, tt := range tests {
		for _, read := range []func(*Client) error{
			func(c *Client) error { _, err := c.Balance(t.Context()); return err },
			func(c *Client) error { _, err := c.Templates(t.Context()); return err },
		} {
			t.Run(name, func(t *testing.T) {
				var hits atomic.Int32
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if hits.Add(1); tt.lose {
						panic(http.ErrAbortHandler)
					}
					io.WriteString(w, `{"nombre_plantilla":"a","balance":"163"}`)
				}))
				defer server.Close()
				d := &dialer{refuse: tt.refuse}
				c := newTestClient(t, server.URL, "")
				c.http = d.client(t)
				err := read(c)
				if providers.ClassOf(err) != tt.class || d.asked != tt.dials || hits.Load() != tt.hits {
					t.Errorf("%v after %d connections and %d requests", err, d.asked, hits.Load())
				}
			})
		}
	}
}

func TestSendIsNotRepeatedWhenUnsent(t *testing.T) {
	d := &dialer{refuse: 9}
	c := newTestClient(t, "http://example.invalid", "")
	c.http = d.client(t)
	if _, err := c.Send(t.Context(), testMessage); providers.ClassOf(err) != providers.Unsent || d.asked != 1 {
		t.Errorf("%v after %d connections", err, d.asked)
	}
}

func TestCancelledReadStopsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &dialer{refuse: 9}
	c := newTestClient(t, "http://example.invalid", "")
	c.http = d.client(t)
	c.pause = time.Hour
	dial := c.http.Transport.(*http.Transport).DialContext
	c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, n, a string) (net.Conn, error) {
		defer cancel()
		return dial(ctx, n, a)
	}
	if _, err := c.Balance(ctx); providers.ClassOf(err) != providers.Unsent || d.asked != 1 {
		t.Errorf("%v after %d connections", err, d.asked)
	}
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := New(Config{URL: "https://user:hunter22@host", Encoding: "json", Timeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"URL", "login", "token", "encoding", "timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter22") {
		t.Error("the error repeats the address")
	}
	secret := providers.NewSecret("x")
	for _, address := range []string{"host", "ftp://host", "https://", "://", "https://h/?a=b", "https://h/#x", "/path"} {
		if _, err := New(Config{URL: address, Login: secret, Token: secret}); err == nil {
			t.Errorf("%q was taken for a root address", address)
		}
	}
}

func TestNewDefaults(t *testing.T) {
	c, err := New(Config{Login: providers.NewSecret("l"), Token: providers.NewSecret("t")})
	if err != nil {
		t.Fatal(err)
	}
	if c.root.String() != DefaultURL || c.encoding != "form" || c.http == nil || c.Name() != "contactovirtual" {
		t.Errorf("%s %s", c.root, c.encoding)
	}
	if c, err = New(Config{URL: "http://h:1/a/", Login: c.login, Token: c.token}); err != nil || c.root.String() != "http://h:1/a" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestClientAndConfigPrintNoCredentials(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", "")
	config := Config{Login: providers.NewSecret(testLogin), Token: providers.NewSecret(testToken)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		shown := fmt.Sprintf(verb+verb+verb, c, config, &config)
		if strings.Contains(shown, testLogin) || strings.Contains(shown, testToken) {
			t.Errorf("%s shows a credential: %s", verb, shown)
		}
	}
}

func TestLimits(t *testing.T) {
	want := providers.Limits{
		Prefix: "57", Digits: 12, NoBrackets: true, MaxBody: 1024, MaxCustom: 900,
		MediaTypes: []string{"pdf", "jpg", "mp3", "txt", "docx", "xlsx", "zip", "mp4", "pptx", "png", "jpeg"},
	}
	c := newTestClient(t, "http://127.0.0.1:1", "")
	if diff := cmp.Diff(want, c.Limits()); diff != "" {
		t.Error(diff)
	}
	// The longest allowed text survives beside a reference of the room that is kept for it.
	text := strings.Repeat("ñ", want.MaxCustom)
	if got := customField(strings.Repeat("r", referenceRoom-len(customPrefix)-2), text); !strings.HasSuffix(got, text) {
		t.Error("the room for the reference is too small")
	}
}
