package jobs

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers"
	"pregon/providers/contactovirtual"
	"pregon/providers/simulator"
)

// sick answers sends with 500 while it is ill, and everything as the provider does otherwise.
type sick struct {
	provider http.Handler
	ill      atomic.Bool
	sends    atomic.Int64 // while ill
}

func (s *sick) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ill.Load() && strings.Contains(r.URL.Path, "/send/") {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 { // the gate let it go
			s.sends.Add(1)
		}
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.provider.ServeHTTP(w, r)
}

// over ends the breaker's stop, as if its time had passed.
func (s *stage) over() {
	s.t.Helper()
	if err := s.ledger.HoldAccount(ctx, "cv", time.Now().Add(-time.Second)); err != nil {
		s.t.Fatal(err)
	}
}

func TestAProviderThatIsIllIsLeftAloneAndTriedOutWithOneMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		front := &sick{provider: s.provider}
		front.ill.Store(true)
		s.answer(front)
		people := contacts(200)
		id := s.launch(people)
		s.work(often) // 16 sends in flight at most
		s.becomes(id, ledger.Paused, reasonBreaker)
		s.idle()
		lost := s.status(id).Counts[ledger.InDoubt]
		if lost < 5 || lost > 16+5 {
			t.Errorf("%d rows in doubt, want 5 to 21", lost)
		}
		a, err := s.ledger.Account(ctx, "cv")
		if err != nil || a.Reason != reasonBreaker || a.Until.Sub(a.Since) < 29*time.Second {
			t.Errorf("account %+v %v", a, err)
		}

		before := front.sends.Load()
		s.over() // and still ill
		await(t, "the stop is longer after a bad trial", func() bool {
			s.nudge(id)
			a, err = s.ledger.Account(ctx, "cv")
			return err == nil && time.Until(a.Until) > 40*time.Second
		})
		s.becomes(id, ledger.Paused, reasonBreaker)
		if trials := front.sends.Load() - before; trials != 1 {
			t.Errorf("%d messages tried the provider out, want 1", trials)
		}

		front.ill.Store(false)
		s.over()
		s.becomes(id, ledger.Finished, "")
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 200 - lost - 1, ledger.InDoubt: lost + 1})
		if got := s.provider.Receipts(); got.Duplicates != 0 || got.Total != 200-lost-1 {
			t.Errorf("%d messages, %d twice", got.Total, got.Duplicates)
		}
	})
}

func TestAProviderThatCannotBeReachedLeavesNothingInDoubt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		reach := s.account.Provider
		address := "http://127.0.0.1:1" // where nobody listens
		away, err := contactovirtual.New(contactovirtual.Config{
			URL: address, Login: providers.NewSecret(canaryLogin), Token: providers.NewSecret(canaryToken),
			HTTPClient: providers.NewHTTPClient(), Timeout: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		moving := &moving{Client: reach.(*contactovirtual.Client), away: away}
		moving.down.Store(true)
		s.account.Provider = moving
		people := contacts(50)
		id := s.launch(people)
		s.work(often)
		s.becomes(id, ledger.Paused, reasonBreaker)
		s.idle()
		if c := s.status(id).Counts; c[ledger.InDoubt] != 0 || c[ledger.Failed] != 0 || c.Open() != 50 {
			t.Errorf("%v", c)
		}
		moving.down.Store(false)
		s.over()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

// moving is a provider that can be reached now and then.
type moving struct {
	*contactovirtual.Client
	away *contactovirtual.Client
	down atomic.Bool
}

func (m *moving) Send(ctx context.Context, msg providers.Message) (providers.Receipt, error) {
	if m.down.Load() {
		return m.away.Send(ctx, msg)
	}
	return m.Client.Send(ctx, msg)
}

func (m *moving) Balance(ctx context.Context) (providers.Balance, error) {
	if m.down.Load() {
		return m.away.Balance(ctx)
	}
	return m.Client.Balance(ctx)
}

func TestOneCampaignTriesTheAccountOutForAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		front := &sick{provider: s.provider}
		s.answer(front)
		first := s.launch(contacts(20))
		second := s.launch(contacts(20), func(l *Launch) { l.Name = "Otra" })
		closed := ledger.Account{Reason: reasonBreaker, Code: "timeout", Until: time.Now().Add(time.Hour)}
		if err := s.ledger.CloseAccount(ctx, "cv", closed); err != nil {
			t.Fatal(err)
		}
		s.work(often)
		s.becomes(first, ledger.Paused, reasonBreaker)
		s.becomes(second, ledger.Paused, reasonBreaker)
		front.ill.Store(true)
		s.over()
		await(t, "one message was tried", func() bool {
			s.nudge(first)
			s.nudge(second)
			return front.sends.Load() > 0
		})
		await(t, "and found the provider ill", func() bool {
			a, err := s.ledger.Account(ctx, "cv")
			return err == nil && a.Until.After(time.Now())
		})
		if n := front.sends.Load(); n != 1 {
			t.Errorf("%d messages tried the provider out, want 1", n)
		}
		front.ill.Store(false)
		s.over()
		s.becomes(first, ledger.Finished, "")
		s.becomes(second, ledger.Finished, "")
		if arrived, twice := s.provider.Total(); arrived != 39 || twice != 19 { // 20 people in two campaigns
			t.Errorf("%d messages arrived, %d of them to somebody who had one", arrived, twice)
		}
	})
}

// A wallet of the provider's own: the balance says nothing, so one message finds out.
func TestAnEmptyWalletIsTriedOutWithOneMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		var empty atomic.Bool
		empty.Store(true)
		var refused atomic.Int64
		s.answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if empty.Load() && strings.Contains(r.URL.Path, "/send/") {
				if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 { // the gate let it go
					refused.Add(1)
				}
				_, _ = io.WriteString(w, `{"code":1003,"reason":"Verifique el saldo de su billetera"}`)
				return
			}
			s.provider.ServeHTTP(w, r)
		}))
		people := contacts(30)
		id := s.launch(people)
		s.work(often)
		s.becomes(id, ledger.Paused, closeBalance)
		s.idle()
		before := refused.Load()
		s.over()
		await(t, "the wallet is still empty for another quarter of an hour", func() bool {
			s.nudge(id)
			a, err := s.ledger.Account(ctx, "cv")
			return err == nil && time.Until(a.Until) > 14*time.Minute
		})
		s.becomes(id, ledger.Paused, closeBalance)
		if trials := refused.Load() - before; trials != 1 {
			t.Errorf("%d messages tried the wallet out, want 1", trials)
		}
		empty.Store(false)
		s.over()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

func TestATemplateThatNoRowCanMendStopsTheCampaign(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer string
		reason string
		most   int64 // sends before it stops: those in flight included
	}{
		"NoMatch":    {`{"code":1005,"reason":"Plantilla no coincidió","status":"sending error, return balance"}`, reasonTemplate, 3 + 16},
		"NoWhatsApp": {`{"code":1002,"reason":"Número no active","status":"sending error, return balance"}`, reasonList, 20 + 16},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, rdb redis.UniversalClient) {
				t.Parallel()
				s := newStage(t, rdb, simulator.Options{})
				var bad atomic.Bool
				bad.Store(true)
				var sends atomic.Int64
				s.answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !bad.Load() || !strings.Contains(r.URL.Path, "/send/") {
						s.provider.ServeHTTP(w, r)
						return
					}
					if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 { // the gate let it go
						sends.Add(1)
					}
					_, _ = io.WriteString(w, tt.answer)
				}))
				id := s.launch(contacts(300))
				s.work()
				s.becomes(id, ledger.Paused, tt.reason)
				s.idle()
				n := sends.Load()
				if n > tt.most {
					t.Errorf("%d rows were burnt before it stopped, want at most %d", n, tt.most)
				}
				s.wantCounts(id, ledger.Counts{ledger.Queued: 300 - int(n), ledger.Failed: int(n)})
				bad.Store(false)
				if err := s.operator().Resume(ctx, id); err != nil {
					t.Fatal(err)
				}
				s.becomes(id, ledger.Finished, "")
				s.wantCounts(id, ledger.Counts{ledger.Accepted: 300 - int(n), ledger.Failed: int(n)})
			})
		})
	}
}
