// Command worker sends the campaigns of one Redis. Any number of workers may run; none is special.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "time/tzdata" // contact hours need time zones, and containers have none

	"pregon/internal/config"
	"pregon/internal/setup"
	"pregon/jobs"
)

// The exit statuses, the same as the command line's.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2
	exitUnavailable = 6
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := &program{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, lookEvery: time.Minute}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

const help = `worker sends the campaigns of one Redis until SIGTERM or Ctrl-C; then it starts nothing new, waits for the
messages in flight to be answered and recorded, and ends. Stopping it earlier leaves those messages in doubt, so give it
more time than SHUTDOWN_TIMEOUT (a container's stop grace period).

A Redis that may forget what it confirmed would let messages be sent twice: a worker neither starts on one nor stays. It
must have appendonly yes, appendfsync always (or everysec), maxmemory-policy noeviction, and let INFO be asked. Its
settings are looked at once a minute; a worker ends when two looks in a row find them wrong.

Flags:
  --insecure-redis     send all the same, and never look again

Environment:
  REDIS_URL            where the campaigns are (default redis://localhost:6379/0)
  MASTER_KEY           32 bytes as hex or base64, the same for every program; needed unless Redis is on this machine
  CONTACTOVIRTUAL_LOGIN, CONTACTOVIRTUAL_TOKEN (each also as …_FILE), _URL, _RATE, _BURST, _COST, _ENCODING
  ACCOUNTS_FILE        several accounts (YAML)
  WORKER_CONCURRENCY   messages in flight in this process, all campaigns together (default 256)
  SHUTDOWN_TIMEOUT     how long to wait for messages in flight (default 75s)
  JOURNAL_DIR          where to keep what this worker did lately, so that it can tell a Redis that has forgotten it even
                       after it died; several workers may share it (default: in memory only)
  ADMIN_ADDR           host:port of /healthz and /readyz; without it they are not served
  LOG_FORMAT           json, text or auto

Exit statuses: 0 stopped as asked · 1 unexpected · 2 configuration, also Redis's · 6 Redis unavailable at the start
`

// program is one run of it.
type program struct {
	environ        []string
	stdout, stderr io.Writer
	lookEvery      time.Duration // between two looks at Redis's settings, which may change under a worker

	insecure bool
	// wrong is what the last look found wrong, if anything.
	wrong atomic.Pointer[setup.NotDurable]
}

// run is the whole program: it returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	flags.Usage = func() {} // the package would print it after each mistake too
	flags.BoolVar(&p.insecure, "insecure-redis", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(p.stdout, help)
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(p.stderr, "worker: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	if err := p.work(ctx); err != nil {
		_, _ = fmt.Fprintf(p.stderr, "worker: %v\n", err)
		return statusOf(err)
	}
	return exitOK
}

// errSetup marks what a person must mend before a worker can start.
var errSetup = errors.New("configuration")

func statusOf(err error) int {
	switch {
	case errors.Is(err, setup.ErrUnavailable):
		return exitUnavailable
	case errors.Is(err, errSetup):
		return exitUsage
	}
	return exitUnexpected
}

func (p *program) work(ctx context.Context) error {
	cfg, err := config.Load(p.environ)
	if err != nil {
		return errors.Join(errSetup, err)
	}
	if cfg.RedisURL.Reveal() == config.Embedded {
		return fmt.Errorf("%w: a worker alone has nothing to do on an embedded Redis: set REDIS_URL", errSetup)
	}
	if len(cfg.Accounts) == 0 {
		return fmt.Errorf("%w: no account: set CONTACTOVIRTUAL_LOGIN and CONTACTOVIRTUAL_TOKEN, or ACCOUNTS_FILE", errSetup)
	}
	log := setup.Logger(p.stderr, cfg.LogFormat, slog.LevelInfo)
	system, err := setup.Open(ctx, cfg, setup.Options{Log: log, UserConfigDir: setup.UserConfigDir(p.environ)})
	switch {
	case ctx.Err() != nil: // told to stop before it began
		if err == nil {
			system.Close()
		}
		return nil
	case errors.Is(err, setup.ErrUnavailable):
		return err
	case err != nil:
		return errors.Join(errSetup, err)
	}
	defer system.Close()
	worker, err := system.Worker()
	if err != nil {
		return errors.Join(errSetup, err)
	}
	if err := p.trust(ctx, system); err != nil || ctx.Err() != nil {
		return err
	}
	if cfg.AdminAddr != "" {
		ready := func(ctx context.Context) error { return p.ready(ctx, system) }
		addr, err := setup.ServeHealth(ctx, cfg.AdminAddr, ready, log)
		if err != nil {
			return errors.Join(errSetup, err)
		}
		log.InfoContext(ctx, "health is served", "addr", addr.String())
	}
	log.InfoContext(ctx, "worker started", "accounts", len(system.Accounts), "concurrency", cfg.WorkerConcurrency)
	err = p.send(ctx, system, worker)
	log.InfoContext(context.WithoutCancel(ctx), "worker stopped")
	return err
}

// trust refuses a Redis that may forget what it confirmed, unless --insecure-redis accepts it.
func (p *program) trust(ctx context.Context, system *setup.System) error {
	advice, err := setup.Durability(ctx, system.Redis)
	wrong, refused := errors.AsType[*setup.NotDurable](err)
	switch {
	case ctx.Err() != nil: // told to stop before it began
		return nil
	case refused && p.insecure:
		system.Log.WarnContext(ctx, "redis may forget what it confirmed, and --insecure-redis accepts it", "wrong",
			strings.Join(wrong.Wrong, "; "))
	case refused:
		return forgetful(wrong)
	case err != nil:
		return fmt.Errorf("%w: %w", setup.ErrUnavailable, err)
	}
	for _, a := range advice {
		system.Log.WarnContext(ctx, "redis could be safer", "advice", a)
	}
	return nil
}

func forgetful(wrong *setup.NotDurable) error {
	return fmt.Errorf("%w: %w\nor send all the same with --insecure-redis", errSetup, wrong)
}

// ready says why the worker cannot do its work, if it cannot.
func (p *program) ready(ctx context.Context, system *setup.System) error {
	if wrong := p.wrong.Load(); wrong != nil {
		return wrong
	}
	return system.Ledger.Ping(ctx)
}

// send runs the worker until ctx ends, or until Redis is no longer trusted: what is in flight ends as at any stop.
func (p *program) send(ctx context.Context, system *setup.System, worker *jobs.Worker) error {
	if p.insecure {
		return worker.Run(ctx)
	}
	ctx, stop := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { stop(p.watch(ctx, system.Durable, system.Log)) })
	err := worker.Run(ctx)
	stop(nil) // too late to be the cause of anything, if there is one
	watching.Wait()
	if wrong, lost := errors.AsType[*setup.NotDurable](context.Cause(ctx)); lost {
		return errors.Join(forgetful(wrong), err)
	}
	return err
}

// watch looks at Redis's settings until ctx ends, or until two looks in a row found them wrong, and then returns that:
// after one, somebody may be mending them. A Redis that cannot be asked says nothing about its settings.
func (p *program) watch(ctx context.Context, look func(context.Context) error, log *slog.Logger) error {
	tick := time.NewTicker(p.lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := look(ctx)
		wrong, refused := errors.AsType[*setup.NotDurable](err)
		switch {
		case refused && p.wrong.Load() != nil:
			return wrong
		case refused:
			p.wrong.Store(wrong)
			log.WarnContext(ctx, "redis may forget what it confirms: the worker ends if the next look finds the same",
				"wrong", strings.Join(wrong.Wrong, "; "))
		case err == nil:
			p.wrong.Store(nil)
		}
	}
}
