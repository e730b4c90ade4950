// Package setup builds from configuration what every program shares: the Redis client (or the one in the process),
// the ledger with its master key, the accounts with their providers, and the logger. Programs themselves decide
// nothing.
package setup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/jobs"
	"pregon/jobs/journal"
	"pregon/providers"
	"pregon/providers/contactovirtual"
)

// ErrUnavailable means that Redis cannot be reached.
var ErrUnavailable = errors.New("redis is not available")

// System is the shared part of a program.
type System struct {
	Config   *config.Config
	Redis    redis.UniversalClient
	Ledger   *ledger.Ledger
	Accounts []jobs.Account
	Log      *slog.Logger
	Embedded bool // Redis lives in this process and dies with it

	closers []func()
}

// Options changes what Open does.
type Options struct {
	Embedded bool // whatever REDIS_URL says
	Log      *slog.Logger
	// UserConfigDir is where a loopback Redis's master key is kept; "" asks the operating system.
	UserConfigDir string
}

// Open connects to Redis and builds the rest. It returns ErrUnavailable when Redis does not answer.
func Open(ctx context.Context, cfg *config.Config, o Options) (*System, error) {
	s := &System{Config: cfg, Log: o.Log, Embedded: o.Embedded || cfg.RedisURL.Reveal() == config.Embedded}
	accounts, err := Accounts(cfg)
	if err != nil {
		return nil, err
	}
	s.Accounts = accounts
	// What a person must mend is said before anything is waited for.
	key, err := masterKey(cfg, s.Embedded, o.UserConfigDir)
	if err != nil {
		return nil, err
	}
	quiet()
	if s.Embedded {
		err = s.embed()
	} else {
		err = s.connect()
	}
	if err != nil {
		return nil, err
	}
	if err := s.Redis.Ping(ctx).Err(); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if s.Ledger, err = ledger.New(s.Redis, key); err == nil {
		err = s.Ledger.Verify(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives back what Open took.
func (s *System) Close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// Operator is what a person uses.
func (s *System) Operator() *jobs.Operator { return jobs.NewOperator(s.Redis, s.Ledger, s.Accounts) }

// Worker is what sends. Its journal is open until Close.
func (s *System) Worker() (*jobs.Worker, error) {
	j, err := journal.Open(s.Config.JournalDir, s.Log)
	if err != nil {
		return nil, fmt.Errorf("JOURNAL_DIR: %w", err)
	}
	s.closers = append(s.closers, func() { _ = j.Close() }) // what could not be written was said when it was written
	return jobs.NewWorker(jobs.WorkerConfig{
		Redis: s.Redis, Ledger: s.Ledger, Accounts: s.Accounts, Concurrency: s.Config.WorkerConcurrency,
		ShutdownTimeout: s.Config.ShutdownTimeout, Journal: j, Log: s.Log,
	})
}

// Accounts builds the provider of each configured account.
func Accounts(cfg *config.Config) ([]jobs.Account, error) {
	client := providers.NewHTTPClient(providers.MaxConns(cfg.WorkerConcurrency))
	accounts := make([]jobs.Account, 0, len(cfg.Accounts))
	for _, a := range cfg.Accounts {
		p, err := provider(a, client)
		if err != nil {
			return nil, fmt.Errorf("account %q: %w", a.Name, err)
		}
		templates := make(map[string]campaign.Template, len(a.Templates))
		for id, t := range a.Templates {
			templates[id] = campaign.Template{ID: id, Name: t.Name, Text: t.Text}
		}
		accounts = append(accounts, jobs.Account{
			Name: a.Name, Provider: p, Rate: a.Rate, Burst: a.Burst, Cost: a.Cost, Templates: templates,
		})
	}
	return accounts, nil
}

func provider(a config.Account, client *http.Client) (providers.Provider, error) {
	switch a.Provider {
	case "contactovirtual":
		return contactovirtual.New(contactovirtual.Config{
			URL: a.URL, Login: a.Login, Token: a.Token, Encoding: a.Encoding, HTTPClient: client,
			Timeout: jobs.SendBudget,
		})
	default:
		return nil, fmt.Errorf("provider %q is not one of: contactovirtual", a.Provider)
	}
}
