package simulator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestWindowHoldsWhatTheLastSecondHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{
			0, 1, time.Millisecond, 10 * time.Millisecond, 300 * time.Millisecond, time.Second - 1, time.Second,
		}), 150, 600).Draw(t, "gaps")
		var w window
		var all []time.Duration
		now := time.Duration(0)
		for _, gap := range gaps {
			now += gap
			all = append(all, now)
			want := 0
			for _, at := range all {
				if now-at < time.Second {
					want++
				}
			}
			got := w.slide(now) + 1
			w.add(now)
			if got != want {
				t.Fatalf("at %v the window holds %d, want %d", now, got, want)
			}
		}
	})
}

func TestWindowMemoryFollowsTheRate(t *testing.T) {
	var w window
	for i := range 1_000_000 {
		now := time.Duration(i) * time.Millisecond
		w.slide(now)
		w.add(now)
	}
	if cap(w.times) > 8192 {
		t.Errorf("a window of 1,000 sends takes room for %d", cap(w.times))
	}
}

// sendOnce posts a good send to the handler itself, without a listener, so that a test can move the clock.
func sendOnce(s *Server, mobile string) *httptest.ResponseRecorder {
	form := url.Values{
		"login": {DefaultLogin}, "token": {DefaultToken}, "mobile": {mobile}, "id_template": {"992"},
	}
	r := httptest.NewRequest(http.MethodPost, SendPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", urlencoded)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestRateAdmitsSoManyInAnySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Rate: 5})
		began := time.Now()
		var admitted []time.Duration
		for i := range 100 {
			w := sendOnce(s, fmt.Sprintf("57310%07d", 5000+i))
			switch w.Code {
			case http.StatusOK:
				admitted = append(admitted, time.Since(began))
			case http.StatusTooManyRequests:
				if w.Header().Get("Retry-After") != "1" {
					t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
				}
			default:
				t.Fatalf("HTTP %d", w.Code)
			}
			<-time.After(50 * time.Millisecond)
		}
		if len(admitted) != 25 {
			t.Errorf("%d admitted in 5 s at 5 per second", len(admitted))
		}
		for i := 5; i < len(admitted); i++ {
			if admitted[i]-admitted[i-5] < time.Second {
				t.Errorf("6 sends within %v", admitted[i]-admitted[i-5])
			}
		}
		want := Rate{MaxIn1s: 20, Total: 100, FirstMS: began.UnixMilli(), LastMS: began.UnixMilli() + 99*50}
		if got := s.Rate(); got != want {
			t.Errorf("rate %+v, want %+v: what was refused came all the same", got, want)
		}
		if arrived, _ := s.Total(); arrived != 25 {
			t.Errorf("%d arrived", arrived)
		}
	})
}

func TestLatencyAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Latency: 50 * time.Millisecond, Jitter: 30 * time.Millisecond})
		distinct := make(map[time.Duration]bool)
		for range 50 {
			began := time.Now()
			if w := sendOnce(s, "573005550100"); w.Code != http.StatusOK {
				t.Fatalf("HTTP %d", w.Code)
			}
			took := time.Since(began)
			if took < 50*time.Millisecond || took > 80*time.Millisecond {
				t.Errorf("took %v", took)
			}
			distinct[took] = true
		}
		if len(distinct) < 40 {
			t.Errorf("only %d different times: no jitter", len(distinct))
		}
		s.Close()
		began := time.Now()
		sendOnce(s, "573005550100")
		if took := time.Since(began); took != 0 {
			t.Errorf("a closing simulator took %v", took)
		}
	})
}

func TestAMessageArrivesBeforeTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Latency: time.Hour})
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			sendOnce(s, "573005550100")
		}()
		if err := s.Wait(t.Context(), 1); err != nil {
			t.Error(err)
		}
		select {
		case <-answered:
			t.Error("answered without the latency")
		default:
		}
		<-answered
	})
}

func TestAClientThatLeavesDuringTheLatencyHasSentItsMessage(t *testing.T) {
	s := New(Options{Latency: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, SendPath, strings.NewReader(
		"login="+DefaultLogin+"&token="+DefaultToken+"&mobile=573005550100&id_template=992"))
	r.Header.Set("Content-Type", urlencoded)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if arrived, _ := s.Total(); arrived != 1 || w.Body.Len() > 0 {
		t.Errorf("%d arrived, answer %q", arrived, w.Body)
	}
}
