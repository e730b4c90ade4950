package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pregon/internal/redistest"
	"pregon/providers/simulator"
)

// eachRedis runs f in a house with miniredis and in one with a real Redis.
func eachRedis(t *testing.T, o simulator.Options, f func(t *testing.T, h *house)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		f(t, newHouse(t, o))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		f(t, newHouse(t, o).with("REDIS_URL=redis://"+redistest.Start(t)+"/0"))
	})
}

// atTerminal runs the program for a person who answers its question.
func (h *house) atTerminal(answer string, args ...string) outcome {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), deadline)
	defer cancel()
	var out, errs bytes.Buffer
	a := newApp(h.env, strings.NewReader(answer), &out, &errs)
	a.asks = func() bool { return true }
	root := a.root()
	root.SetArgs(args)
	o := outcome{h.t, a.exit(ctx, root.ExecuteContext(ctx)), out.String(), errs.String()}
	o.private()
	return o
}

// finished waits until a campaign has ended and checks its rows.
func (h *house) finished(id string, counts map[string]int) {
	h.t.Helper()
	s := statusOf(h.do("status", id, "--follow", "--json"))
	for state, n := range s.Counts {
		if n != counts[state] {
			h.t.Errorf("%d rows are %s, want %d", n, state, counts[state])
		}
	}
	if s.State != "finished" {
		h.t.Errorf("the campaign is %s", s.State)
	}
}

func (h *house) arrivedAt(phone string, want int) {
	h.t.Helper()
	if n := h.provider.Receipts().Phones[phone]; n != want {
		h.t.Errorf("%d messages arrived, want %d", n, want)
	}
}

// What the phones of doubtful do.
const (
	neverAnswers = "573005570500" // row 4: arrives each time, and answers 500
	arrived      = "573005570200" // row 5: arrives, and answers a page
	notYet       = "573005570503" // row 6: does not arrive the first time
)

// doubtful is a campaign that has ended with rows 4, 5 and 6 in doubt.
func (h *house) doubtful(name string) string {
	h.t.Helper()
	path := h.file("dudas.csv", people(2)+scenario("0500")+scenario("0200")+scenario("0503"))
	return h.launched(path, name, "--wait")
}

func doubtsOf(o outcome) doubtsDoc {
	o.t.Helper()
	fields := shape(o.t, "doubts", parsed[any](o), []string{"campaign", "rows", "balance?", "decisions"})
	for _, row := range fields["rows"].([]any) {
		shape(o.t, "a doubt", row, []string{
			"row", "phone", "attempt", "from", "to", "code", "why?", "replied_at?", "orphans", "doubts_in_time", "history",
		})
	}
	for _, d := range fields["decisions"].([]any) {
		shape(o.t, "a decision", d, []string{"at", "decision", "row", "attempt", "code", "who"})
	}
	if b, ok := fields["balance"]; ok {
		shape(o.t, "balance", b, []string{"before", "after", "spent", "accepted", "in_doubt", "cost?", "charged?"})
	}
	return parsed[doubtsDoc](o)
}

func ruledOf(o outcome) ruledDoc {
	o.t.Helper()
	shape(o.t, "the ruling", parsed[any](o), []string{"campaign", "decision", "done", "left"})
	return parsed[ruledDoc](o)
}

func TestRowsInDoubtAreShown(t *testing.T) {
	t.Parallel()
	eachRedis(t, simulator.Options{}, func(t *testing.T, h *house) {
		h.work()
		id := h.doubtful("Dudas")
		h.do("status", id).exits(exitOK).shows("En duda  3", "Para decidir sobre las que están en duda: enqueue doubt "+id)
		o := h.do("doubt", id).exits(exitOK).silentOnStderr()
		o.shows("Dudas · "+id+" · terminada", "3 filas en duda", "Fila 4 · "+neverAnswers, "Fila 5 · "+arrived, "Fila 6 · "+notYet,
			"Se estaba enviando el 20", "pudo haber salido", "Código http_500; el proveedor dijo: «Internal Server Error».",
			"Código http_503", "Es el único intento.", "Aún no se reciben acuses",
			"enqueue doubt "+id+" --rows 4-6 --decide sent", "enqueue doubt "+id+" --rows 4-6 --decide resend", "le llegará dos veces")
		if strings.Contains(o.out, "probablemente") || strings.Contains(o.out, "Decisiones anteriores") {
			t.Errorf("it says more than is known:\n%s", o.out)
		}
		h.with("PREGON_LANG=en").do("doubt", id, "--rows", "5").exits(exitOK).shows("1 row in doubt", "Row 5 · "+arrived,
			"It was being sent on 20", "may have left", "It is the only attempt.", "Reports and replies are not received yet",
			"--rows 5 --decide sent", "--rows 5 --decide resend")

		d := doubtsOf(h.do("doubt", id, "--json").exits(exitOK).silentOnStderr())
		if d.Campaign != id || len(d.Rows) != 3 || len(d.Decisions) != 0 {
			t.Fatalf("%+v", d)
		}
		r := d.Rows[0]
		if r.Row != 4 || r.Phone != neverAnswers || r.Attempt != 1 || r.Code != "http_500" || r.From.After(r.To) ||
			time.Since(r.To) > deadline || r.Orphans != 0 || r.Doubts < 1 || len(r.History) != 1 || r.History[0].Class != "unknown" {
			t.Errorf("%+v", r)
		}
		if d = doubtsOf(h.do("doubt", id, "--rows", "2-4,6,99", "--json").exits(exitOK)); len(d.Rows) != 2 {
			t.Errorf("rows 2-4,6,99 are %+v", d.Rows)
		}
	})
}

func TestAPersonDecidesAtTheCommandLine(t *testing.T) {
	t.Parallel()
	eachRedis(t, simulator.Options{}, func(t *testing.T, h *house) {
		h.work()
		id := h.doubtful("Decidir")
		h.do("doubt", id, "--rows", "5", "--decide", "sent", "--yes").exits(exitOK).
			shows("Se cuentan como enviadas: 1 fila (5).", "Aceptado  3", "En duda  2", "decided_sent", "contarla como enviada")
		h.finished(id, map[string]int{"accepted": 3, "in_doubt": 2})
		r := ruledOf(h.do("doubt", id, "--rows", "5", "--decide", "sent", "--yes", "--json").exits(exitUsage).says("No se decidió nada"))
		if len(r.Done) != 0 || len(r.Left) != 1 || r.Left[0] != (leftDoc{5, "not_in_doubt", "accepted"}) {
			t.Errorf("the same decision once more: %+v", r)
		}

		r = ruledOf(h.do("doubt", id, "--rows", "2,6,99", "--decide", "resend", "--yes", "--json").exits(exitOK).silentOnStderr())
		left := []leftDoc{{2, "not_in_doubt", "accepted"}, {99, "no_such_row", ""}}
		if r.Campaign != id || r.Decision != "resend" || !slices.Equal(r.Done, []int{6}) || !slices.Equal(r.Left, left) {
			t.Errorf("%+v", r)
		}
		h.finished(id, map[string]int{"accepted": 4, "in_doubt": 1})
		h.arrivedAt(notYet, 1)

		h.do("doubt", id, "--rows", "2-4", "--decide", "resend", "--yes").exits(exitOK).
			shows("Se envían de nuevo: 1 fila (4).", "Sin cambio: 2 filas (2-3): no está en duda (Aceptado).")
		h.finished(id, map[string]int{"accepted": 4, "in_doubt": 1})
		h.arrivedAt(neverAnswers, 2)
		h.oncePerDecision(id)

		h.with("PREGON_LANG=en").do("doubt", id, "--rows", "all", "--decide", "sent", "--yes").exits(exitOK).
			shows("Counted as sent: 1 row (4).")
		h.finished(id, map[string]int{"accepted": 5})
		h.do("doubt", id, "--rows", "all", "--decide", "resend").exits(exitOK).shows("No se cambió ninguna fila.")
		o := h.do("doubt", id).exits(exitOK).shows("Ninguna fila está en duda.", "Decisiones anteriores:", whoami(),
			"fila 6 (intento 1, código http_503): enviarla de nuevo", "fila 4 (intento 3, código http_500): contarla como enviada")
		if strings.Contains(o.out, "Qué hacer") {
			t.Errorf("there is nothing to do:\n%s", o.out)
		}
		if d := doubtsOf(h.do("doubt", id, "--json").exits(exitOK)); d.Rows == nil || len(d.Decisions) != 5 || d.Decisions[0].Row != 5 {
			t.Errorf("%+v", d)
		}
	})
}

// oncePerDecision repeats a command that a person may repeat by mistake: row 4 is in doubt again, after it was sent again.
func (h *house) oncePerDecision(id string) {
	h.t.Helper()
	again := []string{"doubt", id, "--rows", "4", "--decide", "resend", "--yes"}
	h.do(again...).exits(exitUsage).shows("No se cambió ninguna fila.", "ya la envió de nuevo una vez", "--again").says("No se decidió nada")
	h.finished(id, map[string]int{"accepted": 4, "in_doubt": 1})
	h.arrivedAt(neverAnswers, 2)
	h.do(append(again, "--again")...).exits(exitOK).shows("Se envían de nuevo: 1 fila (4).")
	h.finished(id, map[string]int{"accepted": 4, "in_doubt": 1})
	h.arrivedAt(neverAnswers, 3)
	h.do("doubt", id).exits(exitOK).shows("Historial: ", "una persona: enviarla de nuevo")
}

func TestADecisionNeedsConsent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	id := h.doubtful("Consentir")
	for _, decision := range []string{"sent", "resend"} {
		for _, flags := range [][]string{nil, {"--json"}} {
			args := append([]string{"doubt", id, "--rows", "4-5", "--decide", decision}, flags...)
			h.do(args...).exits(exitUsage).silent().says("2 filas (4-5)", "--yes")
			h.with("PREGON_LANG=en").do(args...).exits(exitUsage).silent().says("2 rows (4-5)", "--yes")
		}
	}
	h.do("doubt", id, "--rows", "4", "--decide", "resend").says("puede llegarle dos veces")
	for _, answer := range []string{"n\n", "\n", "", "quizás\n"} {
		h.atTerminal(answer, "doubt", id, "--rows", "all", "--decide", "resend").exits(exitUsage).silent().
			says("¿Enviar de nuevo 3 filas (4-6)?", "puede llegarle dos veces", "[s/N]", "No se cambió nada")
	}
	h.finished(id, map[string]int{"accepted": 2, "in_doubt": 3})
	if d := doubtsOf(h.do("doubt", id, "--json")); len(d.Decisions) != 0 {
		t.Errorf("decided without consent: %+v", d.Decisions)
	}
	h.atTerminal("s\n", "doubt", id, "--rows", "5", "--decide", "sent").exits(exitOK).
		says("¿Contar como enviada cada una de 1 fila (5)?").shows("Se cuentan como enviadas: 1 fila (5).")
	h.with("PREGON_LANG=en").atTerminal("y\n", "doubt", id, "--rows", "6", "--decide", "resend").exits(exitOK).
		says("Send again 1 row (6)? Each person may get it twice. [y/N]").shows("Sent again: 1 row (6).")
	h.finished(id, map[string]int{"accepted": 4, "in_doubt": 1})
	h.arrivedAt(notYet, 1)
}

func TestWhatDoubtDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), "Nada")
	for _, args := range [][]string{
		{"--decide", "send", "--rows", "2"}, {"--decide", "retry", "--rows", "2", "--yes"}, {"--decide", "sent"},
		{"--decide", "resend", "--yes"}, {"--rows", "0"}, {"--rows", "-3"}, {"--rows", "3-"}, {"--rows", "9-3"}, {"--rows", "3,,4"},
		{"--rows", "todas"}, {"--rows", "1.5"}, {"--rows", "2", "--decide", "sent", "--rows", ""},
	} {
		h.do(append([]string{"doubt", id}, args...)...).exits(exitUsage).silent().says("enqueue: --", "escriba")
	}
	h.do("doubt", id, "--rows", "1-999999999").exits(exitUsage).silent().says("demasiadas filas", "all")
	h.do("doubt", id).exits(exitOK).shows("Ninguna fila está en duda.")
	h.do("doubt", id, "--rows", "2-3", "--decide", "sent").exits(exitUsage).shows("Sin cambio: 2 filas (2-3): no está en duda (En cola).")
	h.sent(0)
}

func TestNothingOfACancelledCampaignIsSentAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("dudas.csv", "Nombre,Celular,Descuento\n"+scenario("0500")+scenario("1013")+strings.TrimPrefix(people(6), "Nombre,Celular,Descuento\n"))
	id := h.launched(path, "Cancelada", "--rate", "1")
	h.work()
	h.eventually("a row is in doubt, another has failed", func() bool {
		s := statusOf(h.do("status", id, "--json"))
		return s.Counts["in_doubt"] == 1 && s.Counts["failed"] == 1
	})
	h.do("cancel", id).exits(exitOK)
	for _, args := range [][]string{
		{"doubt", id, "--rows", "all", "--decide", "resend", "--yes"}, {"retry", id}, {"retry", id, "--code", "1013", "--yes", "--json"},
	} {
		h.do(args...).exits(exitUsage).silent().says("La campaña está cancelada", "Lance otra")
		h.with("PREGON_LANG=en").do(args...).exits(exitUsage).silent().says("The campaign is cancelled")
	}
	o := h.do("doubt", id).exits(exitOK).shows("Fila 2 · "+neverAnswers, "--decide sent", "La campaña está cancelada")
	if strings.Contains(o.out, "--decide resend") {
		t.Errorf("advice that does not work:\n%s", o.out)
	}
	if o := h.do("status", id); strings.Contains(o.out, "enqueue retry") {
		t.Errorf("advice that does not work:\n%s", o.out)
	}
	h.do("doubt", id, "--rows", "2", "--decide", "sent", "--yes").exits(exitOK).shows("Se cuentan como enviadas: 1 fila (2).")
	h.arrivedAt(neverAnswers, 1)
}

func TestTheBalanceIsEvidence(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("dudas.csv", people(2)+scenario("0500")+scenario("0200")+scenario("0503"))
	id := h.launched(path, "Saldo")
	h.work()
	h.finished(id, map[string]int{"accepted": 2, "in_doubt": 3})
	var d doubtsDoc
	h.eventually("the balance is remembered once more", func() bool {
		d = doubtsOf(h.do("doubt", id, "--json").exits(exitOK))
		return d.Balance != nil
	})
	b := d.Balance
	if b.Spent != 4 || b.Accepted != 2 || b.Doubts != 3 || b.Cost == nil || *b.Cost != 1 || b.Charged == nil || *b.Charged != 2 ||
		!b.Before.Before(b.After) {
		t.Errorf("%+v", b)
	}
	h.do("doubt", id).exits(exitOK).shows("se gastaron 4; en ese tiempo el proveedor aceptó 2 mensajes",
		"Parece que se cobraron 2 de las 3 filas que estaban en duda; es solo un indicio")
	// What is decided since does not change what was charged then.
	h.do("doubt", id, "--rows", "5", "--decide", "sent", "--yes").exits(exitOK)
	h.with("PREGON_LANG=en").do("doubt", id).exits(exitOK).shows("2 rows in doubt", "2 of the 3 rows in doubt were charged")
	h.with("CONTACTOVIRTUAL_COST=").do("doubt", id).exits(exitOK).shows("Sin el precio por mensaje")
}
