package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"pregon/internal/ledger"
	"pregon/jobs"
)

// How often a campaign is looked at while it is followed, and how often that is said off a terminal.
const (
	followEvery = 250 * time.Millisecond
	sayEvery    = 5 * time.Second
	// flightTime bounds the wait for answers that are still to come when a campaign has stopped. It is more than a claim's
	// life: what is then still being sent was left behind by a worker that died, and the next worker sees to it.
	flightTime = 90 * time.Second
)

// accompany follows a campaign that goes on without this program.
func (a *app) accompany(ctx context.Context, operator *jobs.Operator, id string) (jobs.Status, error) {
	s, err := a.follow(ctx, operator, id)
	if ctx.Err() != nil {
		a.complain("%s", a.t("La campaña sigue. Véala con: enqueue status %s --follow", "The campaign goes on. See it "+
			"with: enqueue status %s --follow", id))
	}
	return s, err
}

// follow shows progress on stderr until the campaign is over or stands still until a person acts. Beside an error it
// returns the last that was seen.
func (a *app) follow(ctx context.Context, operator *jobs.Operator, id string) (jobs.Status, error) {
	show := a.progress()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var seen jobs.Status
	var still time.Time // since when nothing new is sent
	for {
		s, err := operator.Status(ctx, id)
		if err != nil {
			return seen, err
		}
		seen = s
		show(s)
		if s.Over() || needsPerson(s) {
			if still.IsZero() {
				still = time.Now()
			}
			if s.Counts[ledger.Sending] == 0 || time.Since(still) > flightTime {
				return s, nil
			}
		} else {
			still = time.Time{}
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-tick.C:
		}
	}
}

// needsPerson reports a pause that nothing but a person ends: waiting for it would be waiting for ever.
func needsPerson(s jobs.Status) bool {
	if s.State != ledger.Paused {
		return false
	}
	switch s.Reason {
	case "account", "balance", "template", "list", "epoch", "forgotten":
		return true
	}
	return false
}

// progress is a bar on a terminal and plain lines elsewhere.
func (a *app) progress() func(jobs.Status) {
	if terminal(a.err) && a.env("TERM") != "dumb" {
		var bar *progressbar.ProgressBar
		return func(s jobs.Status) {
			if bar == nil {
				bar = progressbar.NewOptions(s.Total, progressbar.OptionSetWriter(a.err),
					progressbar.OptionSetDescription(s.Name), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
					progressbar.OptionClearOnFinish())
			}
			bar.Describe(s.Name + " · " + a.stateName(s))
			_ = bar.Set(s.Total - s.Counts.Open()) // a bar that cannot be drawn does no harm
			if s.Over() || needsPerson(s) {
				_ = bar.Finish()
			}
		}
	}
	var last time.Time
	said := ""
	return func(s jobs.Status) {
		line := a.t("%s: %s de %s, %s", "%s: %s of %s, %s", s.Name, a.count(s.Total-s.Counts.Open()), a.rows(s.Total),
			a.stateName(s))
		if line == said || (time.Since(last) < sayEvery && !s.Over()) {
			return
		}
		last, said = time.Now(), line
		_, _ = fmt.Fprintln(a.err, line)
	}
}

// exitOf is what a campaign's state says to a script.
func exitOf(s jobs.Status) int {
	switch {
	case s.State == ledger.Paused && s.Reason == "account":
		return exitAuth
	case s.State == ledger.Paused && s.Reason == "balance":
		return exitBalance
	case s.State == ledger.Paused && (s.Reason == "epoch" || s.Reason == "forgotten"):
		return exitUnavailable
	case s.Counts[ledger.Failed]+s.Counts[ledger.InDoubt] > 0:
		return exitUnfinished
	case s.State == ledger.Paused && (s.Reason == "template" || s.Reason == "list"):
		return exitUnfinished
	case s.Counts[ledger.InvalidRow] > 0:
		return exitRejected
	}
	return exitOK
}

// table shows a campaign: every row in one state, and the states adding up.
func (a *app) table(w io.Writer, s jobs.Status) {
	_, _ = fmt.Fprintf(w, "\n%s · %s · %s\n", s.Name, s.Campaign, a.stateName(s))
	if s.State == ledger.Paused && s.Detail != "" {
		_, _ = fmt.Fprintf(w, "  %s\n", a.detail(s))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, state := range ledger.RowStates {
		if n := s.Counts[state]; n > 0 {
			_, _ = fmt.Fprintf(t, "  %s\t%s\t\n", jobs.StateText(state, a.lang), a.count(n))
		}
	}
	_, _ = fmt.Fprintf(t, "  %s\t%s\t\n", a.t("Total de filas", "Rows in all"), a.count(s.Total))
	_ = t.Flush()
	a.codes(w, s)
	if s.ETA != nil {
		_, _ = fmt.Fprintln(w, a.t("  Termina hacia %s", "  Ends about %s", a.clock(*s.ETA)))
	}
}

// codes explains the codes that rows now bear.
func (a *app) codes(w io.Writer, s jobs.Status) {
	if len(s.Codes) == 0 {
		return
	}
	acc := a.accountHere(s.Account)
	width := 10
	for code := range s.Codes {
		width = max(width, len(code))
	}
	_, _ = fmt.Fprintln(w, a.t("  Códigos:", "  Codes:"))
	for _, code := range byCount(s.Codes) {
		_, _ = fmt.Fprintf(w, "  %6s × %-*s %s\n", a.count(s.Codes[code]), width, code,
			strings.TrimSpace(jobs.CodeText(acc, code, a.lang)))
	}
}
