package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pregon/providers/simulator"
)

func retriedOf(o outcome) retriedDoc {
	o.t.Helper()
	shape(o.t, "the retry", parsed[any](o), []string{"campaign", "rows", "before", "lasting", "codes"})
	return parsed[retriedDoc](o)
}

func TestRetryAtTheCommandLine(t *testing.T) {
	t.Parallel()
	eachRedis(t, simulator.Options{}, func(t *testing.T, h *house) {
		h.work()
		path := h.file("fallas.csv", people(2)+scenario("1013")+scenario("1012")+scenario("0500"))
		id := h.launched(path, "Fallas", "--wait")
		counts := map[string]int{"accepted": 2, "failed": 2, "in_doubt": 1}
		h.finished(id, counts)

		h.do("retry", id).exits(exitOK).silentOnStderr().shows("No hay filas que intentar de nuevo.",
			"porque fallarían igual: 2 filas (1012 × 1, 1013 × 1)", "enqueue retry "+id+" --code CÓDIGO", "Fallido  2")
		r := retriedOf(h.do("retry", id, "--json").exits(exitOK).silentOnStderr())
		if r.Campaign != id || r.Rows == nil || len(r.Rows) != 0 || r.Before != 0 || r.Lasting != 2 ||
			!maps.Equal(r.Codes, map[string]int{"1012": 1, "1013": 1}) {
			t.Errorf("%+v", r)
		}
		h.do("retry", id, "--code", "4711").exits(exitOK).shows("No hay filas que intentar de nuevo.")
		h.do("retry", id, "--code", "1012", "--yes").exits(exitUsage).silent().says("pidieron no recibir mensajes")
		h.with("PREGON_LANG=en").do("retry", id, "--code", "1012", "--again").exits(exitUsage).silent().says("asked not to get messages")
		h.do("retry", id, "--code", "http_500", "--yes").exits(exitOK).shows("No hay filas que intentar de nuevo.")
		h.finished(id, counts)
		h.retryOnce(id, counts)
	})
}

// retryOnce retries the row with code 1013, which the simulator refuses each time.
func (h *house) retryOnce(id string, counts map[string]int) {
	h.t.Helper()
	code := []string{"retry", id, "--code", "1013"}
	h.do(code...).exits(exitUsage).silent().says("Código 1013: WhatsApp no puede entregarle mensajes", "--yes")
	h.do(append(code, "--json")...).exits(exitUsage).silent().says("--yes")
	h.atTerminal("no\n", code...).exits(exitUsage).silent().says("¿Intentar de nuevo las filas que fallaron con él?", "No se cambió nada")
	asked := h.requests()
	h.atTerminal("sí\n", code...).exits(exitOK).shows("Se intentan de nuevo: 1 fila (4).")
	h.finished(id, counts)
	if n := h.requests() - asked; n != 1 {
		h.t.Errorf("%d messages were handed over, want 1", n)
	}
	r := retriedOf(h.do(append(code, "--yes", "--json")...).exits(exitOK))
	if len(r.Rows) != 0 || r.Before != 1 {
		h.t.Errorf("a second time: %+v", r)
	}
	h.with("PREGON_LANG=en").do(append(code, "--yes")...).exits(exitOK).shows("There are no rows to try again.",
		"because a person tried them again before: 1 row. To include them: --again")
	r = retriedOf(h.do(append(code, "--yes", "--again", "--json")...).exits(exitOK))
	if !slices.Equal(r.Rows, []int{4}) || r.Before != 0 {
		h.t.Errorf("again: %+v", r)
	}
	h.finished(id, counts)
	if n := h.requests() - asked; n != 2 {
		h.t.Errorf("%d messages were handed over, want 2", n)
	}
}

// requests is how many messages were handed over to the provider, whether or not they arrived.
func (h *house) requests() int {
	n := 0
	for path, count := range h.provider.Requests() {
		if strings.Contains(path, "/send/") {
			n += int(count)
		}
	}
	return n
}

func TestRetryWithoutTheAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), "Ajena")
	h.env = h.env[:4] // no account
	h.do("retry", id, "--code", "1012", "--yes").exits(exitUsage).silent().says("no está configurada aquí")
	h.with("PREGON_LANG=en").do("retry", id, "--code", "1012", "--yes").exits(exitUsage).silent().says("is not configured here")
	h.do("retry", id).exits(exitOK).shows("No hay filas que intentar de nuevo.")
}

func TestOneRowAndItsAttempts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	path := h.file("filas.csv", people(1)+scenario("0503")+scenario("1002")+"Ana,300 CASA,10 %\n")
	id := h.launched(path, "Filas", "--wait")
	h.do("doubt", id, "--rows", "3", "--decide", "resend", "--yes").exits(exitOK)
	h.finished(id, map[string]int{"accepted": 2, "failed": 1, "invalid": 1})

	h.do("status", id, "--row", "3").exits(exitOK).silentOnStderr().shows("Filas · fila 3 · Aceptado", "Teléfono: "+notYet,
		"messageId: ", "CUÁNDO", "pudo salir", "http_503", "Service Unavailable", "una persona: enviarla de nuevo", "aceptado")
	h.with("PREGON_LANG=en").do("status", id, "--row", "4").exits(exitOK).shows("Filas · row 4 · Failed",
		"Code 1002: The number is not on WhatsApp.", "WHAT HAPPENED", "rejected")
	h.do("status", id, "--row", "5").exits(exitOK).shows("fila 5 · No válido", "phone_letters", "300 CASA", "Aún no se ha intentado.")
	r := parsed[resultDoc](h.do("status", id, "--row", "3", "--json").exits(exitOK).silentOnStderr())
	if r.Row != 3 || r.Phone != notYet || r.State != "accepted" || len(r.History) != 3 || r.History[1].Class != "person" ||
		r.History[1].Code != "decided_resend" || r.History[0].Why != "Service Unavailable" || r.History[2].State != "accepted" {
		t.Errorf("%+v", r)
	}
	h.do("results", id).exits(exitOK).shows(";Historial\r\n", "pudo salir http_503", "una persona: enviarla de nuevo; ")
	h.with("PREGON_LANG=en").do("results", id).exits(exitOK).shows(",History\r\n", "a person: send it again")

	for _, args := range [][]string{{"--row", "99"}, {"--row", "0"}, {"--row", "-1", "--json"}} {
		h.do(append([]string{"status", id}, args...)...).exits(exitUsage).silent().says("no tiene la fila")
	}
	h.do("status", "--row", "3").exits(exitUsage).silent().says("enqueue status CAMPAIGN --row N")
	h.do("status", id, "--row", "3", "--follow").exits(exitUsage).silent().says("como está ahora")
	h.do("status", "nadie-12345678", "--row", "3").exits(exitUsage).silent().says("No existe esa campaña")
}
