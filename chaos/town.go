package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"pregon/providers/simulator"
)

// options are what the person who runs the harness asks for.
type options struct {
	scenarios []string
	seed      uint64
	seeds     int
	rows      int // 0 = as many as the scenario is made for
	short     bool
	parallel  int
	outage    time.Duration // 0 = as long as the scenario is made for
	out       string
	source    string
	keepAll   bool
	verbose   bool
	say       func(format string, args ...any)
}

// scale picks between the full size of a scenario and its short one.
func scale[T any](o options, full, short T) T {
	if o.short {
		return short
	}
	return full
}

// place is what a scenario needs around it.
type place struct {
	rows     int
	workers  int
	rate     int    // messages per second for the whole fleet
	fsync    string // of Redis; "" = always
	journals bool   // each worker keeps a journal across its restarts
	skews    []int  // seconds by which each worker's clock is wrong
	answers  time.Duration
	accounts int // further ones at the same provider, each with the whole rate
}

// concurrency is how many messages each worker may have in flight, and so how many a kill may leave in doubt.
const concurrency = 8

// sampleEvery is how often status is asked.
const sampleEvery = 500 * time.Millisecond

// town is one run: a Redis, a provider, a fleet and an operator of its own, and what is written down about them.
type town struct {
	options
	name  string
	dir   string
	tools programs
	rng   *rand.Rand // for what the orchestrator decides; one goroutine draws from it
	diary *diary
	place place

	sim   *simulator.Server
	store *store
	front *front
	fleet *fleet
	desk  *desk

	campaigns []*campaign
	faults    int // done to processes, Redis and networks
	figures   figures
	watching  sync.WaitGroup
}

// campaign is one launched file.
type campaign struct {
	id      string
	people  []contact
	quiet   []stretch
	unclear int // rows whose answer is ambiguous by their phone alone

	scheduled bool // its time will not come during the run

	mu      sync.Mutex
	samples []sample
	cancel  context.CancelFunc // ends the sampling
}

// newTown makes the directory and the diary of a run; open builds the rest.
func newTown(o options, s scenario, seed uint64, tools programs) (*town, error) {
	o.seed = seed
	dir, err := os.MkdirTemp(o.out, fmt.Sprintf("pregon-chaos-%s-%d-", s.name, seed))
	if err != nil {
		return nil, err
	}
	var echo func(string)
	if o.verbose {
		echo = func(line string) { o.say("  %s", line) }
	}
	d, err := newDiary(filepath.Join(dir, "events.jsonl"), echo)
	if err != nil {
		return nil, err
	}
	t := &town{
		options: o, name: s.name, dir: dir, tools: tools, diary: d, rng: seeded(seed),
		figures: figures{scenario: s.name, seed: seed},
	}
	d.note("run", "scenario", s.name, "seed", seed, "short", o.short, "rows", o.rows, "outage", o.outage.String())
	return t, nil
}

// seeded is where the orchestrator's own decisions come from.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x707265676f6e)) }

// open starts Redis and the provider, and makes the fleet without starting it.
func (t *town) open(ctx context.Context, p place) error {
	if p.fsync == "" {
		p.fsync = "always"
	}
	if p.answers == 0 {
		p.answers = 20 * time.Millisecond
	}
	if t.rows > 0 {
		p.rows = t.rows
	}
	t.place = p
	t.sim = simulator.New(simulator.Options{
		Login: canaryLogin, Token: canaryToken, Latency: p.answers, Jitter: p.answers, Balance: 1 << 40,
	})
	var err error
	if t.store, err = startStore(ctx, filepath.Join(t.dir, "redis"), p.fsync, t.diary); err != nil {
		return err
	}
	if t.front, err = newFront(t.sim, t.seed, t.diary); err != nil {
		return err
	}
	if err := t.writeAccounts(); err != nil {
		return err
	}
	t.desk = &desk{program: t.tools.enqueue, dir: t.dir, diary: t.diary}
	t.desk.env = t.environ("redis://" + t.store.addr() + "/0")
	t.fleet = new(fleet)
	for n := range p.workers {
		if err := t.employ(n); err != nil {
			return err
		}
	}
	return nil
}

func accountName(n int) string { return fmt.Sprintf("account-%d", n) }

// writeAccounts writes the accounts file.
func (t *town) writeAccounts() error {
	if t.place.accounts == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("accounts:\n")
	for n := range t.place.accounts {
		fmt.Fprintf(&b, "  %s: {provider: contactovirtual, url: %q, login: \"${CONTACTOVIRTUAL_LOGIN}\", "+
			"token: \"${CONTACTOVIRTUAL_TOKEN}\", rate: %d}\n", accountName(n), t.front.url(), t.place.rate)
	}
	return os.WriteFile(t.accountsFile(), []byte(b.String()), 0o600)
}

func (t *town) accountsFile() string { return filepath.Join(t.dir, "accounts.yaml") }

// employ makes one place in the fleet.
func (t *town) employ(n int) error {
	w, err := newWorker(n+1, t.dir, t.store.addr(), t.diary)
	if err != nil {
		return err
	}
	w.program = t.tools.worker
	w.env = t.environ("redis://" + w.link.addr() + "/0")
	if t.place.journals {
		journal := filepath.Join(t.dir, fmt.Sprintf("journal-%d", w.number))
		if err := os.MkdirAll(journal, 0o700); err != nil {
			return err
		}
		w.env = append(w.env, "JOURNAL_DIR="+journal)
	}
	if n < len(t.place.skews) {
		w.program = t.tools.skewed
		w.env = append(w.env, "PREGON_CLOCK_SKEW="+strconv.Itoa(t.place.skews[n]))
	}
	t.fleet.workers = append(t.fleet.workers, w)
	t.fleet.wg.Go(w.supervise)
	return nil
}

// environ is what every program is told. Nothing comes from the surroundings of the harness but the search path.
func (t *town) environ(redisURL string) []string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(t.seed) + byte(i)
	}
	environ := []string{
		"PATH=" + t.tools.path, "HOME=" + t.dir, "XDG_CONFIG_HOME=" + t.dir, "TMPDIR=" + t.dir, "LANG=en_US.UTF-8",
		"REDIS_URL=" + redisURL, "MASTER_KEY=" + hex.EncodeToString(key), "LOG_FORMAT=json",
		"CONTACTOVIRTUAL_URL=" + t.front.url(), "CONTACTOVIRTUAL_LOGIN=" + canaryLogin,
		"CONTACTOVIRTUAL_TOKEN=" + canaryToken, "CONTACTOVIRTUAL_RATE=" + strconv.Itoa(t.place.rate),
		"WORKER_CONCURRENCY=" + strconv.Itoa(concurrency), "SHUTDOWN_TIMEOUT=75s", "PREGON_SEND_BUDGET=3s",
	}
	if t.place.accounts > 0 {
		environ = append(environ, "ACCOUNTS_FILE="+t.accountsFile())
	}
	return environ
}

// campaignFile writes the file of the town's next campaign.
func (t *town) campaignFile(people []contact) (path, name string, err error) {
	n := len(t.campaigns) + 1
	name = fmt.Sprintf("%s %d %d", t.name, t.seed, n)
	path = filepath.Join(t.dir, fmt.Sprintf("campaign-%d.csv", n))
	return path, name, writeFile(path, people)
}

// launch launches a campaign of the scenario's size and begins to watch it.
func (t *town) launch(ctx context.Context) (*campaign, error) {
	people := contacts(t.seed, len(t.campaigns), t.place.rows)
	path, name, err := t.campaignFile(people)
	if err != nil {
		return nil, err
	}
	id, err := t.desk.launch(ctx, path, name)
	if err != nil {
		return nil, err
	}
	c := &campaign{id: id, people: people}
	t.campaigns = append(t.campaigns, c)
	t.watch(ctx, c)
	return c, nil
}

// watch asks for a campaign's status until the run is over.
func (t *town) watch(ctx context.Context, c *campaign) {
	ctx, c.cancel = context.WithCancel(ctx)
	t.watching.Go(func() {
		for {
			at := t.diary.now()
			if s, ok := t.desk.status(ctx, c.id); ok {
				c.mu.Lock()
				c.samples = append(c.samples, sample{at, s})
				c.mu.Unlock()
				t.diary.note("status", "campaign", c.id, "state", s.State, "reason", s.Reason, "counts", s.Counts)
			}
			if pause(ctx, sampleEvery) != nil {
				return
			}
		}
	})
}

// last is the newest sample.
func (c *campaign) last() (sample, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.samples) == 0 {
		return sample{}, false
	}
	return c.samples[len(c.samples)-1], true
}

// patience bounds how long a campaign may take to close its rows once nothing disturbs it: the longest of the workers'
// own times, for which an account that was in trouble stays closed, is ten minutes.
func (o options) patience() time.Duration { return scale(o, 12*time.Minute, 4*time.Minute) }

// drain waits until a campaign has no open rows, from now on undisturbed, and writes down how long that took.
func (t *town) drain(ctx context.Context, c *campaign) error {
	calm := t.diary.now()
	t.diary.note("calm", "campaign", c.id)
	ctx, cancel := context.WithTimeout(ctx, t.patience())
	defer cancel()
	err := until(ctx, 50*time.Millisecond, "no row is open", func() bool {
		s, ok := c.last()
		return ok && s.at >= calm && s.open() == 0
	})
	if err != nil {
		return err
	}
	s, _ := c.last()
	t.figures.drain = max(t.figures.drain, s.at-calm)
	t.diary.note("drained", "campaign", c.id, "after_ms", (s.at - calm).Milliseconds())
	return nil
}

// arrived waits until so many messages have arrived in all.
func (t *town) arrived(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, t.patience())
	defer cancel()
	if err := t.sim.Wait(ctx, n); err != nil {
		total, _ := t.sim.Total()
		return fmt.Errorf("waiting for %d messages, %d arrived: %w", n, total, err)
	}
	return nil
}

// fault counts something done to a process, to Redis or to a network.
func (t *town) fault(done bool) {
	if done {
		t.faults++
	}
}

// finish ends the run: the fleet stops as in a deployment, every campaign is judged, and what is not needed as
// evidence is deleted.
func (t *town) finish(ctx context.Context, failure error) figures {
	for _, c := range t.campaigns {
		if c.cancel != nil {
			c.cancel()
		}
	}
	t.watching.Wait()
	f := &t.figures
	if failure != nil {
		f.violate("the run did not come to its end: %v", failure)
	}
	if t.fleet != nil && ctx.Err() == nil {
		if err := t.fleet.stopAll(ctx); err != nil {
			f.violate("%v", err)
		}
		t.judge(ctx)
		if !f.baseline { // it keeps people in its queue, as everybody knows
			t.private()
		}
	}
	f.rows, f.faults = f.rows+t.size(), t.faults
	t.diary.note("judged", "violations", f.violations, "duplicates", f.duplicates, "lost", f.lost)
	if (len(f.violations) > 0 || t.keepAll) && ctx.Err() == nil {
		t.keep(ctx)
	}
	t.close()
	if f.kept == "" {
		_ = os.RemoveAll(t.dir) // what is left is only rubbish
	}
	f.took = t.diary.now()
	return *f
}

func (t *town) size() int {
	rows := 0
	for _, c := range t.campaigns {
		rows += len(c.people)
	}
	return rows
}

func (t *town) close() {
	if t.fleet != nil {
		t.fleet.close()
	}
	if t.front != nil {
		t.front.close()
	}
	if t.store != nil {
		t.store.close()
	}
	if err := t.diary.close(); err != nil {
		t.figures.violate("the event log is not whole: %v", err)
	}
}

var errNoSkew = errors.New("this run was built without a worker whose clock can be wrong")
