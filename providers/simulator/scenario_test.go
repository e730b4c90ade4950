package simulator_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"pregon/providers/simulator"
)

func TestEveryGatewayCodeIsAnsweredAndRefunded(t *testing.T) {
	s := start(t, simulator.Options{Balance: 10})
	for code := 1001; code <= 1013; code++ {
		got := s.send(t, fields(fmt.Sprintf("57300555%d", code)))
		want := fmt.Sprintf(`{"code":%d,"status":"sending error, return balance"}`, code)
		if got.status != 200 || got.body != want {
			t.Errorf("got HTTP %d %q, want %q", got.status, got.body, want)
		}
	}
	if arrived, _ := s.Total(); arrived != 0 {
		t.Errorf("%d messages arrived", arrived)
	}
	if got, want := s.Account(), (simulator.Account{Balance: 10, Charged: 13, Refunded: 13}); got != want {
		t.Errorf("account %+v, want %+v", got, want)
	}
}

func TestScenariosWithAnAnswer(t *testing.T) {
	tests := []struct {
		suffix  string
		arrives int
		check   func(reply) bool
		wanted  string
	}{
		{"0500", 1, func(r reply) bool { return r.status == 500 && r.body == "" }, "an empty 500"},
		{"0502", 1, func(r reply) bool { return r.status == 502 && isPage(r) }, "a 502 page"},
		{"0200", 1, func(r reply) bool { return r.status == 200 && isPage(r) }, "a 200 page"},
		{"0777", 1, func(r reply) bool { return r.body == `{"code":1,"status":"mensaje enviado"}` }, "code 1 alone"},
		{"9999", 0, func(r reply) bool { return r.status == 200 && r.code() == 9999 }, "code 9999"},
		{"1000", 1, func(r reply) bool { return r.code() == 1 }, "code 1: 1000 is no scenario"},
		{"1014", 1, func(r reply) bool { return r.code() == 1 }, "code 1: 1014 is no scenario"},
	}
	for _, test := range tests {
		t.Run(test.suffix, func(t *testing.T) {
			s := start(t, simulator.Options{Balance: 5})
			if got := s.send(t, fields("57300555"+test.suffix)); !test.check(got) {
				t.Errorf("got HTTP %d %q, want %s", got.status, got.body, test.wanted)
			}
			checkArrived(t, s, "57300555"+test.suffix, test.arrives)
			if balance := s.Account().Balance; balance != int64(5-test.arrives) {
				t.Errorf("balance %d after %d arrivals of 5", balance, test.arrives)
			}
		})
	}
}

func isPage(r reply) bool {
	return strings.HasPrefix(r.header.Get("Content-Type"), "text/html") && strings.Contains(r.body, "<html>") &&
		!strings.Contains(r.body, "{")
}

func checkArrived(t *testing.T, s *stage, phone string, want int) {
	t.Helper()
	receipts := s.Receipts()
	if receipts.Total != want || receipts.Phones[phone] != want {
		t.Errorf("receipts %+v, want %d for the phone", receipts, want)
	}
}

func TestRefusedOnceThenAccepted(t *testing.T) {
	for suffix, status := range map[string]int{"0429": 429, "0503": 503} {
		t.Run(suffix, func(t *testing.T) {
			s := start(t, simulator.Options{})
			for _, phone := range []string{"57300555" + suffix, "57310555" + suffix} {
				first := s.send(t, fields(phone))
				if first.status != status || first.header.Get("Retry-After") != "1" {
					t.Errorf("first: HTTP %d, Retry-After %q", first.status, first.header.Get("Retry-After"))
				}
				for range 2 {
					if again := s.send(t, fields(phone)); again.code() != 1 {
						t.Errorf("later: HTTP %d %q", again.status, again.body)
					}
				}
			}
			if got := s.Receipts(); got.Total != 4 || got.Duplicates != 2 {
				t.Errorf("receipts %+v, want 4 with 2 duplicates", got)
			}
			s.Reset()
			if again := s.send(t, fields("57300555"+suffix)); again.status != status {
				t.Errorf("after a reset the first POST is refused again: HTTP %d", again.status)
			}
		})
	}
}

func TestDroppedConnections(t *testing.T) {
	tests := []struct {
		name, suffix string
		reset        bool
		arrives      int
	}{
		{"closed after it arrived", "0000", false, 1},
		{"reset as if unread", "0001", true, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, simulator.Options{})
			phone := "57300555" + test.suffix
			got, err := s.raw(t, rawSend(fields(phone).Encode()))
			if got != "" || errors.Is(err, syscall.ECONNRESET) != test.reset || (err == nil) == test.reset {
				t.Errorf("got %q and %v, want reset: %v", got, err, test.reset)
			}
			if _, err := s.postForm(simulator.SendPath, fields(phone)); err == nil {
				t.Error("an HTTP client got an answer")
			}
			checkArrived(t, s, phone, 2*test.arrives)
		})
	}
}

func TestDropsOverTLSSayNoGoodbye(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	server := httptest.NewTLSServer(sim)
	defer server.Close()
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), trusted)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, rawSend(fields("573005550001").Encode())); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and %v, want a reset", got, err)
	}
}

func rawSend(body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: sim\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: %d\r\n\r\n%s", simulator.SendPath, len(body), body)
}

func TestSilenceLastsUntilTheClientGivesUp(t *testing.T) {
	s := start(t, simulator.Options{})
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.post(ctx, simulator.SendPath, "application/x-www-form-urlencoded",
			strings.NewReader(fields("573005550408").Encode()))
		ended <- err
	}()
	if err := s.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("the request ended before the client gave up: %v", err)
	default:
	}
	giveUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	checkArrived(t, s, "573005550408", 1)
}

func TestCloseLetsGoOfHungRequests(t *testing.T) {
	s := start(t, simulator.Options{})
	ended := make(chan error, 1)
	go func() {
		_, err := s.postForm(simulator.SendPath, fields("573005550408"))
		ended <- err
	}()
	if err := s.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestTheScenarioTableIsDocumentedInBothPlaces(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	help := simulator.Help()
	for _, scenario := range simulator.Scenarios() {
		if !strings.Contains(string(doc), "//\t"+scenario.Suffix) {
			t.Errorf("the package comment does not name %s", scenario.Suffix)
		}
		if !strings.Contains(help, scenario.Suffix) || !strings.Contains(help, scenario.Behaviour) {
			t.Errorf("the help does not explain %s", scenario.Suffix)
		}
	}
}

func TestTheTableSaysWhatArrives(t *testing.T) {
	for _, scenario := range simulator.Scenarios() {
		suffix, _, _ := strings.Cut(scenario.Suffix, "-")
		t.Run(suffix, func(t *testing.T) {
			s := start(t, simulator.Options{})
			phone := "57300555" + suffix
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				// The answer, or its absence, is the business of the other tests.
				_, _ = s.post(ctx, simulator.SendPath, "application/x-www-form-urlencoded",
					strings.NewReader(fields(phone).Encode()))
			}()
			if scenario.Arrives {
				if err := s.Wait(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			<-ended
			want := 0
			if scenario.Arrives {
				want = 1
			}
			checkArrived(t, s, phone, want)
		})
	}
}
