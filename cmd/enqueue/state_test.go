package main

import (
	"strings"
	"testing"

	"pregon/internal/ledger"
	"pregon/jobs"
	"pregon/providers/simulator"
)

func TestEveryPauseHasWords(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), "Pausas")
	control := "pregon:{" + id + "}:control"
	for _, c := range []struct {
		reason, detail string
		es, en         []string
		follow         int // the exit status of --follow when only a person ends the pause; 0: it waits
	}{
		{"breaker", "http_500 Internal Server Error", []string{"el proveedor no responde bien", "con un mensaje", "http_500"},
			[]string{"the provider does not answer well", "within 10 minutes"}, 0},
		{"list", "1002 sending error", []string{"revise la columna del teléfono", "enqueue resume", "1002"},
			[]string{"check the phone column", "enqueue resume"}, exitUnfinished},
		{"epoch", "workers with a journal that have not come back: j1a2b3", []string{"Redis se reinició", "arránquelo donde estaba",
			"sin él (enqueue resume) algún mensaje puede salir dos veces", "Faltan: j1a2b3"},
			[]string{"Redis was restarted", "start it where it was", "without it (enqueue resume) a message may leave twice", "Missing: j1a2b3"}, exitUnavailable},
		{"epoch", "redis has forgotten more than worker w1a2b3 remembers", []string{"Redis olvidó más de lo que recuerda el worker: w1a2b3"},
			[]string{"Redis has forgotten more than the worker remembers: w1a2b3"}, exitUnavailable},
		{"template", "7 \x1b[31mx", []string{"la plantilla no sirve", "7 [31mx"}, []string{"the template does not work"}, exitUnfinished},
		{"new-reason", "", []string{"en pausa (new-reason)"}, []string{"paused (new-reason)"}, 0},
	} {
		h.redis.HSet(control, "state", "paused", "reason", c.reason, "detail", c.detail, "by", "machine")
		h.do("status", id).exits(exitOK).shows(c.es...)
		h.with("PREGON_LANG=en").do("status", id).exits(exitOK).shows(c.en...)
		if c.follow != 0 {
			statusOf(h.do("status", id, "--follow", "--json").exits(c.follow))
		}
	}
}

func TestACampaignOnTrialSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), "Prueba")
	if s := statusOf(h.do("status", id, "--json")); s.Trial {
		t.Errorf("%+v", s)
	}
	h.redis.HSet("pregon:{"+id+"}:control", "allow", "1")
	h.do("status", id).exits(exitOK).shows("enviando (probando con un mensaje")
	h.with("PREGON_LANG=en").do("list").exits(exitOK).shows("running (trying with one message")
	if s := statusOf(h.do("status", id, "--json")); !s.Trial || s.State != "running" {
		t.Errorf("%+v", s)
	}
}

func TestHintsAreGivenWhereTheyHelp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	for name, c := range map[string]struct {
		failed, inDoubt int
		codes           map[string]int
		state           ledger.State
		doubt, retry    bool
	}{
		"Clean":          {0, 0, nil, ledger.Finished, false, false},
		"Waiting":        {0, 0, map[string]int{"429": 2}, ledger.Running, false, false},
		"Lasting":        {2, 0, map[string]int{"1002": 1, "1010": 1}, ledger.Finished, false, false},
		"Passing":        {2, 0, map[string]int{"429": 1, "1010": 1}, ledger.Finished, false, true},
		"PassingAndMore": {1, 1, map[string]int{"429": 3, "1010": 1, "http_500": 1}, ledger.Running, true, false},
		"Doubtful":       {0, 3, map[string]int{"http_500": 3}, ledger.Finished, true, false},
		"Cancelled":      {1, 1, map[string]int{"429": 1, "http_500": 1}, ledger.Cancelled, true, false},
	} {
		var out strings.Builder
		a := newApp(h.env, strings.NewReader(""), &out, &out)
		a.hints(&out, jobs.Status{
			Campaign: "promo-1", Account: "contactovirtual", State: c.state, Codes: c.codes,
			Counts: ledger.Counts{ledger.Failed: c.failed, ledger.InDoubt: c.inDoubt},
		})
		if strings.Contains(out.String(), "enqueue doubt promo-1") != c.doubt || strings.Contains(out.String(), "enqueue retry promo-1") != c.retry {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}

func TestRowLists(t *testing.T) {
	t.Parallel()
	a := &app{lang: "es"}
	for text, want := range map[string]string{
		"3": "3", "3,9-12": "3,9-12", " 12 , 9 - 11,9,3 ": "3,9-12", "1,2,4": "1-2,4", "5-5": "5",
	} {
		s, err := a.selectRows(text)
		if err != nil || rowList(s.rows) != want || s.all {
			t.Errorf("%q is %v (%v), want %s", text, s, err, want)
		}
	}
	if s, err := a.selectRows(" all "); err != nil || !s.all || !s.has(7) {
		t.Errorf("all: %v %v", s, err)
	}
	if s, _ := a.selectRows("3,9-12"); !s.has(3) || !s.has(10) || s.has(4) {
		t.Error("3,9-12 has other rows")
	}
	var many []int
	for row := 2; row < 200; row += 2 {
		many = append(many, row)
	}
	if got := a.named(many); got != "99 filas" {
		t.Errorf("many rows are named %q", got)
	}
}
