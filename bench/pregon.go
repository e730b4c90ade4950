package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/jobs"
	"pregon/providers"
	"pregon/providers/contactovirtual"
	"pregon/providers/simulator"
)

// accountRate is far above what any machine sends, so that the account's rate decides nothing.
const accountRate = 100_000

// pregon is Pregón as its programs put it together (internal/setup), with a client of its own and nothing cached.
type pregon struct {
	rdb      redis.UniversalClient
	ledger   *ledger.Ledger
	account  jobs.Account
	operator *jobs.Operator
}

// newPregon sets Pregón up with a provider.
func (s *stand) newPregon(p providers.Provider) (*pregon, error) {
	rdb := s.connect()
	key := make([]byte, ledger.KeySize)
	_, _ = rand.Read(key) // never fails
	l, err := ledger.New(rdb, key)
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	templates := make(map[string]campaign.Template)
	for _, t := range simulator.DefaultTemplates() {
		templates[t.ID] = campaign.Template{ID: t.ID, Name: t.Name, Text: t.Text}
	}
	a := jobs.Account{Name: "bench", Provider: p, Rate: accountRate, Burst: 1, Templates: templates}
	return &pregon{rdb: rdb, ledger: l, account: a, operator: jobs.NewOperator(rdb, l, []jobs.Account{a})}, nil
}

func (p *pregon) close() error { return p.rdb.Close() }

// client is contacto-virtual's client, towards an address.
func client(url string, connections *http.Client) (*contactovirtual.Client, error) {
	return contactovirtual.New(contactovirtual.Config{
		URL: url, HTTPClient: connections,
		Login: providers.NewSecret(simulator.DefaultLogin), Token: providers.NewSecret(simulator.DefaultToken),
	})
}

// launch does what `enqueue run` does with a file: hash it, check every row, write the campaign, start it. It returns
// the campaign's id and how many rows will be sent.
func (p *pregon) launch(ctx context.Context, path string) (id string, valid int, err error) {
	f, err := os.Open(path) //nolint:gosec // a file of our own
	if err != nil {
		return "", 0, fmt.Errorf("open campaign file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("open campaign file: %w", err)
	}
	launch := jobs.Launch{
		Name: "Bench", File: filepath.Base(path), Account: p.account.Name, Purpose: campaign.Marketing, AnyHour: true,
		Template: p.account.Templates[template], By: "bench",
	}
	if launch.FileHash, err = jobs.HashFile(f); err != nil {
		return "", 0, err
	}
	spec := campaign.Spec{Country: "CO", Template: launch.Template}
	spec.Rules, spec.NoVars = p.account.Rules()
	file, err := campaign.Open(campaign.Input{Name: path, R: f, Size: info.Size()}, spec)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = file.Close() }()
	report, err := campaign.Check(file, func(*campaign.Recipient) error { return ctx.Err() })
	if err != nil {
		return "", 0, err
	}
	launched, err := p.operator.Launch(ctx, launch, file, report)
	return launched.Campaign, report.Valid, err
}

// work runs one worker until all n rows of a campaign are accepted, and then until it has finished the campaign and
// cleared up after it. accepted is called at the moment in between.
func (s *stand) work(ctx context.Context, p *pregon, id string, n int, accepted func() error) error {
	worker, err := jobs.NewWorker(jobs.WorkerConfig{
		Redis: p.rdb, Ledger: p.ledger, Accounts: []jobs.Account{p.account}, Concurrency: s.concurrency,
		ShutdownTimeout: time.Minute, Log: s.warnings,
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(running) }()
	err = until(ctx, pollEvery, func() (bool, error) {
		st, err := p.ledger.Status(ctx, id)
		return err == nil && st.Counts[ledger.Accepted] == n, errors.Join(err, astray(st))
	})
	if err == nil {
		err = accepted()
	}
	if err == nil {
		err = until(ctx, pollEvery, func() (bool, error) {
			active, err := p.ledger.Active(ctx)
			return len(active) == 0, err
		})
	}
	stop()
	return errors.Join(err, <-ended)
}

// pollEvery is how often progress is looked at: two commands of some thousands.
const pollEvery = 20 * time.Millisecond

// astray is an error when a row is where no row of an undisturbed campaign should be.
func astray(s ledger.Status) error {
	for _, state := range []ledger.RowState{ledger.Failed, ledger.InDoubt, ledger.InvalidRow, ledger.SkippedRow} {
		if n := s.Counts[state]; n > 0 {
			return fmt.Errorf("%d rows are %s (codes %v), want none", n, state, s.Codes)
		}
	}
	return nil
}
