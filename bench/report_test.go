package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func exampleReport() *report {
	r := newReport(options{fsync: "always", rounds: 1}, "7.0.15")
	half := sample{done: 1000, took: time.Second, cpu: 20 * time.Millisecond, redis: 5 * time.Millisecond}
	r.add([]outcome{{
		part: part{"Launching", "rows"}, names: []string{"first", "slow", "absent"},
		samples: [][]sample{{{done: 1000, took: 400 * time.Millisecond, cpu: 10 * time.Millisecond}}, {half}, nil},
	}})
	r.weigh("pending", 20, 1100)
	r.weigh("nothing", 0, 0)
	r.Check = &checkReport{Rows: 10, StartMiB: spread{20, 19, 21}, PeakMiB: spread{44.25, 44, 45},
		RowsPerSecond: spread{400_000, 1, 500_000}}
	return r
}

func TestTheTablesSayWhatWasMeasured(t *testing.T) {
	var out bytes.Buffer
	if err := exampleReport().write(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Redis 7.0.15 (appendonly yes, appendfsync always, compose listpack sizes), rounds: 1",
		"| first | 2 500 (2 500–2 500) |  | 10.0 | 0.00 |\n",
		"| slow | 1 000 (1 000–1 000) | 2.50 (2.50–2.50) | 20.0 | 5.00 |\n",
		"| pending | 20 | 55 |\n", "| nothing | 0 | 0 |\n",
		"| 44.2 (44.0–45.0) MiB | 20.0 (19.0–21.0) MiB | 400 000 (1.00–500 000) |\n",
	} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "\u202f", " "), want) {
			t.Errorf("the tables do not hold %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "absent") {
		t.Error("a contender without samples has a line")
	}
}

func TestTheJSONSaysTheSame(t *testing.T) {
	var out bytes.Buffer
	want := exampleReport()
	if err := want.write(&out, true); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*want, got); diff != "" {
		t.Error("JSON (-want +got):\n", diff)
	}
	if got.Contests[0].Lines[0].Ratio != nil || got.Contests[0].Lines[1].Ratio.Median != 2.5 {
		t.Errorf("ratios are wrong: %+v", got.Contests[0].Lines)
	}
}

func TestNumbersArePrintedToBeRead(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.00", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 999.6: "1 000", 1234567: "1 234 567",
	} {
		if got := strings.ReplaceAll(number(f), "\u202f", " "); got != want {
			t.Errorf("%v is printed as %q, want %q", f, got, want)
		}
	}
}
