package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// options are what the command line says.
type options struct {
	only        []string // names of benchmarks; all when empty
	rows        int      // of the file that is launched
	messages    int      // sent in one round
	memoryRows  int      // of the campaign whose memory is measured
	checkRows   int      // of the file whose check is watched
	rounds      int
	concurrency int
	fsync       string
	stockRedis  bool
	root        string
	json        bool
}

func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run reports mistakes once
	f.Usage = func() {}
	f.StringVar(&only, "only", "", "comma-separated `names` of what to measure (default: everything)")
	f.IntVar(&o.rows, "rows", 100_000, "rows of the file that is launched")
	f.IntVar(&o.messages, "messages", 20_000, "messages sent in one round")
	f.IntVar(&o.memoryRows, "memory-rows", 100_000, "rows of the campaign whose Redis memory is measured")
	f.IntVar(&o.checkRows, "check-rows", 1_000_000, "rows of the file whose check is watched")
	f.IntVar(&o.rounds, "rounds", 5, "rounds: in each, every contender has one turn")
	f.IntVar(&o.concurrency, "concurrency", 256, "sends in flight, the same for all (256 is the worker's default)")
	f.StringVar(&o.fsync, "appendfsync", "everysec", "when Redis writes its append-only file to disk: everysec or always")
	f.BoolVar(&o.stockRedis, "stock-redis", false, "leave Redis's hash-max-listpack settings as Redis ships them, "+
		"instead of as docker-compose.yml sets them")
	f.StringVar(&o.root, "root", "..", "`directory` of the pregon module, from which enqueue and simulator are built")
	f.BoolVar(&o.json, "json", false, "print JSON instead of Markdown")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(f, help)
		return o, err
	}
	if err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return o, o.validate()
}

func (o options) validate() error {
	var errs []error
	for _, name := range o.only {
		if !slices.Contains(benchmarkNames(), name) {
			errs = append(errs, fmt.Errorf("--only %q: there are %s", name, strings.Join(benchmarkNames(), ", ")))
		}
	}
	for _, n := range []struct {
		flag  string
		value int
		most  int
	}{
		{"rows", o.rows, maxContacts}, {"messages", o.messages, maxContacts}, {"memory-rows", o.memoryRows, maxContacts},
		{"check-rows", o.checkRows, maxContacts}, {"rounds", o.rounds, 1000}, {"concurrency", o.concurrency, 10_000},
	} {
		if n.value < 1 || n.value > n.most {
			errs = append(errs, fmt.Errorf("--%s %d: from 1 to %d", n.flag, n.value, n.most))
		}
	}
	if o.fsync != "everysec" && o.fsync != "always" {
		errs = append(errs, fmt.Errorf("--appendfsync %q: everysec or always", o.fsync))
	}
	return errors.Join(errs...)
}

func (o options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

func benchmarkNames() []string {
	var names []string
	for _, b := range benchmarks {
		names = append(names, b.name)
	}
	return names
}

func printHelp(f *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, "bench measures Pregón beside a plain asynq program that does the same work, in turns, against a\n"+
		"redis-server of its own and the simulator as a separate process. Results on stdout, progress on stderr.\n\n"+
		"Usage: bench [flags]\n\nIt measures:\n")
	for _, b := range benchmarks {
		fmt.Fprintf(w, "  %-7s %s\n", b.name, b.what)
	}
	fmt.Fprint(w, "\nFlags:\n")
	f.SetOutput(w)
	f.PrintDefaults()
}
