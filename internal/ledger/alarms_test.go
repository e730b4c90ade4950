package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// answers settles one row after another, as the letters say, and returns how many it took until an alarm; 0 for none.
//
//	. accepted   c content failure   x failure of a suspect code   f other failure   d in doubt   w waiting   s under way
func answers(t *testing.T, l *ledger.Ledger, id string, row *int, letters string, share float64) (int, ledger.Alarm) {
	t.Helper()
	outcomes := map[rune]ledger.Outcome{
		'.': {State: ledger.Accepted},
		'c': {State: ledger.Failed, Code: "1005", Class: ledger.Content},
		'x': {State: ledger.Failed, Code: "1002", Class: "rejected", Suspect: share},
		'f': {State: ledger.Failed, Code: "4", Class: "rejected"},
		'd': {State: ledger.InDoubt, Code: "timeout", Class: "unknown"},
		'w': {State: ledger.Waiting, Code: "429", Class: "not_now", After: time.Hour},
	}
	for i, letter := range letters {
		*row++
		c := claim(t, l, id, *row)
		if c.Verdict != ledger.Go {
			t.Fatalf("claim: %+v", c)
		}
		o, ends := outcomes[letter]
		if !ends {
			continue
		}
		alarm, err := l.Settle(ctx, c, o)
		if err != nil {
			t.Fatal(err)
		}
		if alarm != ledger.NoAlarm {
			return i + 1, alarm
		}
	}
	return 0, ledger.NoAlarm
}

func TestTheTemplateIsSuspectedWhenAnswersSaySo(t *testing.T) {
	t.Parallel()
	spaced := func(n, gap int) string { return strings.Repeat("c"+strings.Repeat(".", gap-1), n) }
	tests := []struct {
		name    string
		letters string
		want    int // the alarm comes with this answer
	}{
		{"Three", "ccc", 3},
		{"ThreeAfterMany", strings.Repeat(".", 50) + "ccc", 53},
		{"Two", "cc...", 0},
		{"OneBetween", "cc.c", 0},
		{"OneInTwo", "c.c.c.", 0}, // until it is too many: see below
		{"OtherFailures", "fffxxx", 0},
		{"OtherFailureBetween", "ccfc", 0},
		{"DoubtBetween", "cdcdc", 0},
		{"WaitingIsNoAnswer", "cwcwc", 5},
		{"UnderWayIsNoAnswer", "cscssc", 6},
		{"SixOfAHundred", spaced(6, 19), 5*19 + 1},
		{"SixOfExactlyAHundred", "c" + strings.Repeat(".", 90) + "c.c.c.c.c", 100},
		{"SixOfAHundredAndOne", spaced(6, 20), 0},
		{"SixQuickly", "c.c.c.c.c.c", 11},
		{"FiveOfAHundred", spaced(5, 10) + strings.Repeat(".", 60), 0},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id, row := strings.ToLower(tt.name), 1
				launch(t, l, id, len(tt.letters))
				want := ledger.ContentAlarm
				if tt.want == 0 {
					want = ledger.NoAlarm
				}
				if at, alarm := answers(t, l, id, &row, tt.letters, 0); at != tt.want || alarm != want {
					t.Errorf("alarm %q with answer %d, want %q with %d", alarm, at, want, tt.want)
				}
			})
		}
	})
}

func TestAPersonAnswersForTheTemplate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 20)
		row := 1
		if at, alarm := answers(t, l, "c1", &row, "ccc", 0); at != 3 || alarm != ledger.ContentAlarm {
			t.Fatalf("alarm %q with answer %d", alarm, at)
		}
		steer(t, l, ledger.Steering{Verb: ledger.Pause, Reason: "template"}, ledger.Paused, true)
		steer(t, l, ledger.Steering{Verb: ledger.Resume, Reason: "template"}, ledger.Running, true) // the machine does not
		if at, _ := answers(t, l, "c1", &row, "c", 0); at != 1 {
			t.Error("no alarm after the machine's resume")
		}
		steer(t, l, ledger.Steering{Verb: ledger.Pause, Reason: "template"}, ledger.Paused, true)
		steer(t, l, ledger.Steering{Verb: ledger.Resume, Reason: "operator", Person: true}, ledger.Running, true)
		if at, alarm := answers(t, l, "c1", &row, "cc.ccc", 0); at != 6 {
			t.Errorf("after the person's resume: alarm %q with answer %d", alarm, at)
		}
	})
}

// A row that a person has retried answers again: the places of earlier answers move, and no row speaks three times.
func TestARetriedRowDoesNotRaiseTheAlarmAlone(t *testing.T) {
	t.Parallel()
	content := ledger.Outcome{State: ledger.Failed, Code: "1005", Class: ledger.Content}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 60)
		row := 2 // leaves row 2 out
		answers(t, l, "c1", &row, strings.Repeat("f", 40), 0)
		for fence := 1; fence <= 3; fence++ {
			c := claim(t, l, "c1", 2)
			if alarm, err := l.Settle(ctx, c, content); err != nil || alarm != ledger.NoAlarm {
				t.Errorf("answer %d of one row: alarm %q %v", fence, alarm, err)
			}
			decide(t, l, "c1", fence, ledger.TryAgain)
		}
		// Forty answers are taken back, so that later ones stand where earlier ones stood.
		if at, alarm := answers(t, l, "c1", &row, "c.", 0); at != 0 {
			t.Errorf("alarm %q with answer %d", alarm, at)
		}
		for failed := 3; failed < 43; failed++ {
			if err := l.Decide(ctx, "c1", failed, 1, ledger.TryAgain, "ana", true); err != nil {
				t.Fatal(err)
			}
		}
		if at, alarm := answers(t, l, "c1", &row, "c..c..", 0); at != 0 {
			t.Errorf("alarm %q with answer %d", alarm, at)
		}
	})
}

func TestTheListIsSuspectedByItsFirstAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		letters string
		share   float64
		want    int
	}{
		{"AllBad", strings.Repeat("x", 25), 0.5, 20},
		{"HalfBad", strings.Repeat(".x", 20), 0.5, 20},
		{"LessThanHalf", strings.Repeat("..x", 20), 0.5, 0},
		{"BadOnlyLater", strings.Repeat(".", 20) + strings.Repeat("x", 20), 0.5, 40},
		{"BadTooLate", strings.Repeat(".", 21) + strings.Repeat("x", 40), 0.5, 0},
		{"NotSuspect", strings.Repeat("x", 25), 0, 0},
		{"AnotherCode", strings.Repeat("f", 25), 0.5, 0},
		{"WaitingIsNoAnswer", strings.Repeat("xw", 25), 0.5, 39},
		{"DoubtIsAnAnswer", strings.Repeat("xd", 15), 0.5, 21}, // the twentieth answer is a doubt, and doubts raise none
		{"UnderWayIsNoAnswer", "sss" + strings.Repeat("x", 25), 0.5, 23},
	}
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				id, row := strings.ToLower(tt.name), 1
				launch(t, l, id, 2*len(tt.letters))
				at, alarm := answers(t, l, id, &row, tt.letters, tt.share)
				if at != tt.want || (alarm == ledger.SuspectAlarm) != (tt.want > 0) {
					t.Fatalf("alarm %q with answer %d, want answer %d", alarm, at, tt.want)
				}
				if at == 0 {
					return
				}
				// A person who looked at it lets it go on: the list is trusted.
				for _, s := range []ledger.Steering{
					{Verb: ledger.Pause, Reason: "list"}, {Verb: ledger.Resume, Reason: "operator", Person: true},
				} {
					if _, ok, err := l.Steer(ctx, id, s); err != nil || !ok {
						t.Fatalf("%+v: %v %v", s, ok, err)
					}
				}
				if at, alarm := answers(t, l, id, &row, "xxxx", tt.share); at != 0 {
					t.Errorf("alarm %q with answer %d of a list that is trusted", alarm, at)
				}
			})
		}
	})
}

// What is said again of another day raises no alarm.
func TestWhatIsSaidAgainRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLedger(t, rdb)
		launch(t, l, "c1", 40)
		for row := 2; row < 40; row++ {
			c := ledger.NewClaim("c1", row, worker)
			c.Fence = 1
			alarm, err := l.Settle(ctx, c, ledger.Outcome{
				State: ledger.Failed, Code: "1005", Class: ledger.Content, Suspect: 0.5,
			})
			if err != nil || alarm != ledger.NoAlarm {
				t.Fatalf("row %d: alarm %q %v", row, alarm, err)
			}
		}
	})
}
