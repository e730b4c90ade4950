package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pregon/internal/setup"
	"pregon/jobs"
)

// retryChoices are the flags of retry.
type retryChoices struct {
	code  string
	again bool
	yes   bool
}

func (a *app) retryCommand() *cobra.Command {
	var o retryChoices
	c := &cobra.Command{
		Use: "retry CAMPAIGN",
		Short: a.t("Intenta de nuevo las filas fallidas; nunca las que están en duda",
			"Try failed rows again; never those in doubt"),
		Long: a.t("Sin --code intenta de nuevo las filas cuya falla fue pasajera. Con --code, todas las que fallaron con "+
			"ese código, salvo las de quienes pidieron no recibir mensajes: corrija primero lo que el código dice. Cada "+
			"fila se intenta de nuevo una sola vez; con --again, otra.",
			"Without --code it tries the rows again whose failure was a passing one. With --code, all that failed with that "+
				"code, but for people who asked not to get messages: mend first what the code says. Each row is tried again "+
				"only once; with --again, once more."),
		Example: `  enqueue retry promo-1a2b3c4d
  enqueue retry promo-1a2b3c4d --code 1010`,
		Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(_ *setup.System, operator *jobs.Operator) error {
				return a.retry(c.Context(), operator, args[0], o)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&o.code, "code", "", a.t("solo las que fallaron con este código", "only those that failed with this code"))
	f.BoolVar(&o.again, "again", false, a.t("también las que una persona ya intentó de nuevo",
		"also those that a person tried again before"))
	f.BoolVar(&o.yes, "yes", false, a.t("no preguntar", "do not ask"))
	return c
}

func (a *app) retry(ctx context.Context, operator *jobs.Operator, id string, o retryChoices) error {
	o.code = strings.TrimSpace(o.code)
	s, err := operator.Status(ctx, id)
	if err != nil {
		return err
	}
	if err := operator.MayRetry(ctx, id, o.code); err != nil {
		return err
	}
	acc := a.accountHere(s.Account)
	if o.code != "" && !acc.Passing(o.code) && s.Codes[o.code] > 0 {
		question := a.t("Código %s: %s ¿Intentar de nuevo las filas que fallaron con él?", "Code %s: %s Try the rows again "+
			"that failed with it?", o.code, jobs.CodeText(acc, o.code, a.lang))
		if err := a.insist(ctx, o.yes, question); err != nil {
			return err
		}
	}
	done, err := operator.Retry(ctx, id, jobs.Retry{Code: o.code, Again: o.again, Who: whoami()})
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(done)
	}
	a.tellRetried(done)
	return a.show(ctx, operator, id)
}

func (a *app) tellRetried(r jobs.Retried) {
	if len(r.Rows) > 0 {
		a.say("Se intentan de nuevo: %s.", "Tried again: %s.", a.named(r.Rows))
	} else {
		a.say("No hay filas que intentar de nuevo.", "There are no rows to try again.")
	}
	if r.Before > 0 {
		a.say("Por fuera, porque una persona ya las intentó de nuevo: %s. Para incluirlas: --again",
			"Left out, because a person tried them again before: %s. To include them: --again", a.rows(r.Before))
	}
	if r.Lasting > 0 {
		codes := make([]string, 0, len(r.Codes))
		for _, code := range byCount(r.Codes) {
			codes = append(codes, fmt.Sprintf("%s × %s", code, a.count(r.Codes[code])))
		}
		a.say("Por fuera, porque fallarían igual: %s (%s). Corrija lo que dice el código y nómbrelo: enqueue retry %s "+
			"--code CÓDIGO", "Left out, because they would fare the same: %s (%s). Mend what the code says and name it: "+
			"enqueue retry %s --code CODE", a.rows(r.Lasting), strings.Join(codes, ", "), r.Campaign)
	}
}
