package main

import (
	"context"
	"errors"
	"fmt"

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
	exit, decided := errors.AsType[*exitError](err)
	if e, ok := errors.AsType[*campaign.FileError](err); ok { // what a person wrote, in a file or in a flag
		return exitUsage, e.Text(a.lang)
	}
	if decided {
		return exit.code, exit.Error()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted, a.t("Interrumpido.", "Interrupted.")
	}
	if e, ok := errors.AsType[*providers.Error](err); ok {
		return a.explainProvider(e)
	}
	if code, text := a.explainRedis(err); text != "" {
		return code, text
	}
	switch {
	case errors.Is(err, ledger.ErrNoCampaign):
		return exitUsage, a.t("No existe esa campaña. Véalas con: enqueue list", "There is no such campaign. See them with: "+
			"enqueue list")
	case errors.Is(err, ledger.ErrMasterKey):
		return exitUsage, a.t("Las campañas de este Redis tienen otra MASTER_KEY: use la misma en todos los programas",
			"The campaigns of this Redis have another MASTER_KEY: use the same for all programs")
	case errors.Is(err, jobs.ErrChanged), errors.Is(err, ledger.ErrConflict):
		return exitUsage, a.t("El archivo cambió mientras se leía: no se lanzó nada. Ciérrelo en otros programas y repita "+
			"el comando", "The file changed while it was being read: nothing was launched. Close it in other programs and "+
			"repeat the command")
	case errors.Is(err, ledger.ErrCancelled):
		return exitUsage, a.t("La campaña está cancelada: ya no se envía nada de ella. Lance otra con esas filas",
			"The campaign is cancelled: nothing of it is sent any more. Launch another one with those rows")
	case errors.Is(err, jobs.ErrNeverRetry):
		return exitUsage, a.t("Esas personas pidieron no recibir mensajes: no se les intenta de nuevo", "These people asked "+
			"not to get messages: they are not tried again")
	case errors.Is(err, jobs.ErrNoAccount):
		return exitUsage, a.t("La cuenta de esta campaña no está configurada aquí, y sin ella no se sabe qué significa el "+
			"código. Repita el comando donde lo esté", "The account of this campaign is not configured here, and without it "+
			"nobody can tell what the code means. Repeat the command where it is")
	case errors.Is(err, jobs.ErrNoCapability):
		return exitUsage, a.t("El proveedor de esta cuenta no ofrece eso", "The provider of this account does not offer that")
	}
	return exitUnexpected, err.Error()
}

// explainRedis explains that Redis is away, went away, or refuses to work.
func (a *app) explainRedis(err error) (int, string) {
	if errors.Is(err, setup.ErrUnavailable) {
		return exitUnavailable, a.t("No hay conexión con Redis (%s). Arranque Redis o revise REDIS_URL; para probar sin "+
			"Redis use: enqueue demo\nDetalle: %v", "Redis cannot be reached (%s). Start Redis or check REDIS_URL; to try "+
			"without Redis: enqueue demo\nDetail: %v", a.redisName(), err)
	}
	// The marker that the Redis client puts on what the server answers: no memory, no disk, read only.
	if e, ok := errors.AsType[interface {
		error
		RedisError()
	}](err); ok {
		return exitUnavailable, a.t("Redis no pudo hacer lo que se le pidió: %v", "Redis could not do what it was asked: %v",
			e)
	}
	if connectionLost(err) {
		return exitUnavailable, a.t("Se perdió la conexión con Redis: %v", "The connection to Redis was lost: %v", err)
	}
	return exitUnexpected, ""
}

// explainProvider says what an account's provider answered, or that it did not, when nothing was being sent.
func (a *app) explainProvider(e *providers.Error) (int, string) {
	code := exitUnavailable
	switch e.Class {
	case providers.Blocked:
		code = exitAuth
	case providers.Broke:
		code = exitBalance
	}
	text := a.t("No hubo respuesta útil del proveedor. Revise la red y la dirección de la cuenta.",
		"The provider gave no useful answer. Check the network and the account's address.")
	if code != exitUnavailable {
		acc, _ := a.account(a.accountName) // the account was found before its provider could answer
		text = jobs.CodeText(acc, e.Code, a.lang)
	}
	return code, a.t("%s\nDetalle: %v", "%s\nDetail: %v", text, e)
}
