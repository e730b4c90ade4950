package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"pregon/jobs"
)

// showRow prints one row of a campaign and its attempts.
func (a *app) showRow(ctx context.Context, operator *jobs.Operator, id string, row int) error {
	r, found, err := operator.Row(ctx, id, row)
	if err != nil {
		return err
	}
	if !found {
		return usage("%s", a.t("El archivo de esta campaña no tiene la fila %d", "The file of this campaign has no row %d",
			row))
	}
	if a.json {
		return a.printJSON(r)
	}
	s, err := operator.Status(ctx, id)
	if err != nil {
		return err
	}
	p := func(es, en string, args ...any) { _, _ = fmt.Fprintln(a.out, a.t(es, en, args...)) }
	p("\n%s · fila %d · %s", "\n%s · row %d · %s", s.Name, r.Row, jobs.StateText(r.State, a.lang))
	if r.Phone != "" {
		p("  Teléfono: %s", "  Phone: %s", r.Phone)
	}
	if r.MessageID != "" {
		p("  messageId: %s", "  messageId: %s", oneLine(r.MessageID))
	}
	if r.Code != "" {
		reason := jobs.Export{Account: a.accountHere(s.Account), Lang: a.lang}.Reason(r)
		p("  Código %s: %s", "  Code %s: %s", r.Code, oneLine(reason))
	}
	if len(r.History) == 0 {
		p("  Aún no se ha intentado.", "  Not tried yet.")
		return nil
	}
	return a.attempts(r.History)
}

// attempts prints the attempts at a row, and people's decisions between them.
func (a *app) attempts(list []jobs.Attempt) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, a.t("  CUÁNDO\tDURÓ\tQUÉ PASÓ\tCÓDIGO\tQUEDÓ\tEL PROVEEDOR DIJO",
		"  WHEN\tTOOK\tWHAT HAPPENED\tCODE\tBECAME\tTHE PROVIDER SAID"))
	for _, x := range list {
		when, code := "", x.Code
		if x.At != nil {
			when = a.time(*x.At)
		}
		if x.ByPerson() {
			code = ""
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", when, x.Took(a.lang), x.What(a.lang), code,
			jobs.StateText(x.State, a.lang), oneLine(x.Why))
	}
	return t.Flush()
}
