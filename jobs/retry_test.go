package jobs

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers"
)

// opinionated is a provider that explains a few codes.
type opinionated struct{ fake }

func (*opinionated) Describe(code string) (providers.Meaning, bool) {
	m, ok := map[string]providers.Meaning{
		"1010": {Class: providers.Content}, "1012": {Class: providers.Rejected, Suppress: providers.Forever},
		"429": {Class: providers.NotNow}, "131049": {Class: providers.Later},
	}[code]
	return m, ok
}

// failures is a finished campaign whose rows failed with these codes and classes, from row 2 on.
func failures(t *testing.T, rdb redis.UniversalClient, outcomes ...ledger.Outcome) *stage {
	t.Helper()
	p := new(opinionated)
	s := newFakeStage(t, rdb, &p.fake)
	s.account.Provider = p
	rows := valid(numbers(2, 1+len(outcomes))...)
	commit(t, s.ledger, "c1", rows)
	for i, o := range outcomes {
		o.State, o.Tried = ledger.Failed, true
		if o.Class == "unknown" {
			o.State = ledger.InDoubt
		}
		take(t, s.ledger, "c1", rows[i].Number, o)
	}
	if _, ok, err := s.ledger.Steer(ctx, "c1", ledger.Steering{Verb: ledger.Finish}); err != nil || !ok {
		t.Fatalf("finish: %v %v", ok, err)
	}
	return s
}

func (s *stage) retry(r Retry) Retried {
	s.t.Helper()
	r.Who = "ana@equipo"
	got, err := s.operator().Retry(ctx, "c1", r)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

var mixed = []ledger.Outcome{
	{Code: "429", Class: "not_now"}, {Code: "1010", Class: "content"}, {Code: "131049", Class: "later"},
	{Code: "http_500", Class: "unknown"}, {Code: "1010", Class: "content"}, {Code: "1012", Class: "rejected"},
}

func TestPassingFailuresAreTriedAgainOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := failures(t, rdb, mixed...)
		if n := s.account.Retryable(s.status("c1")); n != 2 {
			t.Errorf("the status hints at %d rows", n)
		}
		r := s.retry(Retry{})
		if !slices.Equal(r.Rows, []int{2, 4}) || r.Before != 0 || r.Lasting != 3 ||
			!maps.Equal(r.Codes, map[string]int{"1010": 2, "1012": 1}) {
			t.Errorf("%+v", r)
		}
		s.wantCounts("c1", ledger.Counts{ledger.Queued: 2, ledger.Failed: 3, ledger.InDoubt: 1})
		s.work()
		s.becomes("c1", ledger.Finished, "")
		s.wantCounts("c1", ledger.Counts{ledger.Accepted: 2, ledger.Failed: 3, ledger.InDoubt: 1})
		s.wantHistory("c1", 2, "not_now 429", "person decided_retry", "accepted ")
		if n := s.account.Retryable(s.status("c1")); n != 0 {
			t.Errorf("afterwards the status hints at %d rows", n)
		}
	})
}

func TestWhatAPersonRetriedNeedsAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := failures(t, rdb, mixed...)
		if r := s.retry(Retry{Code: "1010"}); !slices.Equal(r.Rows, []int{3, 6}) || r.Lasting != 0 || len(r.Codes) != 0 {
			t.Errorf("%+v", r)
		}
		if r := s.retry(Retry{Code: "1010"}); len(r.Rows) != 0 || r.Before != 0 {
			t.Errorf("rows that wait were retried: %+v", r)
		}
		take(t, s.ledger, "c1", 3, ledger.Outcome{State: ledger.Failed, Code: "1010", Class: "content", Tried: true})
		if r := s.retry(Retry{Code: "1010"}); len(r.Rows) != 0 || r.Before != 1 {
			t.Errorf("a second time: %+v", r)
		}
		if r := s.retry(Retry{Code: "1010", Again: true}); !slices.Equal(r.Rows, []int{3}) || r.Before != 0 {
			t.Errorf("again: %+v", r)
		}
		if r := s.retry(Retry{Code: "http_500"}); len(r.Rows) != 0 {
			t.Errorf("a row in doubt was retried: %+v", r)
		}
	})
}

func TestPeopleWhoOptedOutAreNotRetried(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := failures(t, rdb, mixed...)
		for _, again := range []bool{false, true} {
			r, err := s.operator().Retry(ctx, "c1", Retry{Code: "1012", Again: again})
			if !errors.Is(err, ErrNeverRetry) || len(r.Rows) != 0 {
				t.Errorf("again %v: %+v %v", again, r, err)
			}
		}
		// Without the account nobody knows who opted out.
		stranger := NewOperator(s.rdb, s.ledger, nil)
		if r, err := stranger.Retry(ctx, "c1", Retry{Code: "1012"}); !errors.Is(err, ErrNoAccount) || len(r.Rows) != 0 {
			t.Errorf("without the account: %+v %v", r, err)
		}
		s.wantCounts("c1", ledger.Counts{ledger.Failed: 5, ledger.InDoubt: 1})
	})
}
