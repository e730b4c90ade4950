package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/jobs/journal"
)

// WorkerConfig is what a worker needs.
type WorkerConfig struct {
	// Redis is shared by all servers of the process. NewWorker puts asynq's hook on it.
	Redis    redis.UniversalClient
	Ledger   *ledger.Ledger
	Accounts []Account
	// Concurrency is how many sends may be in flight in this process, all campaigns together.
	Concurrency int
	// ShutdownTimeout is how long Run waits for sends in flight when its context ends. It must exceed the longest
	// send: what is cut off is in doubt.
	ShutdownTimeout time.Duration
	// Journal is what this process remembers of its sends; nil = in memory only.
	Journal *journal.Journal
	Log     *slog.Logger
}

// Worker carries out the campaigns of one Redis: it keeps hints in their queues, sends what may be sent, and moves
// campaigns through their lives. Any number of workers share the work; none is special.
type Worker struct {
	cfg      WorkerConfig
	name     string // in leases
	short    string // in the ledger
	recall   *recall
	lanes    map[string]*lane
	inFlight chan struct{}
	log      *slog.Logger
	operator *Operator

	ahead       atomic.Int64     // how far Redis's clock is ahead of this machine's
	now         func() time.Time // what contact hours and scheduled starts go by: Redis's clock
	reopenEvery time.Duration    // how often a closed account is asked whether it is open again
}

// lookEvery is how often a worker asks which campaigns there are, when no nudge comes before.
const lookEvery = time.Second

// NewWorker returns a worker that does nothing until Run.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	switch {
	case cfg.Redis == nil || cfg.Ledger == nil || cfg.Log == nil:
		return nil, errors.New("worker needs a Redis, a ledger and a logger")
	case cfg.Concurrency < 1:
		return nil, fmt.Errorf("worker concurrency is %d, want at least 1", cfg.Concurrency)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	Hook(cfg.Redis)
	w := &Worker{
		cfg: cfg, name: host + "/" + strconv.Itoa(os.Getpid()) + "/" + strconv.FormatInt(time.Now().UnixNano(), 36),
		recall: &recall{journal: cfg.Journal}, lanes: make(map[string]*lane),
		inFlight: make(chan struct{}, cfg.Concurrency), log: cfg.Log,
		operator: NewOperator(cfg.Redis, cfg.Ledger, cfg.Accounts), reopenEvery: reopenEvery,
	}
	w.now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	if cfg.Journal == nil {
		if w.recall.journal, err = journal.Open("", cfg.Log); err != nil {
			return nil, err
		}
	}
	w.short = ledger.WorkerName(w.name, false)
	if id := w.recall.journal.Name(); id != "" {
		w.short = ledger.WorkerName(id, true)
	}
	for _, a := range cfg.Accounts {
		if !(a.Rate > 0) {
			return nil, fmt.Errorf("rate of account %q is %v, want more than 0", a.Name, a.Rate)
		}
		w.lanes[a.Name] = &lane{Account: a, limiter: NewLimiter(cfg.Redis, a.Name, a.Rate, a.Burst)}
	}
	return w, nil
}

// Run works until ctx ends, then starts nothing new, waits for what is in flight, and returns nil.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.cfg.Ledger.Ping(ctx); err != nil {
		return err
	}
	if err := w.recall.takeOver(ctx, w.cfg.Ledger); err != nil {
		return err
	}
	crew := &crew{worker: w, keepers: make(map[string]*keeper)}
	defer crew.dismiss()
	nudges := w.cfg.Ledger.Nudges(ctx)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		crew.muster(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case id, ok := <-nudges:
			if ok {
				crew.nudge(id)
			}
		}
	}
}

// crew is the keepers of one run, one for each campaign that needs attention.
type crew struct {
	worker *Worker
	wg     sync.WaitGroup

	run string // of Redis, when last looked

	mu       sync.Mutex
	keepers  map[string]*keeper
	troubled bool // Redis did not answer: said once, not every second
}

// meet reads Redis's clock and notices a new run of it. What this worker did is then said again for all campaigns, also
// those that Redis no longer knows to be launched.
func (c *crew) meet(ctx context.Context) error {
	w := c.worker
	before := time.Now()
	now, err := w.cfg.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	w.ahead.Store(int64(now.Sub(before.Add(time.Since(before) / 2))))
	run, err := w.cfg.Ledger.RunID(ctx)
	if err != nil {
		return err
	}
	if run != c.run { // or this worker has just started, perhaps with a journal
		if c.run != "" {
			w.log.WarnContext(ctx, "redis was restarted, or another one took over")
		}
		for _, campaign := range w.recall.journal.Campaigns() {
			if _, err := w.recall.reassert(ctx, w.cfg.Ledger, campaign, w.log); err != nil {
				return err
			}
		}
	}
	c.run = run
	return nil
}

// muster gives every active campaign a keeper. A campaign through an account that this worker does not have is left
// to workers that do.
func (c *crew) muster(ctx context.Context) {
	var ids []string
	err := c.meet(ctx)
	if err == nil {
		ids, err = c.worker.cfg.Ledger.Active(ctx)
	}
	if err != nil {
		if !c.troubled && ctx.Err() == nil {
			c.worker.log.WarnContext(ctx, "campaigns not read", "err", err)
		}
		c.troubled = true
		return
	}
	if c.troubled {
		c.worker.log.InfoContext(ctx, "campaigns read again")
		c.troubled = false
	}
	for _, id := range ids {
		c.mu.Lock()
		_, kept := c.keepers[id]
		c.mu.Unlock()
		if kept {
			continue
		}
		k, err := c.worker.newKeeper(ctx, id)
		if err != nil {
			c.worker.log.WarnContext(ctx, "campaign not taken up", "campaign", id, "err", err)
		}
		if k == nil {
			continue
		}
		c.mu.Lock()
		c.keepers[id] = k
		c.mu.Unlock()
		c.wg.Go(func() {
			k.keep(ctx)
			c.mu.Lock()
			delete(c.keepers, id)
			c.mu.Unlock()
		})
	}
}

// nudge makes a campaign's keeper look at once.
func (c *crew) nudge(id string) {
	c.mu.Lock()
	k := c.keepers[id]
	c.mu.Unlock()
	if k == nil {
		return
	}
	select {
	case k.nudged <- struct{}{}:
	default:
	}
}

// dismiss waits for all keepers: their servers drain side by side.
func (c *crew) dismiss() { c.wg.Wait() }

// server runs the sends of one campaign on this worker.
type server struct {
	asynq  *asynq.Server
	stop   context.CancelFunc
	quiet  context.CancelFunc // ends the pulse
	giveUp context.CancelFunc
	wg     *sync.WaitGroup // releases and the pulse
	leave  func()
}

// Dispatch intervals: short enough that people see their campaign move, long enough that an idle one costs little.
const (
	taskCheck    = 250 * time.Millisecond
	delayedCheck = 2 * time.Second
	janitorCheck = time.Hour
)

func (w *Worker) serve(
	ctx context.Context, c *ledger.Campaign, l *lane, live *liveness, b *barrier,
) (*server, error) {
	stop, cancel := context.WithCancel(context.Background())
	patience, giveUp := context.WithCancel(context.Background())
	wg := new(sync.WaitGroup)
	s := &sender{
		ledger: w.cfg.Ledger, lane: l, campaign: c, inFlight: w.inFlight, stop: stop, live: live,
		pages: newPageCache(w.cfg.Ledger, c.ID), log: w.log, background: wg, giveUp: patience,
		recall: w.recall, barrier: b, now: w.now,
	}
	perSecond := l.Rate
	if c.Rate > 0 {
		perSecond = min(perSecond, c.Rate)
		s.own = NewLimiter(w.cfg.Redis, "campaign:"+c.ID, c.Rate, 1)
	}
	srv := asynq.NewServerFromRedisClient(w.cfg.Redis, asynq.Config{
		// Two seconds' worth of hints at work: some wait for their slot, at most cfg.Concurrency for an answer.
		Concurrency:              min(max(int(perSecond*2), 4), 2*w.cfg.Concurrency),
		Queues:                   map[string]int{c.ID: 1},
		TaskCheckInterval:        taskCheck,
		DelayedTaskCheckInterval: delayedCheck,
		JanitorInterval:          janitorCheck,
		ShutdownTimeout:          w.cfg.ShutdownTimeout,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		Logger:                   newQuietLogger(w.log),
		LogLevel:                 asynq.WarnLevel,
	})
	live.running(time.Now()) // the keeper has just seen it
	err := s.arrive(ctx)
	if err == nil {
		err = srv.Start(s)
	}
	if err != nil {
		cancel()
		giveUp()
		return nil, fmt.Errorf("start server of campaign %s: %w", c.ID, err)
	}
	pulsing, quiet := context.WithCancel(context.Background())
	wg.Go(func() { s.pulse(pulsing) })
	return &server{asynq: srv, stop: cancel, quiet: quiet, giveUp: giveUp, wg: wg, leave: b.leave}, nil
}

// releasePatience is how long a closing server waits for claims to be given back to a Redis that does not answer. A
// claim that is not given back ends in doubt.
const releasePatience = 5 * time.Second

// close lets go of the campaign: nothing new starts, what is in flight is waited for.
func (s *server) close() {
	s.stop()
	s.asynq.Shutdown()
	s.quiet()
	patience := time.AfterFunc(releasePatience, s.giveUp)
	s.wg.Wait()
	patience.Stop()
	s.giveUp()
	s.leave()
}
