package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers/simulator"
)

func often(w *Worker) { w.reopenEvery = 50 * time.Millisecond }

func TestWrongCredentialsPauseTheCampaignUntilTheyWork(t *testing.T) {
	t.Parallel()
	for name, byPerson := range map[string]bool{"ResumedByAPerson": true, "ResumedByItself": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, rdb redis.UniversalClient) {
				t.Parallel()
				s := newStage(t, rdb, simulator.Options{})
				other := simulator.New(simulator.Options{Login: canaryLogin, Token: "another"})
				t.Cleanup(other.Close)
				s.answer(other)
				people := contacts(20)
				id := s.launch(people)
				// The worker would notice by itself at its next question, which a person does not wait for.
				change := often
				if byPerson {
					change = func(w *Worker) { w.reopenEvery = time.Hour }
				}
				s.work(change)
				s.becomes(id, ledger.Paused, closeAccount)
				s.idle()
				s.wantCounts(id, ledger.Counts{ledger.Queued: 20})
				if arrived, _ := other.Total(); arrived != 0 {
					t.Errorf("%d messages arrived", arrived)
				}
				a, err := s.ledger.Account(ctx, "cv")
				if err != nil || !a.Closed || a.Code != "2" {
					t.Errorf("account %+v %v", a, err)
				}
				s.answer(s.provider)
				if byPerson {
					if err := s.operator().Resume(ctx, id); err != nil {
						t.Fatal(err)
					}
				}
				s.becomes(id, ledger.Finished, "")
				s.wantOnce(people)
				s.wantCounts(id, ledger.Counts{ledger.Accepted: 20})
			})
		})
	}
}

func TestAClosedAccountHoldsAllItsCampaigns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		if err := s.ledger.CloseAccount(ctx, "cv", ledger.Account{Reason: closeAccount, Code: "http_403"}); err != nil {
			t.Fatal(err)
		}
		first := s.launch(contacts(5))
		second := s.launch(contacts(5), func(l *Launch) { l.Name = "Otra" })
		s.work(often)
		s.becomes(first, ledger.Paused, closeAccount)
		s.becomes(second, ledger.Paused, closeAccount)
		// A person opens the account for one campaign; the other follows, since the reason is gone.
		if err := s.operator().Resume(ctx, first); err != nil {
			t.Fatal(err)
		}
		s.becomes(first, ledger.Finished, "")
		s.becomes(second, ledger.Finished, "")
		if arrived, _ := s.provider.Total(); arrived != 10 {
			t.Errorf("%d messages arrived, want 10", arrived)
		}
	})
}

func TestAnEmptyBalancePausesUntilTheTopUp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Balance: 5})
		people := contacts(15)
		id := s.launch(people)
		s.work(often)
		s.becomes(id, ledger.Paused, closeBalance)
		s.idle()
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 5, ledger.Queued: 10})
		s.provider.SetBalance(100)
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 15})
	})
}

func TestAnInactiveAccountIsNotMistakenForAnEmptyOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{BotInactive: true})
		id := s.launch(contacts(5))
		s.work(often)
		paused := s.becomes(id, ledger.Paused, closeAccount)
		if !strings.HasPrefix(paused.Detail, "5 ") {
			t.Errorf("detail %q does not begin with the provider's code", paused.Detail)
		}
		s.idle()
		s.wantCounts(id, ledger.Counts{ledger.Queued: 5})
	})
}

func TestAnUnknownTemplateHaltsTheCampaign(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 20 * time.Millisecond})
		s.account.Rate = 20
		id := s.launch(contacts(60), func(l *Launch) { l.Template = template("555") })
		s.work(often)
		paused := s.becomes(id, ledger.Paused, reasonTemplate)
		s.idle()
		counts := s.status(id).Counts
		if counts[ledger.Failed] == 0 || counts[ledger.Queued] < 50 || counts[ledger.Failed]+counts[ledger.Queued] != 60 {
			t.Errorf("counts %v: what was in flight fails, the rest stays queued", counts)
		}
		if !strings.HasPrefix(paused.Detail, "7 ") {
			t.Errorf("detail %q does not begin with the provider's code", paused.Detail)
		}
		if arrived, _ := s.provider.Total(); arrived != 0 {
			t.Errorf("%d messages arrived", arrived)
		}
		// Only a person lifts it.
		for range 3 {
			s.nudge(id)
			s.becomes(id, ledger.Paused, reasonTemplate)
		}
	})
}
