// Command simulator serves the simulated providers on a port: for demonstrations, for compose files and for chaos
// runs, where its counts are the truth about what arrived. It never prints a phone, a text or a credential.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pregon/providers/simulator"
)

const (
	exitOK         = 0
	exitUnexpected = 1
	exitUsage      = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends. The first line on stdout is the address; 0 means a clean stop, 1 that the address could
// not be served, 2 a mistake in the arguments.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, getenv, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "simulator: %v\nRun simulator --help for the flags.\n", err)
		return exitUsage
	}
	if err := serve(ctx, cfg, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "simulator: %v\n", err)
		return exitUnexpected
	}
	return exitOK
}

// config is what the command line says.
type config struct {
	addr      string
	keepAlive time.Duration
	options   simulator.Options
}

// parse reads flags and environment; a flag wins over the environment. Credentials are no flag defaults, because the
// help text prints those.
func parse(args []string, getenv func(string) string, stdout io.Writer) (config, error) {
	cfg := config{}
	set := flag.NewFlagSet("simulator", flag.ContinueOnError)
	set.SetOutput(io.Discard) // run reports mistakes once; only the help goes to stdout.
	set.Usage = func() {}
	balance, cost, templates := define(set, &cfg)
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		help(set, stdout)
		return cfg, err
	}
	if err != nil {
		return cfg, err
	}
	if set.NArg() > 0 {
		return cfg, errors.New("flags only: an argument without a flag was given") // It may be a stray token.
	}
	if *balance < 0 || *cost < 0 || cfg.keepAlive <= 0 {
		return cfg, errors.New("--balance and --cost cannot be negative, and --keep-alive must be positive")
	}
	cfg.options.Balance, cfg.options.Cost = orNone(*balance), orNone(*cost)
	cfg.addr = firstOf(cfg.addr, getenv("SIMULATOR_ADDR"), "127.0.0.1:9090")
	cfg.options.Login = firstOf(cfg.options.Login, getenv("CONTACTOVIRTUAL_LOGIN"))
	cfg.options.Token = firstOf(cfg.options.Token, getenv("CONTACTOVIRTUAL_TOKEN"))
	if *templates != "" {
		if cfg.options.Templates, err = readTemplates(*templates); err != nil {
			return cfg, err
		}
	}
	return cfg, cfg.options.Validate()
}

// define declares the flags and returns those that need work before they are options.
func define(set *flag.FlagSet, cfg *config) (balance, cost *int64, templates *string) {
	o := &cfg.options
	set.StringVar(&cfg.addr, "addr", "", "`address` to listen on, port 0 chooses one "+
		"(or SIMULATOR_ADDR; default 127.0.0.1:9090)")
	set.DurationVar(&cfg.keepAlive, "keep-alive", 5*time.Second, "close connections idle for so long, as Apache does")
	set.StringVar(&o.Login, "login", "", "login that is let in (or CONTACTOVIRTUAL_LOGIN; default "+
		simulator.DefaultLogin+")")
	set.StringVar(&o.Token, "token", "", "token that is let in (or CONTACTOVIRTUAL_TOKEN; default "+
		simulator.DefaultToken+")")
	balance = set.Int64("balance", simulator.DefaultBalance, "balance at the start")
	cost = set.Int64("cost", 1, "what one message takes from the balance")
	templates = set.String("templates", "", "JSON `file` with templates: [{\"id\",\"name\",\"text\"}] "+
		"(default: 990 with 3 variables, 991 with 2, 992 with none)")
	set.BoolVar(&o.NoChatbot, "no-chatbot", false, "answer code 3 to good credentials")
	set.BoolVar(&o.BotInactive, "bot-inactive", false, "answer code 5 to every send although there is balance")
	set.DurationVar(&o.Latency, "latency", 0, "how long an answer takes")
	set.DurationVar(&o.Jitter, "jitter", 0, "random time from 0 to this, on top of --latency")
	set.IntVar(&o.Rate, "rate", 0, "sends that any one second admits, 429 above it (0: no limit)")
	set.IntVar(&o.KeepMessages, "keep-messages", 0, "about how many messages to remember (0: all, negative: none)")
	f := &o.Faults
	set.Uint64Var(&f.Seed, "seed", 0, "seed of faults and jitter")
	set.Float64Var(&f.ResetUnread, "fault-reset-unread", 0, "share of sends reset with the body unread")
	set.Float64Var(&f.ResetStored, "fault-reset-stored", 0, "share reset after they were treated")
	set.Float64Var(&f.Error500, "fault-500", 0, "share answered 500, half of them treated before")
	set.Float64Var(&f.TooMany429, "fault-429", 0, "share answered 429 with the body unread")
	set.Float64Var(&f.Hang, "fault-hang", 0, "share never answered, half of them treated before")
	set.Float64Var(&f.BrokenJSON, "fault-broken-json", 0, "share treated and answered with half the JSON")
	odd := &o.Oddities
	set.BoolVar(&odd.HTMLType, "odd-html-type", false, "label JSON as text/html")
	set.BoolVar(&odd.BOM, "odd-bom", false, "begin answers with a byte order mark")
	set.BoolVar(&odd.Notice, "odd-notice", false, "put a PHP notice before the JSON")
	set.BoolVar(&odd.StringCodes, "odd-string-codes", false, "write codes as strings")
	set.BoolVar(&odd.NumberBalance, "odd-number-balance", false, "write the balance as a bare number")
	set.BoolVar(&odd.GroupedBalance, "odd-grouped-balance", false, "write the balance as \"1,163.00\"")
	return balance, cost, templates
}

// help prints flags and scenarios.
func help(set *flag.FlagSet, stdout io.Writer) {
	fmt.Fprintf(stdout, "simulator fakes the messaging providers from their documents and counts what really arrives.\n\n"+
		"Usage: simulator [flags]\n\nFlags:\n\n")
	set.SetOutput(stdout)
	set.PrintDefaults()
	fmt.Fprintf(stdout, "\n%s", simulator.Help())
}

// readTemplates reads a JSON list; an empty one is an account without templates.
func readTemplates(path string) ([]simulator.Template, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	defer func() { _ = file.Close() }()
	templates := []simulator.Template{}
	dec := json.NewDecoder(file)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&templates); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	return templates, nil
}

// serve listens, says where, and stops cleanly when ctx ends: requests under way are answered, hung ones dropped.
func serve(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	sim := simulator.New(cfg.options)
	server := &http.Server{
		Handler:           sim,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       cfg.keepAlive,
		ErrorLog:          log.New(stderr, "simulator: ", 0),
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", dialable(listener.Addr()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		sim.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	sim.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // A client that keeps a request half sent must not keep the process.
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	arrived, duplicates := sim.Total()
	fmt.Fprintf(stderr, "simulator: stopped; %d sends, %d messages arrived, %d of them duplicates\n",
		sim.Rate().Total, arrived, duplicates)
	return nil
}

// dialable is the address a client on this machine can use: nobody can connect to 0.0.0.0 everywhere.
func dialable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
}

// orNone turns the number 0 into what Options take for none, since their own zero value means the default.
func orNone(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
