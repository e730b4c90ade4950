package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// judge holds every campaign of the town against what arrived. Campaigns share the provider: each is judged by its own
// phones, and the bound on rows in doubt holds for all of them together.
func (t *town) judge(ctx context.Context) {
	tally, receipts := t.front.tally(), t.sim.Receipts().Phones
	bound := tally.Ambiguous + concurrency*t.fleet.kills() + t.figures.excused
	for _, c := range t.campaigns {
		bound += c.unclear
	}
	if t.figures.bounded {
		bound = t.figures.bound
	}
	f := &t.figures
	f.bound, f.spoiled, f.ambiguous = bound, tally.Total, tally.Ambiguous
	t.diary.note("provider", "tally", tally, "kills", t.fleet.kills())
	arrivals := t.arrivals()
	for _, c := range t.campaigns {
		results, err := t.desk.results(ctx, c.id)
		if err != nil {
			f.violate("%v", err)
			continue
		}
		found := judge(evidence{
			rows: c.people, results: results, receipts: take(receipts, c.people), samples: c.samples, arrivals: arrivals,
			quiet: c.quiet, bound: bound, scheduled: c.scheduled,
		})
		f.add(found)
	}
	if t.fleet != nil && f.inDoubt() > bound && len(t.campaigns) > 1 {
		f.violate("%d rows in doubt, at most %d can be explained", f.inDoubt(), bound)
	}
	if len(receipts) > 0 && !f.baseline {
		f.violate("messages for %d phones that are in no file", len(receipts))
	}
	f.rate, f.limit = densest(tally.posts), t.place.rate
	if !f.baseline && t.place.accounts == 0 && tooDense(f.rate, f.limit) {
		f.violate("%d messages within a second, the limit is %d", f.rate, f.limit)
	}
}

// take moves the receipts of some people out of all receipts.
func take(receipts map[string]int, people []contact) map[string]int {
	own := make(map[string]int, len(people))
	for _, c := range people {
		if n, ok := receipts[c.phone]; ok {
			own[c.phone] = n
			delete(receipts, c.phone)
		}
	}
	return own
}

// arrivals are the messages that arrived, by the run's own clock.
func (t *town) arrivals() []arrival {
	begin := t.diary.begin.UnixMilli()
	messages := t.sim.Messages()
	list := make([]arrival, len(messages))
	for i, m := range messages {
		list[i] = arrival{at: time.Duration(m.AtMS-begin) * time.Millisecond, phone: m.Mobile}
	}
	return list
}

// private looks for people and credentials where they must not be, and for programs that broke down.
func (t *town) private() {
	places, err := filepath.Glob(filepath.Join(t.dir, "redis", "appendonlydir", "*.aof"))
	logs, logErr := filepath.Glob(filepath.Join(t.dir, "*.log"))
	if err := errors.Join(err, logErr); err != nil {
		t.figures.violate("%v", err)
	}
	phones := make(map[string]bool)
	for _, c := range t.campaigns {
		for _, p := range c.people {
			phones[strings.TrimPrefix(p.phone, "57")] = true
		}
	}
	for _, path := range slices.Concat(places, logs) {
		words := []string{canaryName, canaryLogin, canaryToken}
		if filepath.Ext(path) == ".log" {
			words = append(words, "panic: ", "fatal error: ", "DATA RACE")
		}
		found, err := search(path, words, phones)
		if err != nil {
			t.figures.violate("%v", err)
		}
		for _, what := range found {
			t.figures.violate("%s in %s", what, filepath.Base(path))
		}
	}
}

// search reads a file and names what is found in it: each word, and phones as a number only.
func search(path string, words []string, phones map[string]bool) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	seen, leaked := make(map[string]bool), 0
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		for _, word := range words {
			if bytes.Contains(line, []byte(word)) {
				seen[fmt.Sprintf("%q", word)] = true
			}
		}
		leaked += countPhones(line, phones)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	var found []string
	for word := range seen {
		found = append(found, word)
	}
	slices.Sort(found)
	if leaked > 0 {
		found = append(found, fmt.Sprintf("%d phones", leaked))
	}
	return found, nil
}

// phoneDigits is how long a phone is without its country.
const phoneDigits = 10

func countPhones(line []byte, phones map[string]bool) int {
	n, run := 0, 0
	for i, b := range line {
		if b < '0' || b > '9' {
			run = 0
			continue
		}
		run++
		if run >= phoneDigits && phones[string(line[i+1-phoneDigits:i+1])] {
			n++
		}
	}
	return n
}

// keep writes down what is needed to understand a violation, beside what is in the run's directory already.
func (t *town) keep(ctx context.Context) {
	t.figures.kept = t.dir
	replay := fmt.Sprintf("go run ./chaos -scenario %s -seed %d", t.name, t.seed)
	if t.short {
		replay += " -short"
	}
	if t.rows > 0 {
		replay += fmt.Sprintf(" -rows %d", t.rows)
	}
	if t.outage > 0 {
		replay += " -outage " + t.outage.String()
	}
	text := fmt.Sprintf("seed %d\n%s\n\n%s\n", t.seed, replay, strings.Join(t.figures.violations, "\n"))
	err := os.WriteFile(filepath.Join(t.dir, "violations.txt"), []byte(text), 0o600)
	if t.front != nil {
		err = errors.Join(err, t.keepReceipts())
	}
	if t.store != nil {
		err = errors.Join(err, dumpLedger(ctx, t.store.rdb, filepath.Join(t.dir, "ledger.jsonl")))
	}
	if err != nil {
		t.diary.note("evidence not whole", "err", err)
	}
}

// keepReceipts writes down what arrived, message by message.
func (t *town) keepReceipts() error {
	var b bytes.Buffer
	for _, a := range t.arrivals() {
		fmt.Fprintf(&b, "{\"at_ms\":%d,\"phone\":%q}\n", a.at.Milliseconds(), a.phone)
	}
	return os.WriteFile(filepath.Join(t.dir, "receipts.jsonl"), b.Bytes(), 0o600)
}
