package simulator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"pregon/providers/simulator"
)

func TestFaultsOnTheWire(t *testing.T) {
	tests := []struct {
		name    string
		faults  simulator.Faults
		arrives bool
		check   func(reply, error) bool
	}{
		{"reset unread", simulator.Faults{ResetUnread: 1}, false, func(_ reply, err error) bool { return err != nil }},
		{"reset stored", simulator.Faults{ResetStored: 1}, true, func(_ reply, err error) bool { return err != nil }},
		{"429", simulator.Faults{TooMany429: 1}, false, func(r reply, err error) bool {
			return err == nil && r.status == 429 && r.header.Get("Retry-After") == "1"
		}},
		{"broken JSON", simulator.Faults{BrokenJSON: 1}, true, func(r reply, err error) bool {
			return err == nil && r.status == 200 && strings.HasPrefix(r.body, `{"code":1,`) && r.code() == -1
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, simulator.Options{Faults: test.faults})
			for i := range 3 {
				got, err := s.postForm(simulator.SendPath, fields(fmt.Sprintf("5730055503%02d", i)))
				if !test.check(got, err) {
					t.Errorf("send %d: HTTP %d %q (%v)", i, got.status, got.body, err)
				}
			}
			arrived, _ := s.Total()
			if want := map[bool]int{true: 3, false: 0}[test.arrives]; arrived != want {
				t.Errorf("%d of 3 arrived, want %d", arrived, want)
			}
			if sends := s.Rate().Total; sends != 3 {
				t.Errorf("%d sends counted, want 3: a POST must not be repeated", sends)
			}
			if got, err := s.postForm(simulator.BalancePath, fields("")); err != nil || got.status != 200 {
				t.Errorf("the balance is hit too: HTTP %d (%v)", got.status, err)
			}
		})
	}
}

func TestHalfOfTheUnclearFaultsWereTreated(t *testing.T) {
	s := start(t, simulator.Options{Faults: simulator.Faults{Error500: 1, Seed: 3}})
	const sends = 400
	for i := range sends {
		if got := s.send(t, fields(fmt.Sprintf("57310%07d", i))); got.status != 500 {
			t.Fatalf("HTTP %d", got.status)
		}
	}
	if arrived, _ := s.Total(); arrived < sends/2-60 || arrived > sends/2+60 {
		t.Errorf("%d of %d arrived, want about half", arrived, sends)
	}
}

func TestAHangingFaultEndsWithTheClient(t *testing.T) {
	s := start(t, simulator.Options{Faults: simulator.Faults{Hang: 1}})
	ctx, cancel := context.WithCancel(t.Context())
	const clients = 16
	ended := make(chan error, clients)
	for i := range clients {
		go func() {
			_, err := s.post(ctx, simulator.SendPath, "application/x-www-form-urlencoded",
				strings.NewReader(fields(fmt.Sprintf("57310555%04d", 2000+i)).Encode()))
			ended <- err
		}()
	}
	if err := s.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range clients {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// untouchable is a request body that nobody may read.
type untouchable struct{ t *testing.T }

func (b untouchable) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func (b untouchable) Close() error { return nil }

// hijackable is a response recorder on a pipe, since only a connection can be dropped.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (conn net.Conn, _ *bufio.ReadWriter, err error) { return h.conn, nil, nil }

func TestUnreadFaultsLeaveTheBodyAlone(t *testing.T) {
	for name, faults := range map[string]simulator.Faults{
		"reset": {ResetUnread: 1}, "429": {TooMany429: 1},
	} {
		t.Run(name, func(t *testing.T) {
			sim := simulator.New(simulator.Options{Faults: faults})
			ours, theirs := net.Pipe()
			defer func() { _ = theirs.Close() }()
			req := httptest.NewRequest(http.MethodPost, simulator.SendPath, nil)
			req.Body = untouchable{t}
			sim.ServeHTTP(hijackable{httptest.NewRecorder(), ours}, req)
			if arrived, _ := sim.Total(); arrived != 0 {
				t.Errorf("%d messages arrived", arrived)
			}
		})
	}
}

func TestAClientThatWaitsForContinueIsNotToldToGoOn(t *testing.T) {
	s := start(t, simulator.Options{Faults: simulator.Faults{ResetUnread: 1}})
	got, err := s.raw(t, "POST "+simulator.SendPath+" HTTP/1.1\r\nHost: sim\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 300\r\n\r\n")
	if got != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and %v, want a reset and not a byte", got, err)
	}
}

func TestStoredResetIsAReset(t *testing.T) {
	s := start(t, simulator.Options{Faults: simulator.Faults{ResetStored: 1}})
	if got, err := s.raw(t, rawSend(fields(goodPhone).Encode())); got != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and %v, want a reset", got, err)
	}
	checkArrived(t, s, goodPhone, 1)
}

func TestWithoutAConnectionADropAborts(t *testing.T) {
	sim := simulator.New(simulator.Options{Faults: simulator.Faults{ResetUnread: 1}})
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", err)
		}
	}()
	sim.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, simulator.SendPath, nil))
	t.Error("no panic")
}

// outcomes sends to so many phones, one after the other, and returns the HTTP statuses; 0 is a dropped connection.
func outcomes(t *testing.T, s *stage, sends int) string {
	t.Helper()
	var b strings.Builder
	for i := range sends {
		got, err := s.postForm(simulator.SendPath, fields(fmt.Sprintf("57310%07d", i+100)))
		if err != nil {
			got.status = 0
		}
		fmt.Fprintf(&b, "%d/%d ", got.status, got.code())
	}
	return b.String()
}

func TestTheSameSeedDrawsTheSameFaults(t *testing.T) {
	faults := simulator.Faults{Seed: 42, ResetUnread: .1, ResetStored: .1, Error500: .1, TooMany429: .1, BrokenJSON: .1}
	first := start(t, simulator.Options{Faults: faults})
	want := outcomes(t, first, 200)
	if got := outcomes(t, start(t, simulator.Options{Faults: faults}), 200); got != want {
		t.Errorf("two simulators differ:\n%s\n%s", want, got)
	}
	first.Reset()
	if got := outcomes(t, first, 200); got != want {
		t.Errorf("a reset does not begin anew:\n%s\n%s", want, got)
	}
	faults.Seed = 43
	if err := first.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, first, 200); got == want {
		t.Error("another seed drew the same faults")
	}
	for _, piece := range []string{"0/-1 ", "200/1 ", "200/-1 ", "429/-1 ", "500/-1 "} {
		if n := strings.Count(want, piece); n < 5 {
			t.Errorf("only %d outcomes %q in %s", n, piece, want)
		}
	}
}

func TestImpossibleSharesAreRefused(t *testing.T) {
	s := start(t, simulator.Options{Faults: simulator.Faults{Seed: 9}})
	for name, f := range map[string]simulator.Faults{
		"negative": {Hang: -0.1}, "above one": {Hang: 1.1}, "not a number": {Hang: math.NaN()},
		"together above one": {Hang: 0.6, Error500: 0.6},
	} {
		if err := s.SetFaults(f); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := s.Faults(); got != (simulator.Faults{Seed: 9}) {
		t.Errorf("a refused change has changed the faults to %+v", got)
	}
	tenths := simulator.Faults{ResetUnread: .1, ResetStored: .2, Error500: .3, TooMany429: .2, Hang: .1, BrokenJSON: .1}
	if err := tenths.Validate(); err != nil {
		t.Errorf("shares that add up to 1 in decimals: %v", err)
	}
}
