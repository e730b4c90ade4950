package main

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scripted is a contender that answers with prepared speeds and writes its turns down.
func scripted(name string, turns *[]string, speeds ...float64) contender {
	turn := 0
	return contender{name, func(context.Context) ([]sample, error) {
		*turns = append(*turns, name)
		s := sample{done: 1000, took: time.Duration(1000 / speeds[turn] * float64(time.Second))}
		turn++
		return []sample{s}, nil
	}}
}

func TestEveryContenderHasOneTurnInEachRoundAndTheOrderRotates(t *testing.T) {
	var turns []string
	same := []float64{1, 1, 1, 1}
	c := contest{parts: []part{{"Test", "rows"}}, contenders: []contender{
		scripted("a", &turns, same...), scripted("b", &turns, same...), scripted("c", &turns, same...),
	}}
	outcomes, err := c.hold(t.Context(), 3, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(turns, ""), "abc"+"bca"+"cab"+"abc"; got != want {
		t.Errorf("turns were %s, want %s", got, want)
	}
	for i, samples := range outcomes[0].samples {
		if len(samples) != 3 {
			t.Errorf("contender %d has %d samples, want 3: the turn before the first round does not count", i, len(samples))
		}
	}
}

func TestRatiosAreTakenWithinRounds(t *testing.T) {
	// The machine is ten times as fast in the second round: the speeds differ wildly, the ratio hardly.
	var turns []string
	c := contest{parts: []part{{"Test", "rows"}}, contenders: []contender{
		scripted("first", &turns, 999, 200, 2000, 220), scripted("other", &turns, 1, 100, 1000, 100),
	}}
	outcomes, err := c.hold(t.Context(), 3, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o := outcomes[0]
	closely := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(math.Abs(a), 1) })
	if diff := cmp.Diff(spread{Median: 2, Min: 2, Max: 2.2}, o.ratios(1), closely); diff != "" {
		t.Error("ratios (-want +got):\n", diff)
	}
	if diff := cmp.Diff(spread{Median: 220, Min: 200, Max: 2000}, o.speeds(0), closely); diff != "" {
		t.Error("speeds (-want +got):\n", diff)
	}
}

func TestAContenderMayLeaveOutTheLaterParts(t *testing.T) {
	two := func(context.Context) ([]sample, error) { return make([]sample, 2), nil }
	one := func(context.Context) ([]sample, error) { return make([]sample, 1), nil }
	c := contest{parts: []part{{"A", "rows"}, {"B", "rows"}}, contenders: []contender{{"two", two}, {"one", one}}}
	outcomes, err := c.hold(t.Context(), 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(options{}, "7")
	r.add(outcomes)
	if len(r.Contests[0].Lines) != 2 || len(r.Contests[1].Lines) != 1 || r.Contests[1].Lines[0].Name != "two" {
		t.Errorf("lines are %+v, want both in part A and only two in part B", r.Contests)
	}
}

func TestAFailedTurnEndsTheContestAndSaysWhose(t *testing.T) {
	lost := errors.New("a message was lost")
	fail := func(context.Context) ([]sample, error) { return nil, lost }
	c := contest{parts: []part{{"Test", "rows"}}, contenders: []contender{{"hasty", fail}}}
	if _, err := c.hold(t.Context(), 1, io.Discard); !errors.Is(err, lost) || !strings.Contains(err.Error(), "hasty") {
		t.Errorf("error is %v, want %q by hasty", err, lost)
	}
}

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"nothing", nil, spread{}},
		{"one", []float64{3}, spread{3, 3, 3}},
		{"odd, not in order", []float64{9, 1, 4}, spread{4, 1, 9}},
		{"even", []float64{4, 1, 9, 2}, spread{3, 1, 9}},
	} {
		values := append([]float64(nil), c.values...)
		if diff := cmp.Diff(c.want, spreadOf(c.values)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(values, c.values); diff != "" {
			t.Errorf("%s: its values changed:\n%s", c.name, diff)
		}
	}
}

func TestTheMedianLiesInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1e9), 1, 20).Draw(t, "values")
		s := spreadOf(values)
		below, above := 0, 0
		for _, v := range values {
			if v < s.Median {
				below++
			}
			if v > s.Median {
				above++
			}
			if v < s.Min || v > s.Max {
				t.Fatalf("%v is outside %+v", v, s)
			}
		}
		if 2*below > len(values) || 2*above > len(values) {
			t.Fatalf("%d below and %d above the median of %d values", below, above, len(values))
		}
	})
}

func TestSamplesOfOneWorkAddTimesAndNotRows(t *testing.T) {
	launch := sample{done: 10, took: time.Second, cpu: 3, redis: 5}
	send := sample{done: 10, took: 4 * time.Second, cpu: 7, redis: 11}
	want := sample{done: 10, took: 5 * time.Second, cpu: 10, redis: 16}
	if got := launch.plus(send); got != want || got.perSecond() != 2 {
		t.Errorf("got %+v at %v/s, want %+v at 2/s", got, got.perSecond(), want)
	}
}
