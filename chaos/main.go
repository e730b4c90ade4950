// Command chaos proves from outside what Pregón promises: real programs, a real Redis and a provider that misbehaves
// are broken in every way that is known to break such systems, and what arrived per phone is held against what the
// programs say.
//
//	go run ./chaos -short                            a useful part of everything, in two minutes
//	go run ./chaos -scenario storm,plain -seeds 20   the storm twenty times, and a plain queue in the same storms
//	go run ./chaos -scenario rollback -seed 7        that run again
//
// A run that finds a violation keeps its evidence and prints where. The exit status is 0 when there was none.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"pregon/chaos/plain"
)

// The exit statuses.
const (
	exitViolated = 1
	exitUsage    = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	environ := os.Environ() //nolint:forbidigo // main is where a program meets its process
	var code int
	if role := plain.Role(os.Args); role != "" { // this program once more, as the plain queue's worker or its launcher
		code = plain.Run(ctx, role, environ, os.Stderr)
	} else {
		code = run(ctx, os.Args[1:], environ, os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code) //nolint:forbidigo // as above
}

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var o options
	err := o.parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	chosen, unknown := choose(o)
	if err = errors.Join(err, unknown); err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
		return exitUsage
	}
	var saying sync.Mutex
	o.say = func(format string, args ...any) {
		saying.Lock()
		defer saying.Unlock()
		_, _ = fmt.Fprintf(stdout, format+"\n", args...)
	}
	all, err := perform(ctx, o, chosen, environ)
	if len(all) > 0 {
		o.say("\n%s", table(all))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
		return exitUsage
	}
	if slices.ContainsFunc(all, func(f figures) bool { return len(f.violations) > 0 }) {
		return exitViolated
	}
	return exitOK
}

// parse reads the command line.
func (o *options) parse(args []string, stderr io.Writer) error {
	var wanted string
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&wanted, "scenario", "all", "what to run, separated by commas: all, or of "+
		strings.Join(names(), ", "))
	flags.Uint64Var(&o.seed, "seed", 1, "decides every fault")
	flags.IntVar(&o.seeds, "seeds", 1, "how many runs, each with the next seed")
	flags.IntVar(&o.rows, "rows", 0, "rows per campaign (0: as the scenario is made)")
	flags.BoolVar(&o.short, "short", false, "small sizes, and of all only what fits into two minutes")
	flags.IntVar(&o.parallel, "parallel", 0, "how many runs at a time (0: one, or four short ones)")
	flags.DurationVar(&o.outage, "outage", 0, "how long outages last (0: as the scenario is made)")
	flags.StringVar(&o.out, "out", "", "directory for figures.md and evidence (default: evidence in the temporary one)")
	flags.StringVar(&o.source, "source", "", "source tree whose programs are tested (default: this module)")
	flags.BoolVar(&o.keepAll, "keep", false, "keep the evidence of every run")
	flags.BoolVar(&o.verbose, "v", false, "print every event")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.scenarios = strings.Split(wanted, ",")
	if o.parallel == 0 {
		o.parallel = scale(*o, 1, 4)
	}
	if flags.NArg() > 0 || o.seeds < 1 || o.rows < 0 || o.outage < 0 || o.parallel < 1 {
		return fmt.Errorf("unexpected arguments: %v", args)
	}
	return nil
}

// perform builds the programs and runs every chosen scenario with every seed.
func perform(ctx context.Context, o options, chosen []scenario, environ []string) ([]figures, error) {
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o750); err != nil {
			return nil, err
		}
	}
	bin, err := os.MkdirTemp("", "pregon-chaos-bin-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	tools, err := prepare(ctx, o, chosen, bin, environ)
	if err != nil {
		return nil, err
	}
	all, err := everyRun(ctx, o, chosen, tools)
	if err != nil {
		return all, err
	}
	if o.out == "" {
		return all, nil
	}
	return all, os.WriteFile(filepath.Join(o.out, "figures.md"), []byte(table(all)), 0o600)
}

// everyRun runs each chosen scenario with each seed, o.parallel of them at a time, and returns the figures of those
// that came to an end, in the order in which they were asked for.
func everyRun(ctx context.Context, o options, chosen []scenario, tools programs) ([]figures, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	runs := make([]*figures, len(chosen)*o.seeds)
	room := make(chan struct{}, o.parallel)
	var wg sync.WaitGroup
	for i := range runs {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if ctx.Err() != nil {
				return
			}
			f, err := once(ctx, o, chosen[i/o.seeds], o.seed+uint64(i%o.seeds), tools)
			if err != nil {
				stop(err)
			}
			if ctx.Err() == nil {
				o.say("%s", f.line())
				runs[i] = &f
			}
		})
	}
	wg.Wait()
	var all []figures
	for _, f := range runs {
		if f != nil {
			all = append(all, *f)
		}
	}
	return all, context.Cause(ctx)
}

// prepare builds what the chosen scenarios need.
func prepare(ctx context.Context, o options, chosen []scenario, bin string, environ []string) (programs, error) {
	source := o.source
	if source == "" {
		out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return programs{}, fmt.Errorf("find the module (or give -source): %w", err)
		}
		source = strings.TrimSpace(string(out))
	}
	tools, err := build(ctx, source, bin, slices.ContainsFunc(chosen, func(s scenario) bool { return s.skewed }))
	if err != nil {
		return tools, err
	}
	for _, entry := range environ {
		if path, ok := strings.CutPrefix(entry, "PATH="); ok {
			tools.path = path
		}
	}
	tools.self, err = os.Executable()
	return tools, err
}

// once is one run of one scenario.
func once(ctx context.Context, o options, s scenario, seed uint64, tools programs) (figures, error) {
	t, err := newTown(o, s, seed, tools)
	if err != nil {
		return figures{}, err
	}
	return t.finish(ctx, s.run(ctx, t)), nil
}
