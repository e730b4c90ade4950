package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"pregon/internal/ledger"
	"pregon/jobs"
)

// campaignStates are the states of a campaign in people's words.
var campaignStates = map[ledger.State][2]string{
	ledger.Draft:     {"sin terminar de lanzar: repita el mismo comando", "launch not finished: repeat the same command"},
	ledger.Scheduled: {"programada", "scheduled"},
	ledger.Running:   {"enviando", "running"},
	ledger.Paused:    {"en pausa", "paused"},
	ledger.Finished:  {"terminada", "finished"},
	ledger.Cancelled: {"cancelada", "cancelled"},
}

// pauseReasons say why a campaign is paused, and what ends it.
var pauseReasons = map[string][2]string{
	"operator": {"la pausó una persona; siga con: enqueue resume", "a person paused it; go on with: enqueue resume"},
	"account": {"la cuenta no puede enviar; corríjala, y si no sigue sola: enqueue resume",
		"the account cannot send; mend it, and if it does not go on by itself: enqueue resume"},
	"balance": {"sin saldo; sigue sola después de recargar", "no balance; goes on by itself after a top-up"},
	"breaker": {"el proveedor no responde bien; se prueba de nuevo solo, con un mensaje, en 10 minutos a lo sumo",
		"the provider does not answer well; it is tried again by itself, with one message, within 10 minutes"},
	"window": {"fuera del horario permitido; sigue sola", "outside contact hours; goes on by itself"},
	"template": {"la plantilla no sirve; corríjala y lance de nuevo", "the template does not work; mend it and launch " +
		"again"},
	"list": {"casi todos los primeros números fallan por lo mismo; revise la columna del teléfono y la cuenta; para " +
		"seguir de todos modos: enqueue resume", "nearly all of the first numbers fail for the same reason; check the " +
		"phone column and the account; to go on anyway: enqueue resume"},
	"epoch": {"Redis se reinició y pudo olvidar envíos que solo recuerda un worker que no ha vuelto; arránquelo donde " +
		"estaba y sigue sola; sin él (enqueue resume) algún mensaje puede salir dos veces", "Redis was restarted and may " +
		"have forgotten messages that only a worker remembers which has not come back; start it where it was and it goes " +
		"on by itself; without it (enqueue resume) a message may leave twice"},
	"forgotten": {"Redis olvidó más envíos de los que los workers recuerdan; revise a quién le llegó antes de seguir: " +
		"enqueue resume puede enviar alguno dos veces", "Redis has forgotten more messages than the workers remember; " +
		"find out who got one before going on: enqueue resume may send some twice"},
	"asynqmon": {"pausada desde el tablero de colas", "paused in the queue dashboard"},
}

// stateName says where a campaign is in its life, and why.
func (a *app) stateName(s jobs.Status) string {
	name := campaignStates[s.State]
	text := a.t(name[0], name[1])
	switch {
	case s.State == ledger.Paused:
		why, known := pauseReasons[s.Reason]
		if !known {
			why = [2]string{s.Reason, s.Reason}
		}
		text += " (" + a.t(why[0], why[1]) + ")"
	case s.Trial:
		text += a.t(" (probando con un mensaje si la cuenta ya puede enviar)",
			" (trying with one message whether the account can send again)")
	case s.State == ledger.Scheduled && s.Scheduled != nil:
		text += " " + a.t("para %s", "for %s", a.clock(*s.Scheduled))
	}
	return text
}

// details are what the keepers write for machines, in people's words.
var details = []struct{ begin, es, en string }{
	{"workers with a journal that have not come back: ", "Faltan: %s", "Missing: %s"},
	{"redis has forgotten more than worker ", "Redis olvidó más de lo que recuerda el worker: %s",
		"Redis has forgotten more than the worker remembers: %s"},
}

// detail is more about a pause. For contact hours the keeper writes the next opening for machines.
func (a *app) detail(s jobs.Status) string {
	if text, ok := strings.CutPrefix(s.Detail, "opens "); ok && s.Reason == "window" {
		if opens, err := time.Parse(time.RFC3339, text); err == nil {
			return a.t("Sigue el %s", "Goes on at %s", a.clock(opens))
		}
	}
	for _, d := range details {
		if rest, ok := strings.CutPrefix(s.Detail, d.begin); ok && (s.Reason == "epoch" || s.Reason == "forgotten") {
			return a.t(d.es, d.en, oneLine(strings.TrimSuffix(rest, " remembers")))
		}
	}
	return oneLine(s.Detail)
}

// hints say what a person may do next about rows that did not go well.
func (a *app) hints(w io.Writer, s jobs.Status) {
	if n := s.Counts[ledger.InDoubt]; n > 0 {
		_, _ = fmt.Fprintln(w, a.t("  Para decidir sobre las que están en duda: enqueue doubt %s",
			"  To decide about those in doubt: enqueue doubt %s", s.Campaign))
	}
	if a.accountHere(s.Account).Retryable(s) > 0 {
		_, _ = fmt.Fprintln(w, a.t("  Para intentar de nuevo fallas pasajeras: enqueue retry %s",
			"  To try passing failures again: enqueue retry %s", s.Campaign))
	}
}
