package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
)

// doubtChoices are the flags of doubt.
type doubtChoices struct {
	rows   string
	decide string
	again  bool
	yes    bool
}

func (a *app) doubtCommand() *cobra.Command {
	var o doubtChoices
	c := &cobra.Command{
		Use: "doubt CAMPAIGN",
		Short: a.t("Muestra qué filas quedaron en duda, y decide sobre ellas",
			"Show which rows are in doubt, and decide about them"),
		Long: a.t("Una fila está en duda cuando pudo salir y nadie sabe si salió. Ninguna máquina la envía de nuevo: decide "+
			"una persona, con lo que se sabe de cada una. Sin --decide solo muestra. --decide sent la cuenta como enviada; "+
			"--decide resend la envía de nuevo, y a la persona puede llegarle dos veces.",
			"A row is in doubt when it may have left and nobody knows whether it did. No machine sends it again: a person "+
				"decides, by what is known about each. Without --decide it only shows. --decide sent counts it as sent; "+
				"--decide resend sends it again, and the person may get it twice."),
		Example: `  enqueue doubt promo-1a2b3c4d
  enqueue doubt promo-1a2b3c4d --rows 3,9-12 --decide sent
  enqueue doubt promo-1a2b3c4d --rows all --decide resend --yes`,
		Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(_ *setup.System, operator *jobs.Operator) error {
				return a.doubt(c.Context(), operator, args[0], o)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&o.rows, "rows", "", a.t("filas: 3,9-12, o all", "rows: 3,9-12, or all"))
	f.StringVar(&o.decide, "decide", "", a.t("sent (contarlas como enviadas) | resend (enviarlas de nuevo)",
		"sent (count them as sent) | resend (send them again)"))
	f.BoolVar(&o.again, "again", false, a.t("con resend: también las que una persona ya envió de nuevo",
		"with resend: also those that a person sent again before"))
	f.BoolVar(&o.yes, "yes", false, a.t("no preguntar", "do not ask"))
	return c
}

func (a *app) doubt(ctx context.Context, operator *jobs.Operator, id string, o doubtChoices) error {
	decision := ledger.Decision(o.decide)
	if decision != "" && decision != ledger.CountAsSent && decision != ledger.SendAgain {
		return usage("%s", a.t("--decide %q: escriba sent (contar como enviadas) o resend (enviar de nuevo)",
			"--decide %q: write sent (count as sent) or resend (send again)", o.decide))
	}
	rows := selection{all: true}
	if o.rows != "" || decision != "" {
		var err error
		if rows, err = a.selectRows(o.rows); err != nil {
			return err
		}
	}
	s, err := operator.Status(ctx, id)
	if err != nil {
		return err
	}
	doubts, err := operator.Doubts(ctx, id)
	if err != nil {
		return err
	}
	if decision != "" {
		return a.rule(ctx, operator, s, doubts, rows, o)
	}
	doubts = doubts.Of(rows.has)
	if a.json {
		return a.printJSON(doubts)
	}
	a.showDoubts(a.out, s, doubts)
	return nil
}

// rule records what a person decides about the rows they saw in doubt.
func (a *app) rule(
	ctx context.Context, operator *jobs.Operator, s jobs.Status, doubts jobs.Doubts, rows selection, o doubtChoices,
) error {
	r := jobs.Ruling{Decision: ledger.Decision(o.decide), Again: o.again, Who: whoami()}
	if r.Decision == ledger.SendAgain && s.State == ledger.Cancelled {
		return ledger.ErrCancelled
	}
	var inDoubt []int
	seen := make(map[int]bool)
	for _, d := range doubts.Of(rows.has).Rows {
		r.Rows = append(r.Rows, jobs.Seen{Row: d.Row, Attempt: d.Attempt})
		inDoubt, seen[d.Row] = append(inDoubt, d.Row), true
	}
	for _, row := range rows.rows {
		if !seen[row] {
			r.Rows = append(r.Rows, jobs.Seen{Row: row}) // to be told what it is instead
		}
	}
	if len(inDoubt) > 0 {
		if err := a.insist(ctx, o.yes, a.ruling(r.Decision, inDoubt)); err != nil {
			return err
		}
	}
	ruled, err := operator.Decide(ctx, s.Campaign, r)
	if err != nil {
		return err
	}
	return a.ruled(ctx, operator, ruled)
}

// ruling is the question before a decision.
func (a *app) ruling(d ledger.Decision, rows []int) string {
	if d == ledger.SendAgain {
		return a.t("¿Enviar de nuevo %s? A cada persona puede llegarle dos veces.",
			"Send again %s? Each person may get it twice.", a.named(rows))
	}
	return a.t("¿Contar como enviada cada una de %s? Si alguna no salió, no se enviará.",
		"Count as sent each of %s? If one did not leave, it will not be sent.", a.named(rows))
}

// ruled tells what came of a decision. Nothing done although rows were named is the command's failure.
func (a *app) ruled(ctx context.Context, operator *jobs.Operator, r jobs.Ruled) error {
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else if err := a.tellRuled(ctx, operator, r); err != nil {
		return err
	}
	if len(r.Done) == 0 && len(r.Left) > 0 {
		return usage("%s", a.t("No se decidió nada: ninguna de esas filas esperaba esa decisión",
			"Nothing was decided: none of these rows waited for that decision"))
	}
	return nil
}

func (a *app) tellRuled(ctx context.Context, operator *jobs.Operator, r jobs.Ruled) error {
	switch {
	case len(r.Done) == 0:
		a.say("No se cambió ninguna fila.", "No row was changed.")
	case r.Decision == ledger.SendAgain:
		a.say("Se envían de nuevo: %s.", "Sent again: %s.", a.named(r.Done))
	default:
		a.say("Se cuentan como enviadas: %s.", "Counted as sent: %s.", a.named(r.Done))
	}
	groups := make(map[string][]int)
	var order []string
	for _, left := range r.Left {
		why := a.leftBecause(left)
		if groups[why] == nil {
			order = append(order, why)
		}
		groups[why] = append(groups[why], left.Row)
	}
	for _, why := range order {
		a.say("Sin cambio: %s: %s.", "Left as they were: %s: %s.", a.named(groups[why]), why)
	}
	return a.show(ctx, operator, r.Campaign)
}

// leftBecause says why a row was left as it was.
func (a *app) leftBecause(l jobs.Left) string {
	switch l.Reason {
	case jobs.LeftNoRow:
		return a.t("el archivo no tiene esa fila", "the file has no such row")
	case jobs.LeftChanged:
		return a.t("volvió a quedar en duda mientras decidía; mírela otra vez", "it came into doubt again while you "+
			"decided; look once more")
	case jobs.LeftResent:
		return a.t("una persona ya la envió de nuevo una vez; para otra vez: --again",
			"a person had it sent again once; for another time: --again")
	}
	return a.t("no está en duda (%s)", "not in doubt (%s)", jobs.StateText(l.State, a.lang))
}

// shownDecisions is how many earlier decisions a terminal shows, the newest; --json has them all.
const shownDecisions = 20

// showDoubts prints the evidence for each row, and what can be done.
func (a *app) showDoubts(w io.Writer, s jobs.Status, d jobs.Doubts) {
	p := func(es, en string, args ...any) { _, _ = fmt.Fprintln(w, a.t(es, en, args...)) }
	acc := a.accountHere(s.Account)
	p("\n%s · %s · %s", "\n%s · %s · %s", s.Name, s.Campaign, a.stateName(s))
	if len(d.Rows) == 0 {
		p("Ninguna fila está en duda.", "No row is in doubt.")
	} else {
		p("%s en duda: pudieron salir, y ninguna máquina las envía de nuevo. Las horas son de Colombia.",
			"%s in doubt: they may have left, and no machine sends them again. Times are Colombian.", a.rows(len(d.Rows)))
	}
	for _, row := range d.Rows {
		p("\nFila %d · %s", "\nRow %d · %s", row.Row, row.Phone)
		for _, line := range row.Evidence(acc, a.lang, zone()) {
			_, _ = fmt.Fprintf(w, "  · %s\n", oneLine(line))
		}
	}
	if d.Balance != nil {
		_, _ = fmt.Fprintf(w, "\n%s\n", d.Balance.Evidence(a.lang, zone()))
	}
	if len(d.Rows) > 0 {
		a.whatToDo(w, s, d)
	}
	if len(d.Decisions) == 0 {
		return
	}
	p("\nDecisiones anteriores:", "\nEarlier decisions:")
	if hidden := len(d.Decisions) - shownDecisions; hidden > 0 {
		p("  … %s más antiguas: véalas con --json", "  … %s older ones: see them with --json", a.count(hidden))
		d.Decisions = d.Decisions[hidden:]
	}
	for _, x := range d.Decisions {
		p("  %s · %s · fila %d (intento %d, código %s): %s", "  %s · %s · row %d (attempt %d, code %s): %s", a.time(x.At),
			oneLine(x.Who), x.Row, x.Attempt, x.Code, jobs.DecisionText(x.Decision, a.lang))
	}
}

// whatToDo gives the commands that decide about the rows shown.
func (a *app) whatToDo(w io.Writer, s jobs.Status, d jobs.Doubts) {
	p := func(es, en string, args ...any) { _, _ = fmt.Fprintln(w, a.t(es, en, args...)) }
	numbers := make([]int, 0, len(d.Rows))
	for _, row := range d.Rows {
		numbers = append(numbers, row.Row)
	}
	rows := rowList(numbers)
	if len(rows) > shownRows {
		rows = "all"
	}
	p("\nQué hacer: pregunte a cada persona, o mire la conversación en WhatsApp. Deje en --rows solo las que van juntas.",
		"\nWhat to do: ask each person, or look at the chat in WhatsApp. Leave in --rows only those that go together.")
	p("  Si le llegó, cuéntela como enviada:\n    enqueue doubt %s --rows %s --decide sent",
		"  If it arrived, count it as sent:\n    enqueue doubt %s --rows %s --decide sent", s.Campaign, rows)
	if s.State == ledger.Cancelled {
		p("  La campaña está cancelada: ya no se puede enviar de nuevo.",
			"  The campaign is cancelled: it cannot be sent again any more.")
		return
	}
	p("  Si no le llegó, envíela de nuevo (si se equivoca, le llegará dos veces):\n    enqueue doubt %s --rows %s "+
		"--decide resend", "  If it did not, send it again (if you are wrong, it arrives twice):\n    enqueue doubt %s "+
		"--rows %s --decide resend", s.Campaign, rows)
}
