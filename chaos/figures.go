package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figures are what one run measured.
type figures struct {
	scenario   string
	seed       uint64
	rows       int
	faults     int // done to processes, Redis and networks
	spoiled    int // answers of the provider
	ambiguous  int // of those, the ones that leave a client in doubt
	duplicates int
	lost       int
	doubt      [2]int // rows in doubt whose message did not arrive, and whose did
	bound      int
	bounded    bool // bound is the scenario's own, not the sum of what happened
	excused    int  // rows that may be in doubt beside that sum
	drain      time.Duration
	rate       int // the most sends within a second
	limit      int
	violations []string
	notes      []string // figures of one scenario alone
	took       time.Duration
	kept       string // where the evidence is
	baseline   bool   // the plain queue: its duplicates are the point, and no violation
}

func (f *figures) violate(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

func (f *figures) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

func (f *figures) inDoubt() int { return f.doubt[0] + f.doubt[1] }

// allow sets how many rows may be in doubt, whatever happens.
func (f *figures) allow(doubts int) { f.bound, f.bounded = doubts, true }

// excuse lets more rows be in doubt than faults and kills explain.
func (f *figures) excuse(doubts int) { f.excused += doubts }

func (f *figures) add(found finding) {
	f.duplicates += found.duplicates
	f.lost += found.lost
	f.doubt[0] += found.doubt[0]
	f.doubt[1] += found.doubt[1]
	f.violations = append(f.violations, found.violations...)
}

// shownViolations is how many are printed; the evidence has all of them.
const shownViolations = 5

// line is a run on one line, and below it what went wrong.
func (f figures) line() string {
	verdict := "ok"
	if len(f.violations) > 0 {
		verdict = "VIOLATED"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s seed %-4d %-8s %6d rows %4d faults %4d bad answers: duplicates %d, lost %d, violations %d, "+
		"in doubt %d (%d/%d) of at most %d, drain %s, %d/s of %d, took %s", f.scenario, f.seed, verdict, f.rows, f.faults,
		f.spoiled, f.duplicates, f.lost, len(f.violations), f.inDoubt(), f.doubt[0], f.doubt[1], f.bound, seconds(f.drain),
		f.rate, f.limit, seconds(f.took))
	for _, n := range f.notes {
		fmt.Fprintf(&b, "\n    %s", n)
	}
	for i, v := range f.violations {
		if i == shownViolations {
			fmt.Fprintf(&b, "\n    … and %d more", len(f.violations)-i)
			break
		}
		fmt.Fprintf(&b, "\n    violation: %s", v)
	}
	if f.kept != "" {
		fmt.Fprintf(&b, "\n    evidence: %s", f.kept)
	}
	return b.String()
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }

// table is the figures of all runs, one line per scenario, as Markdown.
func table(all []figures) string {
	var order []string
	runs := make(map[string][]figures)
	for _, f := range all {
		if _, known := runs[f.scenario]; !known {
			order = append(order, f.scenario)
		}
		runs[f.scenario] = append(runs[f.scenario], f)
	}
	var b strings.Builder
	b.WriteString("| scenario | seeds | rows | faults | bad answers | duplicates | lost | violations | in doubt (0/1 " +
		"receipts) | bound | drain | most in 1 s (limit) | plain asynq's duplicates |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range order {
		b.WriteString(tableLine(name, runs[name], runs["plain"]))
	}
	return b.String()
}

func tableLine(name string, runs, plain []figures) string {
	first := runs[0]
	numbers := func(of func(figures) int) string {
		return spread(runs, func(f figures) int { return of(f) }, strconv.Itoa)
	}
	compared := "–"
	if name == "storm" && len(plain) > 0 {
		compared = spread(plain, func(f figures) int { return f.duplicates }, strconv.Itoa)
	}
	own := func(text string) string {
		if first.baseline {
			return "–" // the plain queue promises nothing that could be violated
		}
		return text
	}
	cells := []string{
		name, strconv.FormatUint(first.seed, 10), numbers(func(f figures) int { return f.rows }),
		numbers(func(f figures) int { return f.faults }), numbers(func(f figures) int { return f.spoiled }),
		numbers(func(f figures) int { return f.duplicates }), numbers(func(f figures) int { return f.lost }),
		own(numbers(func(f figures) int { return len(f.violations) })),
		own(fmt.Sprintf("%s (%s/%s)", numbers(func(f figures) int { return f.inDoubt() }),
			numbers(func(f figures) int { return f.doubt[0] }), numbers(func(f figures) int { return f.doubt[1] }))),
		own(numbers(func(f figures) int { return f.bound })),
		own(spread(runs, func(f figures) time.Duration { return f.drain }, seconds)),
		spread(runs, func(f figures) int { return f.rate }, strconv.Itoa) + " (" + strconv.Itoa(first.limit) + ")", compared,
	}
	if len(runs) > 1 {
		cells[1] = fmt.Sprintf("%d–%d", first.seed, runs[len(runs)-1].seed)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// spread shows a figure of several runs: the one value they share, or the least, the median and the most.
func spread[T cmp.Ordered](runs []figures, of func(figures) T, show func(T) string) string {
	values := make([]T, len(runs))
	for i, f := range runs {
		values[i] = of(f)
	}
	slices.Sort(values)
	least, most := values[0], values[len(values)-1]
	if least == most {
		return show(least)
	}
	return show(least) + " / " + show(values[len(values)/2]) + " / " + show(most)
}
