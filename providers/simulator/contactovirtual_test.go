package simulator_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pregon/providers/simulator"
)

const goodPhone = "573005550100"

func TestSendIsCheckedInTheOrderOfTheDocument(t *testing.T) {
	// Each case keeps every later field wrong too, so that the order itself is tested.
	everythingWrong := []string{"mobile=3005550100", "id_template", "template_variables=[uno]"}
	tests := []struct {
		name    string
		options simulator.Options
		fields  url.Values
		code    int
		status  string
	}{
		{"wrong token", simulator.Options{Balance: -1, NoChatbot: true},
			fields("x", append(everythingWrong, "token=other")...), 2, "authentication error"},
		{"wrong login", simulator.Options{}, fields(goodPhone, "login=other@example.com"), 2, "authentication error"},
		{"no credentials", simulator.Options{}, fields(goodPhone, "login", "token"), 2, "authentication error"},
		{"no chatbot", simulator.Options{Balance: -1, NoChatbot: true}, fields("x", everythingWrong...), 3,
			"user without multiagent/chatbot"},
		{"no country prefix", simulator.Options{Balance: -1}, fields("x", everythingWrong...), 4,
			"error in the cell phone number to send"},
		{"other country", simulator.Options{}, fields("583005550100"), 4, "error in the cell phone number to send"},
		{"eleven digits", simulator.Options{}, fields("57300555010"), 4, "error in the cell phone number to send"},
		{"thirteen digits", simulator.Options{}, fields("5730055501000"), 4, "error in the cell phone number to send"},
		{"a letter", simulator.Options{}, fields("57300555010O"), 4, "error in the cell phone number to send"},
		{"a plus sign", simulator.Options{}, fields("+57300555010"), 4, "error in the cell phone number to send"},
		{"no mobile", simulator.Options{}, fields("", "mobile"), 4, "error in the cell phone number to send"},
		{"empty balance", simulator.Options{Balance: -1}, fields(goodPhone, everythingWrong[1:]...), 5,
			"no balance or inactive chatbot/multiagent"},
		{"balance below the cost", simulator.Options{Balance: 2, Cost: 3}, fields(goodPhone), 5,
			"no balance or inactive chatbot/multiagent"},
		{"inactive bot with balance", simulator.Options{BotInactive: true}, fields(goodPhone), 5,
			"no balance or inactive chatbot/multiagent"},
		{"no template", simulator.Options{}, fields(goodPhone, everythingWrong[1:]...), 6, "empty message"},
		{"unknown template", simulator.Options{}, fields(goodPhone, "id_template=989", "template_variables=[uno]"), 7,
			"id_template does not correspond to the project"},
		{"a variable too few", simulator.Options{}, fields(goodPhone, "template_variables=[uno] [dos]"), 8,
			"the number of variables received does not correspond to the number of variables created in the template"},
		{"a variable too many", simulator.Options{}, fields(goodPhone, "template_variables=[1][2][3][4]"), 8,
			"the number of variables received does not correspond to the number of variables created in the template"},
		{"variables for none", simulator.Options{}, fields(goodPhone, "id_template=992"), 8,
			"the number of variables received does not correspond to the number of variables created in the template"},
		{"all good", simulator.Options{}, fields(goodPhone), 1, "mensaje enviado"},
		{"all good without variables", simulator.Options{},
			fields(goodPhone, "id_template=992", "template_variables"), 1, "mensaje enviado"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.options)
			before := s.Account().Balance
			got := s.send(t, test.fields)
			var answer struct {
				Code              int
				Status, MessageID string
			}
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
				t.Fatalf("answer %q: %v", got.body, err)
			}
			if got.status != 200 || answer.Code != test.code || answer.Status != test.status {
				t.Errorf("got HTTP %d %q, want code %d %q", got.status, got.body, test.code, test.status)
			}
			arrived := 0
			if test.code == 1 {
				arrived = 1
			}
			if (answer.MessageID != "") != (arrived == 1) {
				t.Errorf("messageId %q with code %d", answer.MessageID, answer.Code)
			}
			if total := s.Receipts().Total; total != arrived {
				t.Errorf("%d messages arrived, want %d", total, arrived)
			}
			if after := s.Account().Balance; after != before-int64(arrived) {
				t.Errorf("balance went from %d to %d", before, after)
			}
		})
	}
}

func TestAnAcceptedMessageIsRememberedAsItWasSent(t *testing.T) {
	f := fields("573005550100", "media=https://example.com/guia.PDF?v=2",
		"template_variables=[Carlos] [$100 & más] [miércoles 😀]", "custom_field=p1|c:7:1|ñandú ; 100%")
	contentType, body := multipartBody(t, f)
	for _, encoding := range []struct {
		name, contentType string
		body              io.Reader
	}{
		{"urlencoded", "application/x-www-form-urlencoded", strings.NewReader(f.Encode())},
		{"urlencoded with a charset", "application/x-www-form-urlencoded; charset=UTF-8", strings.NewReader(f.Encode())},
		{"multipart", contentType, body},
	} {
		t.Run(encoding.name, func(t *testing.T) {
			s := start(t, simulator.Options{Cost: 7})
			got, err := s.post(t.Context(), simulator.SendPath, encoding.contentType, encoding.body)
			if err != nil {
				t.Fatal(err)
			}
			var answer struct{ MessageID string }
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
				t.Fatalf("answer %q: %v", got.body, err)
			}
			uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
			if !uuid.MatchString(answer.MessageID) {
				t.Errorf("messageId %q is no UUID", answer.MessageID)
			}
			want := []simulator.Message{{
				Provider: "contactovirtual", Mobile: "573005550100", Template: "990",
				Variables: []string{"Carlos", "$100 & más", "miércoles 😀"}, Media: "https://example.com/guia.PDF?v=2",
				CustomField: "p1|c:7:1|ñandú ; 100%", MessageID: answer.MessageID, Charged: 7,
			}}
			messages := s.Messages()
			if diff := cmp.Diff(want, messages, cmpopts.IgnoreFields(simulator.Message{}, "AtMS")); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if rate := s.Rate(); messages[0].AtMS > rate.LastMS || messages[0].AtMS < rate.FirstMS-1000 {
				t.Errorf("arrived at %d, but the only send was at %d", messages[0].AtMS, rate.FirstMS)
			}
		})
	}
}

func TestMediaAddresses(t *testing.T) {
	tests := map[string]int{
		"":                                   1,
		"https://example.com/a.pdf":          1,
		"http://example.com/a.JPEG":          1,
		"https://example.com/a.png?w=1#x":    1,
		"https://example.com/a.exe":          1010,
		"https://example.com/a?f=a.pdf":      1010,
		"https://example.com/":               1010,
		"ftp://example.com/a.pdf":            1010,
		"/a.pdf":                             1010,
		"example.com/a.pdf":                  1010,
		"https:///a.pdf":                     1010,
		"https://example.com/%zz/a.pdf":      1010,
		"data:application/pdf;base64,JVBERi": 1010,
	}
	s := start(t, simulator.Options{})
	for media, want := range tests {
		before := s.Account()
		if got := s.send(t, fields(goodPhone, "media="+media)); got.code() != want {
			t.Errorf("media %q: answer %q, want code %d", media, got.body, want)
		}
		if after := s.Account(); want != 1 && after.Balance != before.Balance {
			t.Errorf("media %q: refused, yet the balance went from %d to %d", media, before.Balance, after.Balance)
		}
	}
}

func TestCustomFieldIsCutAtAThousandCharacters(t *testing.T) {
	s := start(t, simulator.Options{})
	for _, n := range []int{999, 1000, 1001} {
		s.send(t, fields(goodPhone, "custom_field="+strings.Repeat("ñ", n)))
	}
	var lengths []int
	for _, m := range s.Messages() {
		lengths = append(lengths, utf8.RuneCountInString(m.CustomField))
	}
	if diff := cmp.Diff([]int{999, 1000, 1000}, lengths); diff != "" {
		t.Errorf("lengths in characters (-want +got):\n%s", diff)
	}
}

func TestBalanceIsText(t *testing.T) {
	tests := []struct {
		name     string
		oddities simulator.Oddities
		want     string
	}{
		{"as documented", simulator.Oddities{}, `{"balance":"1234567","status":"success"}`},
		{"bare number", simulator.Oddities{NumberBalance: true}, `{"balance":1234567,"status":"success"}`},
		{"grouped", simulator.Oddities{GroupedBalance: true}, `{"balance":"1,234,567.00","status":"success"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, simulator.Options{Balance: 1234568, Oddities: test.oddities})
			s.send(t, fields(goodPhone))
			got, err := s.postForm(simulator.BalancePath, fields("", "mobile"))
			if err != nil || got.body != test.want {
				t.Errorf("got %q (%v), want %q", got.body, err, test.want)
			}
		})
	}
}

func TestBalanceAndTemplateErrors(t *testing.T) {
	tests := []struct {
		name, path string
		options    simulator.Options
		change     string
		want       string
	}{
		{"balance, wrong token", simulator.BalancePath, simulator.Options{}, "token=x",
			`{"code":2,"status":"authentication error"}`},
		{"balance, no chatbot", simulator.BalancePath, simulator.Options{NoChatbot: true}, "mobile",
			`{"code":3,"status":"user without multiagent\/chatbot"}`},
		{"templates, wrong token", simulator.TemplatePath, simulator.Options{}, "token=x",
			`{"code":2,"status":"authentication error"}`},
		{"templates, no chatbot", simulator.TemplatePath, simulator.Options{NoChatbot: true}, "mobile",
			`{"code":3,"status":"user without multiagent\/chatbot"}`},
		{"templates, none", simulator.TemplatePath, simulator.Options{Templates: []simulator.Template{}}, "mobile",
			`{"code":4,"status":"without templates"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := start(t, test.options).postForm(test.path, fields("", test.change))
			if err != nil || got.status != 200 || got.body != test.want {
				t.Errorf("got HTTP %d %q (%v), want %q", got.status, got.body, err, test.want)
			}
		})
	}
}

func TestTemplatesAreListedWithoutIDsInPHPJSON(t *testing.T) {
	s := start(t, simulator.Options{Templates: []simulator.Template{
		{ID: "7", Name: "Peña/“uno”", Text: "¡Hola {1}!\n\t\"a\\b\" 😀 \x01"},
		{ID: "8", Name: "dos", Text: "{{1}} {1} {{ 2 }}"},
	}})
	got, err := s.postForm(simulator.TemplatePath, fields(""))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"nombre_plantilla":"Pe\u00f1a\/\u201cuno\u201d",` +
		`"plantilla_aprobada":"\u00a1Hola {1}!\n\t\"a\\b\" \ud83d\ude00 \u0001","status":"success"},` +
		`{"nombre_plantilla":"dos","plantilla_aprobada":"{{1}} {1} {{ 2 }}","status":"success"}]`
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || list[0]["nombre_plantilla"] != "Peña/“uno”" {
		t.Errorf("list does not read back: %v, %v", list, err)
	}
	two := fields(goodPhone, "id_template=8", "template_variables=[a] [b]")
	if got := s.send(t, two); got.code() != 1 {
		t.Errorf("a template with {1} twice takes two values: %q", got.body)
	}
}

func TestOdditiesSurroundTheSameJSON(t *testing.T) {
	odd := simulator.Oddities{HTMLType: true, BOM: true, Notice: true, StringCodes: true}
	s := start(t, simulator.Options{Oddities: odd})
	got := s.send(t, fields("573005551002"))
	if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		t.Errorf("content type %q", kind)
	}
	bare, found := strings.CutPrefix(got.body, "\xef\xbb\xbf")
	if !found || !strings.HasPrefix(bare, "<br />\n<b>Notice</b>") {
		t.Errorf("no byte order mark and notice in front of %q", got.body)
	}
	if want := `{"code":"1002","status":"sending error, return balance"}`; !strings.HasSuffix(bare, want) {
		t.Errorf("%q does not end in %q", bare, want)
	}
	for _, path := range []string{simulator.BalancePath, simulator.TemplatePath} {
		first, err := s.postForm(path, fields(""))
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.postForm(path, fields(""))
		if err != nil || first.body != second.body || !strings.HasPrefix(first.body, "\xef\xbb\xbf<br />") {
			t.Errorf("%s: %q, then %q (%v)", path, first.body, second.body, err)
		}
	}
}

func TestRequestsThatAreNoForm(t *testing.T) {
	good := fields(goodPhone).Encode()
	tests := []struct {
		name, contentType, body string
		status, code            int
	}{
		{"JSON has no fields", "application/json", `{"login":"demo@example.com","token":"demo"}`, 200, 2},
		{"no content type", "", good, 200, 2},
		{"broken content type", "multipart/form-data; boundary", good, 200, 2},
		{"broken escape", "application/x-www-form-urlencoded", good + "&media=%zz", 400, -1},
		{"multipart without boundary", "multipart/form-data", good, 400, -1},
		{"multipart without end", "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=\"login\"\r\n\r\ndemo", 400, -1},
		{"exactly 1 MiB", "application/x-www-form-urlencoded", padded(good, 1<<20), 200, 1},
		{"a byte more", "application/x-www-form-urlencoded", padded(good, 1<<20+1), 413, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, simulator.Options{})
			got, err := s.post(t.Context(), simulator.SendPath, test.contentType, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.status != test.status || got.code() != test.code {
				t.Errorf("got HTTP %d %q, want %d and code %d", got.status, got.body, test.status, test.code)
			}
			if arrived, _ := s.Total(); (arrived == 1) != (test.code == 1) {
				t.Errorf("%d messages arrived with code %d", arrived, test.code)
			}
		})
	}
}

// padded appends an unknown field so that the body is exactly so many bytes long.
func padded(body string, size int) string {
	body += "&filler="
	return body + strings.Repeat("x", size-len(body))
}

func TestABodyThatEndsTooEarlyNeverArrives(t *testing.T) {
	s := start(t, simulator.Options{})
	whole := rawSend(fields(goodPhone).Encode())
	got, err := s.rawThen(t, whole[:len(whole)-1], (*net.TCPConn).CloseWrite)
	if err != nil || got != "" {
		t.Errorf("got %q (%v), want a connection closed in silence", got, err)
	}
	if arrived, _ := s.Total(); arrived != 0 {
		t.Errorf("%d messages arrived", arrived)
	}
}

func TestOtherMethodsAndPaths(t *testing.T) {
	s := start(t, simulator.Options{})
	get := s.control(t, http.MethodGet, simulator.SendPath, "")
	if get.status != 405 || get.header.Get("Allow") != "POST" {
		t.Errorf("GET: HTTP %d, Allow %q", get.status, get.header.Get("Allow"))
	}
	bare, err := s.postForm(strings.TrimSuffix(simulator.SendPath, "/"), fields(goodPhone))
	if err != nil || bare.status != 301 || bare.header.Get("Location") != simulator.SendPath {
		t.Errorf("without the slash: HTTP %d to %q (%v)", bare.status, bare.header.Get("Location"), err)
	}
	if other, err := s.postForm("/bot/", fields(goodPhone)); err != nil || other.status != 404 {
		t.Errorf("elsewhere: HTTP %d (%v)", other.status, err)
	}
	if arrived, _ := s.Total(); arrived != 0 {
		t.Errorf("%d messages arrived", arrived)
	}
}
