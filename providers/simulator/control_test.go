package simulator_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pregon/providers/simulator"
)

func TestControlShowsWhatTheMethodsShow(t *testing.T) {
	s := start(t, simulator.Options{Balance: 10})
	for _, phone := range []string{"573005550100", "573005550100", "573005550101", "573005551006", "1"} {
		s.send(t, fields(phone))
	}
	if _, err := s.postForm(simulator.BalancePath, fields("")); err != nil {
		t.Fatal(err)
	}
	rate := s.Rate()
	for path, want := range map[string]string{
		"/_sim/receipts":        `{"total":3,"phones":{"573005550100":2,"573005550101":1},"duplicates":1}`,
		"/_sim/receipts?wait=3": `{"total":3,"phones":{"573005550100":2,"573005550101":1},"duplicates":1}`,
		"/_sim/balance":         `{"balance":7,"charged":4,"refunded":1}`,
		"/_sim/rate": fmt.Sprintf(`{"max_in_1s":%d,"total":5,"first_ms":%d,"last_ms":%d}`,
			rate.MaxIn1s, rate.FirstMS, rate.LastMS),
		"/_sim/requests": `{"/bot/chat_wa/ws/balance/":1,"/bot/chat_wa/ws/send/":5,"/bot/chat_wa/ws/template/":0}`,
		"/_sim/faults": `{"seed":0,"reset_unread":0,"reset_stored":0,"error_500":0,"too_many_429":0,"hang":0,` +
			`"broken_json":0}`,
	} {
		got := s.control(t, "GET", path, "")
		if got.status != 200 || strings.TrimSpace(got.body) != want {
			t.Errorf("%s: HTTP %d %s, want %s", path, got.status, got.body, want)
		}
	}
	if got := s.control(t, "GET", "/_sim/", ""); got.body != simulator.Help() {
		t.Errorf("help is %q", got.body)
	}
}

func TestControlMessagesAreOneObjectPerLine(t *testing.T) {
	s := start(t, simulator.Options{})
	const sends = 1100 // More than one page of the log.
	for i := range sends {
		s.send(t, fields(fmt.Sprintf("57320%07d", 22000+i), "id_template=992", "template_variables"))
	}
	var got []simulator.Message
	lines := bufio.NewScanner(strings.NewReader(s.control(t, "GET", "/_sim/messages", "").body))
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), `{"at_ms":`) || !strings.Contains(lines.Text(), `"variables":[]`) {
			t.Fatalf("line %q", lines.Text())
		}
		var m simulator.Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(s.Messages(), got); diff != "" || len(got) != sends {
		t.Errorf("%d messages (-method +lines):\n%s", len(got), diff)
	}
}

func TestControlChanges(t *testing.T) {
	s := start(t, simulator.Options{Balance: 10, Faults: simulator.Faults{Seed: 1}})
	s.send(t, fields(goodPhone))
	for _, test := range []struct {
		path, body, want string
		status           int
	}{
		{"/_sim/balance", `{"balance":0}`, `{"balance":0,"charged":1,"refunded":0}`, 200},
		{"/_sim/balance", `{"balance":-1}`, `want {"balance":n} with n of at least 0`, 400},
		{"/_sim/balance", `{}`, `want {"balance":n} with n of at least 0`, 400},
		{"/_sim/balance", `{"balance":1}{}`, `one JSON object only`, 400},
		{"/_sim/faults", `{"hangs":1}`, `json: unknown field "hangs"`, 400},
		{"/_sim/faults", `{"hang":2}`, `a fault share must be between 0 and 1`, 400},
		{"/_sim/faults", `{"seed":5,"too_many_429":1}`, `{"seed":5,"reset_unread":0,"reset_stored":0,"error_500":0,` +
			`"too_many_429":1,"hang":0,"broken_json":0}`, 200},
	} {
		got := s.control(t, "POST", test.path, test.body)
		if got.status != test.status || strings.TrimSpace(got.body) != test.want {
			t.Errorf("POST %s %s: HTTP %d %s, want %d %s", test.path, test.body, got.status, got.body, test.status, test.want)
		}
	}
	if got := s.send(t, fields(goodPhone)); got.status != 429 {
		t.Errorf("the fault is not in force: HTTP %d", got.status)
	}
	if got := s.control(t, "POST", "/_sim/reset", ""); got.status != 204 {
		t.Errorf("reset: HTTP %d", got.status)
	}
	if s.Receipts().Total != 0 || len(s.Messages()) != 0 || s.Rate() != (simulator.Rate{}) ||
		s.Requests()[simulator.SendPath] != 0 || s.Account() != (simulator.Account{Balance: 10}) ||
		s.Faults() != (simulator.Faults{Seed: 1}) {
		t.Errorf("after a reset: %+v %+v %+v %+v %+v", s.Receipts(), s.Rate(), s.Requests(), s.Account(), s.Faults())
	}
	if got := s.send(t, fields(goodPhone)); got.code() != 1 {
		t.Errorf("after a reset: %q", got.body)
	}
}

func TestControlWaits(t *testing.T) {
	s := start(t, simulator.Options{})
	answer := make(chan reply, 1)
	go func() { answer <- s.control(t, "GET", "/_sim/receipts?wait=2", "") }()
	s.send(t, fields("573005550100"))
	s.send(t, fields("573005550101"))
	want := `{"total":2,"phones":{"573005550100":1,"573005550101":1},"duplicates":0}`
	if got := <-answer; strings.TrimSpace(got.body) != want {
		t.Errorf("got %q, want %q", got.body, want)
	}
	for _, bad := range []string{"x", "-1"} {
		if got := s.control(t, "GET", "/_sim/receipts?wait="+bad, ""); got.status != 400 {
			t.Errorf("wait=%s: HTTP %d", bad, got.status)
		}
	}
	s.Close()
	if got := s.control(t, "GET", "/_sim/receipts?wait=3", ""); got.status != 503 {
		t.Errorf("closing: HTTP %d", got.status)
	}
}

func TestOptionsThatContradictThemselves(t *testing.T) {
	for name, o := range map[string]simulator.Options{
		"latency":   {Latency: -1},
		"jitter":    {Jitter: -1},
		"rate":      {Rate: -1},
		"faults":    {Faults: simulator.Faults{Hang: 2}},
		"no id":     {Templates: []simulator.Template{{Name: "x"}}},
		"same id":   {Templates: []simulator.Template{{ID: "1"}, {ID: "1"}}},
		"balances":  {Oddities: simulator.Oddities{NumberBalance: true, GroupedBalance: true}},
		"every one": {Latency: -1, Rate: -1, Templates: []simulator.Template{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if o.Validate() == nil {
				t.Error("valid")
			}
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			simulator.New(o)
		})
	}
	if err := (simulator.Options{}).Validate(); err != nil {
		t.Errorf("the zero value is refused: %v", err)
	}
}
