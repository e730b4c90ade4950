// Command bench measures Pregón beside a plain asynq program that does the same work, on one machine, in one run and in
// turns: bench --help lists what it measures, docs/benchmarks.md says how and what came of it.
//
// It is a module of its own, so that the programs people run never carry what they are compared with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	exitOK         = 0
	exitUnexpected = 1
	exitUsage      = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr) //nolint:forbidigo // main is where the program meets its process
	stop()
	os.Exit(code) //nolint:forbidigo // as above
}

// run is the whole program: results go to stdout, what is being done to stderr. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\nRun bench --help for the flags.\n", err)
		return exitUsage
	}
	r, err := measure(ctx, o, stderr)
	if err == nil {
		err = r.write(stdout, o.json)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitUnexpected
	}
	return exitOK
}

// benchmarks are what can be measured, in the order in which it is.
var benchmarks = []struct {
	name, what string
	run        func(context.Context, *stand, *report) error
}{
	{"launch", "rows per second from a CSV to a launched campaign, beside a client.Enqueue loop", measureLaunch},
	{"send", "messages per second through one worker, beside an asynq handler that POSTs", measureSend},
	{"memory", "bytes of Redis per row, beside asynq tasks", measureMemory},
	{"check", "peak memory of enqueue check", measureCheck},
}

// measure sets the stand up, runs what was asked for and takes everything down again.
func measure(ctx context.Context, o options, log io.Writer) (r *report, err error) {
	s, err := newStand(ctx, o, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r = newReport(o, s.redisVersion)
	for _, b := range benchmarks {
		if !o.wants(b.name) {
			continue
		}
		if err := b.run(ctx, s, r); err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return r, nil
}
