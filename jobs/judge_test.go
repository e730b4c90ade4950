package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"pregon/internal/ledger"
	"pregon/providers"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	failure := func(c providers.Class, change ...func(*providers.Error)) error {
		e := &providers.Error{Op: "cv send", Class: c, Code: "77", Reason: "why"}
		for _, f := range change {
			f(e)
		}
		return e
	}
	retryAfter := func(d time.Duration) func(*providers.Error) {
		return func(e *providers.Error) { e.RetryAfter = d }
	}
	halt := func(e *providers.Error) { e.Halt = true }
	failed := ledger.Outcome{State: ledger.Failed, Code: "77", Tried: true}
	doubt := ledger.Outcome{State: ledger.InDoubt, Code: "77", Tried: true}
	queued := ledger.Outcome{State: ledger.Queued, Code: "77"}
	fixed := func(d time.Duration, tried bool) ledger.Outcome {
		return ledger.Outcome{State: ledger.Waiting, Code: "77", After: d, Tried: tried}
	}
	// An hour is longer than any backoff, so that the provider's word decides and nothing is left to chance.
	tests := []struct {
		name  string
		err   error
		claim ledger.Claim
		want  verdict
	}{
		{"Unknown", failure(providers.Unknown), ledger.Claim{}, verdict{outcome: doubt}},
		{"ErrorThatClaimsToBeAccepted", failure(providers.Accepted), ledger.Claim{}, verdict{outcome: doubt}},
		{"ClassOutOfRange", failure(providers.Class(200)), ledger.Claim{}, verdict{outcome: doubt}},
		{"Unsent", failure(providers.Unsent, retryAfter(time.Hour)), ledger.Claim{Fence: 1},
			verdict{outcome: fixed(time.Hour, false)}},
		{"UnsentCountsNoTry", failure(providers.Unsent, retryAfter(time.Hour)), ledger.Claim{Fence: 9999, Tries: 4},
			verdict{outcome: fixed(time.Hour, false)}},
		{"NotNow", failure(providers.NotNow, retryAfter(time.Hour)), ledger.Claim{Tries: 3},
			verdict{outcome: fixed(time.Hour, true), slow: true}},
		{"NotNowTheFifthTime", failure(providers.NotNow, retryAfter(time.Hour)), ledger.Claim{Tries: 4},
			verdict{outcome: failed, slow: true}},
		{"Later", failure(providers.Later), ledger.Claim{}, verdict{outcome: fixed(24*time.Hour, true)}},
		{"LaterThanADay", failure(providers.Later, retryAfter(48*time.Hour)), ledger.Claim{},
			verdict{outcome: fixed(48*time.Hour, true)}},
		{"LaterOnceMore", failure(providers.Later), ledger.Claim{Tries: 1}, verdict{outcome: failed}},
		{"Rejected", failure(providers.Rejected), ledger.Claim{}, verdict{outcome: failed}},
		{"Content", failure(providers.Content), ledger.Claim{}, verdict{outcome: failed}},
		{"ContentOfTheWholeCampaign", failure(providers.Content, halt), ledger.Claim{}, verdict{outcome: failed, halt: true}},
		{"Blocked", failure(providers.Blocked), ledger.Claim{Tries: 99}, verdict{outcome: queued, close: closeAccount}},
		{"Broke", failure(providers.Broke), ledger.Claim{Tries: 99}, verdict{outcome: queued, close: closeBalance}},
		{"Wrapped", fmt.Errorf("send: %w", failure(providers.Rejected)), ledger.Claim{}, verdict{outcome: failed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			class := providers.ClassOf(tt.err)
			tt.want.code, tt.want.note = "77", "77 why"
			tt.want.outcome.Class, tt.want.outcome.Why = class.String(), "why"
			tt.want.strain = class == providers.Unknown || class == providers.Unsent
			got := judge(providers.Receipt{}, tt.err, tt.claim)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeAcceptsWithAndWithoutIdentifier(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "0e1add43-f91c-4e7c-8805-221ef6b27b98"} {
		got := judge(providers.Receipt{ID: id}, nil, ledger.Claim{})
		want := verdict{outcome: ledger.Outcome{State: ledger.Accepted, MessageID: id, Class: "accepted"}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(verdict{})); diff != "" {
			t.Errorf("verdict (-want +got):\n%s", diff)
		}
	}
}

// A provider that breaks its contract has said nothing about what left.
func TestAnErrorThatSaysNothingIsInDoubt(t *testing.T) {
	t.Parallel()
	var nothing *providers.Error
	for name, err := range map[string]error{
		"Plain": errors.New("boom"), "Cancelled": context.Canceled, "Nil": nothing,
		"WrappedNil": fmt.Errorf("x: %w", nothing),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sender{lane: &lane{}}
			got := s.verdict(ctx, providers.Receipt{ID: "m"}, err, ledger.Claim{})
			if got.outcome.State != ledger.InDoubt || got.code != "internal" || got.release || got.close != "" {
				t.Errorf("verdict %+v", got)
			}
		})
	}
}

func TestTheGateGivesTheClaimBack(t *testing.T) {
	t.Parallel()
	refusal := fmt.Errorf("the campaign does not run: %w", errGate)
	got := judge(providers.Receipt{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeGate, Err: refusal},
		ledger.Claim{})
	if !got.release || got.outcome != (ledger.Outcome{}) || got.close != "" {
		t.Errorf("verdict %+v", got)
	}
	// A gate that panicked is no gate of ours that refused: the row waits like any other that never left.
	got = judge(providers.Receipt{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeGate}, ledger.Claim{})
	if got.release || got.outcome.State != ledger.Waiting {
		t.Errorf("verdict after a panic in the gate %+v", got)
	}
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	t.Parallel()
	ceilings := map[int]time.Duration{
		-1: 2 * time.Second, 0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 8: 256 * time.Second,
		9: lastBackoff, 64: lastBackoff, 1 << 40: lastBackoff,
	}
	for attempt, ceiling := range ceilings {
		longest := time.Duration(0)
		for range 500 {
			d := backoff(attempt)
			if d < firstBackoff/2 || d > min(ceiling+firstBackoff/2, lastBackoff) {
				t.Fatalf("attempt %d waits %v, ceiling %v", attempt, d, ceiling)
			}
			longest = max(longest, d)
		}
		if longest < ceiling/2 {
			t.Errorf("attempt %d never waited longer than %v of %v", attempt, longest, ceiling)
		}
	}
}

func TestHintErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     error
		delay   time.Duration
		failure bool
		shelved bool
	}{
		{"Paused", paused("stopping"), pauseCheck, false, false},
		{"NotATry", &hintError{text: "no_connection", delay: time.Minute}, time.Minute, false, false},
		{"ATry", &hintError{text: "429", delay: time.Minute, failure: true}, time.Minute, true, false},
		{"DueAlready", &hintError{text: "429", delay: -time.Minute}, time.Second, false, false},
		{"KeptAside", &hintError{text: "1002; enqueue retry", shelve: true}, time.Second, true, true},
		{"Wrapped", fmt.Errorf("x: %w", &hintError{shelve: true, delay: time.Hour}), time.Hour, true, true},
		{"LeaseExpired", asynq.ErrLeaseExpired, staleCheck, false, false},
		{"LeaseExpiredWrapped", fmt.Errorf("x: %w", asynq.ErrLeaseExpired), staleCheck, false, false},
		{"Cancelled", context.Canceled, staleCheck, false, false},
		{"TimedOut", context.DeadlineExceeded, staleCheck, false, false},
		{"Panic", errors.New("panic: boom"), staleCheck, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := retryDelay(3, tt.err, nil); got != tt.delay {
				t.Errorf("delay %v, want %v", got, tt.delay)
			}
			if got := isFailure(tt.err); got != tt.failure {
				t.Errorf("failure %v, want %v", got, tt.failure)
			}
			if got := errors.Is(tt.err, asynq.SkipRetry); got != tt.shelved {
				t.Errorf("kept aside %v, want %v", got, tt.shelved)
			}
			if errors.Is(tt.err, asynq.RevokeTask) {
				t.Error("asynq would delete the hint")
			}
		})
	}
}

func TestParseHint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, kind, payload string
		want                hint
		ok                  bool
	}{
		{"Good", TypeSend, `{"campaign":"c1","row":2}`, hint{"c1", 2}, true},
		{"OtherType", "send:v2", `{"campaign":"c1","row":2}`, hint{}, false},
		{"Garbage", TypeSend, "\x00\xff{", hint{}, false},
		{"Empty", TypeSend, "", hint{}, false},
		{"Null", TypeSend, "null", hint{}, false},
		{"NoRow", TypeSend, `{"campaign":"c1"}`, hint{}, false},
		{"RowZero", TypeSend, `{"campaign":"c1","row":0}`, hint{}, false},
		{"NegativeRow", TypeSend, `{"campaign":"c1","row":-2}`, hint{}, false},
		{"HugeRow", TypeSend, `{"campaign":"c1","row":92233720368547758080}`, hint{}, false},
		{"TextRow", TypeSend, `{"campaign":"c1","row":"2"}`, hint{}, false},
		{"NoCampaign", TypeSend, `{"row":2}`, hint{}, false},
		{"MoreBehind", TypeSend, `{"campaign":"c1","row":2}{}`, hint{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseHint(asynq.NewTask(tt.kind, []byte(tt.payload)))
			if (err == nil) != tt.ok || (tt.ok && got != tt.want) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// FuzzParseHint: whatever is in a queue, a hint names a row or is refused, and what was read can be written again.
func FuzzParseHint(f *testing.F) {
	for _, payload := range []string{
		`{"campaign":"promo-0a1b2c3d","row":4213}`, `{"campaign":"","row":1}`, `{"row":1e9}`, `[]`, `null`, "\xff", "",
		`{"campaign":"c","row":9007199254740993}`, `{"CAMPAIGN":"c","Row":3}`, `{"campaign":"c","row":2,"row":-1}`,
	} {
		f.Add(TypeSend, []byte(payload))
	}
	f.Add("send:v2", []byte(`{"campaign":"c","row":2}`))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		h, err := parseHint(asynq.NewTask(kind, payload))
		if err != nil {
			return
		}
		if kind != TypeSend || h.Campaign == "" || h.Row <= 0 {
			t.Fatalf("type %q, payload %q: %+v", kind, payload, h)
		}
		task, err := newHint(h.Campaign, h.Row, 1)
		if err != nil {
			t.Fatal(err)
		}
		// Invalid UTF-8 becomes U+FFFD when it is written again, once.
		again, err := parseHint(task)
		if err != nil || again != h {
			t.Fatalf("%+v became %+v: %v", h, again, err)
		}
	})
}
