package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
	"pregon/providers"
)

// The exit statuses. Where several hold, the first of auth, balance, unavailable, unfinished and rejected wins.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2 // usage, configuration or unreadable file
	exitRejected    = 3 // some rows were rejected
	exitAuth        = 4
	exitBalance     = 5
	exitUnavailable = 6 // Redis or the provider
	exitUnfinished  = 7 // finished with failed or in-doubt rows
	exitInterrupted = 130
)

// exitError ends the program with a status. Without text everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// status ends with a status after the command has said what there is to say.
func status(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// exit says what went wrong, once, and gives the exit status.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	code, text := a.explain(ctx, err)
	if text != "" {
		a.complain("%s", text)
	}
	return code
}

// explain turns an error into a status and words.
func (a *app) explain(ctx context.Context, err error) (int, string) {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code, e.Error()
	}
	if e, ok := errors.AsType[*campaign.FileError](err); ok {
		return exitUsage, e.Text(a.lang)
	}
	if e, ok := errors.AsType[*providers.Error](err); ok {
		return a.explainProvider(e)
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted, a.t("Interrumpido.", "Interrupted.")
	case errors.Is(err, setup.ErrUnavailable):
		return exitUnavailable, a.t("No hay conexión con Redis (%s). Arranque Redis o revise REDIS_URL; para probar sin "+
			"Redis use: enqueue demo", "Redis cannot be reached (%s). Start Redis or check REDIS_URL; to try without "+
			"Redis: enqueue demo", a.redisName())
	case errors.Is(err, ledger.ErrNoCampaign):
		return exitUsage, a.t("No existe esa campaña. Véalas con: enqueue list", "There is no such campaign. See them with: "+
			"enqueue list")
	case errors.Is(err, setup.ErrNoMasterKey), errors.Is(err, jobs.ErrNoCapability), errors.Is(err, jobs.ErrNotNow):
		return exitUsage, err.Error()
	case isUsage(err):
		return exitUsage, err.Error()
	case connectionLost(err):
		return exitUnavailable, a.t("Se perdió la conexión con Redis: %v", "The connection to Redis was lost: %v", err)
	}
	return exitUnexpected, err.Error()
}

func (a *app) explainProvider(e *providers.Error) (int, string) {
	code := exitUnavailable
	switch e.Class {
	case providers.Blocked:
		code = exitAuth
	case providers.Broke:
		code = exitBalance
	}
	account := jobs.Account{}
	if acc, err := a.account(a.accountName); err == nil {
		account = acc
	}
	return code, e.Error() + "\n" + jobs.CodeText(account, e.Code, a.lang)
}

// isUsage recognises what cobra says of wrong arguments, which has no type.
func isUsage(err error) bool {
	for _, begin := range []string{
		"unknown command", "unknown flag", "unknown shorthand", "flag needs", "invalid argument", "accepts ", "requires ",
		"required flag", "bad flag", "if any flags in the group",
	} {
		if strings.HasPrefix(err.Error(), begin) {
			return true
		}
	}
	return false
}
