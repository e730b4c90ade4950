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
	"syscall"

	_ "time/tzdata" // contact hours need time zones, and containers have none

	"pregon/internal/config"
	"pregon/internal/setup"
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
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const help = `worker sends the campaigns of one Redis until SIGTERM or Ctrl-C; then it starts nothing new, waits for the
messages in flight to be answered and recorded, and ends. Stopping it earlier leaves those messages in doubt, so give it
more time than SHUTDOWN_TIMEOUT (a container's stop grace period).

Environment:
  REDIS_URL            where the campaigns are (default redis://localhost:6379/0)
  MASTER_KEY           32 bytes as hex or base64, the same for every program; needed unless Redis is on this machine
  CONTACTOVIRTUAL_LOGIN, CONTACTOVIRTUAL_TOKEN (each also as …_FILE), _URL, _RATE, _BURST, _COST, _ENCODING
  ACCOUNTS_FILE        several accounts (YAML)
  WORKER_CONCURRENCY   messages in flight in this process, all campaigns together (default 256)
  SHUTDOWN_TIMEOUT     how long to wait for messages in flight (default 75s)
  ADMIN_ADDR           host:port of /healthz and /readyz; without it they are not served
  LOG_FORMAT           json, text or auto

Exit statuses: 0 stopped as asked · 1 unexpected · 2 configuration · 6 Redis unavailable at the start
`

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {} // the package would print it after each mistake too
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, help)
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "worker: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}
	if err := work(ctx, environ, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "worker: %v\n", err)
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

func work(ctx context.Context, environ []string, stderr io.Writer) error {
	cfg, err := config.Load(environ)
	if err != nil {
		return errors.Join(errSetup, err)
	}
	if cfg.RedisURL.Reveal() == config.Embedded {
		return fmt.Errorf("%w: a worker alone has nothing to do on an embedded Redis: set REDIS_URL", errSetup)
	}
	if len(cfg.Accounts) == 0 {
		return fmt.Errorf("%w: no account: set CONTACTOVIRTUAL_LOGIN and CONTACTOVIRTUAL_TOKEN, or ACCOUNTS_FILE", errSetup)
	}
	log := setup.Logger(stderr, cfg.LogFormat, slog.LevelInfo)
	system, err := setup.Open(ctx, cfg, setup.Options{Log: log, UserConfigDir: setup.UserConfigDir(environ)})
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
	if cfg.AdminAddr != "" {
		addr, err := setup.ServeHealth(ctx, cfg.AdminAddr, system.Ledger.Ping, log)
		if err != nil {
			return errors.Join(errSetup, err)
		}
		log.InfoContext(ctx, "health is served", "addr", addr.String())
	}
	log.InfoContext(ctx, "worker started", "accounts", len(system.Accounts), "concurrency", cfg.WorkerConcurrency)
	err = worker.Run(ctx)
	log.InfoContext(context.WithoutCancel(ctx), "worker stopped")
	return err
}
