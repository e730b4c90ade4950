package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pregon/providers/simulator"
)

// launching is what every run of these tests begins with.
func launching(path, name string, more ...string) []string {
	return append([]string{"run", path, "--name", name, "--template", "991", "--any-hour"}, more...)
}

func TestRunLaunchesAndWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	o := h.do(launching(h.file("diez.csv", people(10)), "Diez de prueba", "--wait", "--json")...).exits(exitOK)
	o.says("Campaña lanzada: diez-de-prueba-", "Diez de prueba: 10 de 10 filas, terminada")
	doc := checkShape(o, runNames)
	if doc.Status == nil || doc.Status.State != "finished" || doc.Status.Counts["accepted"] != 10 || doc.Status.FinishedAt == nil {
		t.Errorf("the final status is %+v", doc.Status)
	}
	if doc.Campaign != doc.Status.Campaign || doc.Status.Template != "991" || doc.Status.File != "diez.csv" {
		t.Errorf("campaign %q: %+v", doc.Campaign, doc.Status)
	}
	h.sent(10)

	o = h.do(launching(h.file("once.csv", people(11)), "Once", "--wait")...).exits(exitOK)
	o.shows("11 filas: 11 se envían", "Plan: 11 mensajes, costo 11, saldo 999.990", "Campaña lanzada: once-",
		"Sígala con: enqueue status once-", "Once · once-", "terminada", "Aceptado  11", "Total de filas  11")
	o.says("Once: 11 de 11 filas, terminada")
	if len(h.provider.Receipts().Phones) != 11 { // ten of them had the other campaign before
		t.Errorf("%d phones", len(h.provider.Receipts().Phones))
	}
}

func TestRunEndsWithTheTruth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows  string
		code  int
		count map[string]int
		codes map[string]int
	}{
		"RejectedRows": {"Ana,300 CASA,10 %\n", exitRejected, map[string]int{"invalid": 1, "accepted": 3}, nil},
		"Failed":       {scenario("1002"), exitUnfinished, map[string]int{"failed": 1, "accepted": 3}, map[string]int{"1002": 1}},
		"InDoubt":      {scenario("0502"), exitUnfinished, map[string]int{"in_doubt": 1, "accepted": 3}, map[string]int{"http_502": 1}},
		"Unlisted":     {scenario("9999"), exitUnfinished, map[string]int{"in_doubt": 1, "accepted": 3}, map[string]int{"9999": 1}},
		"Retried":      {scenario("0429"), exitOK, map[string]int{"accepted": 4}, nil},
		"FailedFirst": {scenario("1010") + "Ana,300 CASA,10 %\n", exitUnfinished,
			map[string]int{"failed": 1, "invalid": 1, "accepted": 3}, map[string]int{"1010": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, simulator.Options{})
			h.work()
			path := h.file("prueba.csv", people(3)+c.rows)
			doc := checkShape(h.do(launching(path, name, "--wait", "--json")...).exits(c.code), runNames)
			for state, n := range doc.Status.Counts {
				if n != c.count[state] {
					t.Errorf("%d rows are %s, want %d", n, state, c.count[state])
				}
			}
			if len(doc.Status.Codes) != len(c.codes) {
				t.Errorf("codes %v, want %v", doc.Status.Codes, c.codes)
			}
			for code, n := range c.codes {
				if doc.Status.Codes[code] != n {
					t.Errorf("codes %v, want %v", doc.Status.Codes, c.codes)
				}
			}
			// The same once more says the same, starts nothing and sends nothing.
			sent, _ := h.provider.Total()
			again := checkShape(h.do(launching(path, name, "--wait", "--json")...).exits(c.code), runNames)
			if now, _ := h.provider.Total(); now != sent || !again.Existing || again.Campaign != doc.Campaign {
				t.Errorf("repeated: campaign %q existing %v, %d messages more", again.Campaign, again.Existing, now-sent)
			}
		})
	}
}

func TestTheSameCommandFindsTheSameCampaign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("cinco.csv", people(5))
	first := checkShape(h.do(launching(path, "Única", "--json")...).exits(exitOK), runNames)
	if first.Existing || first.Status != nil || !regexp.MustCompile(`^unica-[0-9a-f]{8}$`).MatchString(first.Campaign) {
		t.Errorf("first launch: %+v", first)
	}
	second := checkShape(h.do(launching(path, "Única", "--json")...).exits(exitOK), runNames)
	if !second.Existing || second.Campaign != first.Campaign {
		t.Errorf("second launch: %+v", second)
	}
	h.do(launching(path, "Única")...).exits(exitOK).shows("Esta campaña ya se lanzó: "+first.Campaign+" (enviando)", "--again")
	h.with("LANG=en_US.UTF-8").do(launching(path, "Única")...).exits(exitOK).shows("was launched before: " + first.Campaign + " (running)")
	another := checkShape(h.do(launching(path, "Única", "--again", "--json")...).exits(exitOK), runNames)
	if another.Existing || another.Campaign != first.Campaign+"-2" {
		t.Errorf("--again: %+v", another)
	}
	renamed := h.do(launching(path, "Otra", "--json")...).exits(exitOK)
	renamed.says("Aviso: la campaña " + first.Campaign + " tuvo exactamente las mismas filas")
	if doc := checkShape(renamed, runNames); doc.Existing || len(doc.SameContent) != 2 {
		t.Errorf("another name: %+v", doc)
	}
	if list := parsed[[]statusDoc](h.do("list", "--json").exits(exitOK)); len(list) != 3 {
		t.Errorf("%d campaigns", len(list))
	}
	h.sent(0)
}

func TestDryRunDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	doc := checkShape(h.do(launching(promo, "Ensayo", "--dry-run", "--json")...).exits(exitRejected).silentOnStderr(), checkNames)
	if doc.Plan.Messages != 54 {
		t.Errorf("plan %+v", doc.Plan)
	}
	h.do(launching(promo, "Ensayo", "--dry-run")...).exits(exitRejected).shows("Plan: 54 mensajes")
	h.untouched()
	h.with("REDIS_URL=redis://127.0.0.1:1/0").do(launching(promo, "Ensayo", "--dry-run")...).exits(exitRejected)
}

func TestRunInTheFutureIsScheduled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	path := h.file("dos.csv", people(2))
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	doc := checkShape(h.do(launching(path, "Luego", "--at", at.Format(time.RFC3339), "--json")...).exits(exitOK), runNames)
	if doc.Plan.FinishesAt == nil || doc.Plan.FinishesAt.Before(at) {
		t.Errorf("plan %+v for a start at %s", doc.Plan, at)
	}
	s := statusOf(h.do("status", doc.Campaign, "--json").exits(exitOK))
	if s.State != "scheduled" || s.Scheduled == nil || !s.Scheduled.Equal(at) || s.ETA != nil || s.Counts["queued"] != 2 {
		t.Errorf("%+v", s)
	}
	h.do("status", doc.Campaign).exits(exitOK).shows("programada")
	h.do(launching(path, "Luego")...).exits(exitOK).shows("ya se lanzó: " + doc.Campaign + " (programada)")
	// A time without a zone is Colombia's. One that has passed is a mistake: nothing may leave because of it.
	h.do(launching(path, "Antes", "--at", "2020-02-29 08:00", "--wait")...).exits(exitUsage).
		says("La hora de --at ya pasó (2020-02-29 08:00:00 (hora de Colombia))")
	h.sent(0)
}

func TestWrongCredentialsLaunchNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	for _, wrong := range []string{"CONTACTOVIRTUAL_TOKEN=canary-wrong-token", "CONTACTOVIRTUAL_LOGIN=canary-wrong@example.com"} {
		for _, flags := range [][]string{nil, {"--json"}, {"--wait"}, {"--dry-run"}, {"--embedded"}} {
			o := h.with(wrong).do(launching(promo, "Mala", flags...)...).exits(exitAuth).silent()
			o.says("El proveedor no reconoce el usuario o el token")
			if strings.Contains(o.err, "canary-wrong") {
				t.Errorf("the credential is shown:\n%s", o.err)
			}
		}
	}
	h.untouched()
	noBot := newHouse(t, simulator.Options{NoChatbot: true})
	noBot.do(launching(promo, "Mala")...).exits(exitAuth).silent().says("no tiene chatbot")
	noBot.untouched()
}

func TestUnreachableProviderLeavesTheBalanceUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	away := h.with("CONTACTOVIRTUAL_URL=http://127.0.0.1:1")
	path := h.file("dos.csv", people(2))
	doc := checkShape(away.do(launching(path, "Ciega", "--json")...).exits(exitOK), runNames)
	if doc.Plan.Balance != nil || doc.Plan.Cost == nil || *doc.Plan.Cost != 2 {
		t.Errorf("plan %+v", doc.Plan)
	}
	if s := statusOf(h.do("status", doc.Campaign, "--json").exits(exitOK)); s.State != "running" {
		t.Errorf("%+v", s)
	}
	away.do("check", path).exits(exitOK).shows("saldo desconocido")
	away.do("balance").exits(exitUnavailable).silent().says("No hubo respuesta útil del proveedor")
	away.do("templates", "--json").exits(exitUnavailable).silent()
}

func TestAProviderThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	gone := make(chan struct{})
	deaf := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1<<16)) // the server notices a client that goes once it has read
		select {
		case <-r.Context().Done():
		case <-gone:
		}
	}))
	defer deaf.Close()
	defer close(gone)
	var out, errs strings.Builder
	a := newApp(h.with("CONTACTOVIRTUAL_URL="+deaf.URL).env, strings.NewReader(""), &out, &errs)
	a.patience = 50 * time.Millisecond
	root := a.root()
	root.SetArgs([]string{"check", h.file("dos.csv", people(2))})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if code := a.exit(ctx, root.ExecuteContext(ctx)); code != exitOK || !strings.Contains(out.String(), "saldo desconocido") {
		t.Errorf("exit %d\n%s\n%s", code, out.String(), errs.String())
	}
}

func TestBalanceThatDoesNotCover(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{Balance: 4})
	path := h.file("seis.csv", people(6)+"Ana,300 CASA,10 %\n")
	o := h.do(launching(path, "Pobre", "--json")...).exits(exitBalance).says("El saldo no alcanza", "--until-balance-ends")
	if doc := checkShape(o, checkNames); *doc.Plan.Cost != 6 || *doc.Plan.Balance != 4 {
		t.Errorf("plan %+v", doc.Plan)
	}
	h.do(launching(path, "Pobre")...).exits(exitBalance).shows("costo 6, saldo 4")
	h.untouched()

	h.work()
	doc := checkShape(h.do(launching(path, "Pobre", "--until-balance-ends", "--wait", "--json")...).exits(exitBalance), runNames)
	s := *doc.Status
	if s.State != "paused" || s.Reason != "balance" || s.Counts["accepted"] != 4 || s.Counts["queued"] != 2 {
		t.Errorf("out of balance: %+v", s)
	}
	h.do("status", doc.Campaign).exits(exitOK).shows("en pausa (sin saldo; sigue sola después de recargar)")
	h.provider.SetBalance(100)
	if s := statusOf(h.do("resume", doc.Campaign, "--json").exits(exitOK)); s.State != "running" {
		t.Errorf("resumed: %+v", s)
	}
	statusOf(h.do("status", doc.Campaign, "--follow", "--json").exits(exitRejected))
	h.sent(6)

	// What it cost is spent: repeating the command finds the campaign instead of asking for the money again.
	h.provider.SetBalance(0)
	doc = checkShape(h.do(launching(path, "Pobre", "--json")...).exits(exitRejected), runNames)
	if !doc.Existing {
		t.Errorf("the same command: %+v", doc)
	}
	h.sent(6)
}

func TestCredentialsThatStopWorkingPauseTheCampaign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{Jitter: time.Second}) // the first answer comes long before the last
	h.with("CONTACTOVIRTUAL_TOKEN=" + token + "-old").work()
	doc := checkShape(h.do(launching(h.file("veinte.csv", people(20)), "Cerrada", "--wait", "--json")...).exits(exitAuth), runNames)
	if s := doc.Status; s.State != "paused" || s.Reason != "account" || s.Counts["queued"] != 20 {
		t.Errorf("%+v", s)
	}
	h.do("status", doc.Campaign).exits(exitOK).shows("la cuenta no puede enviar")
	h.sent(0)
}

func TestAForeignTemplatePausesTheCampaign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	o := h.do("run", h.file("tres.csv", people(3)), "--name", "Ajena", "--template", "777", "--any-hour", "--rate", "1",
		"--wait", "--json") // one a second: the first answer comes before the second message
	if s := checkShape(o.exits(exitUnfinished), runNames).Status; s.State != "paused" || s.Reason != "template" {
		t.Errorf("%+v", s)
	}
	h.sent(0)
}

func TestNothingToSend(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("malos.csv", "Nombre,Celular,Descuento\nAna,300 CASA,1\nLuis,CASA,2\n")
	o := h.do(launching(path, "Nada", "--json")...).exits(exitRejected).says("no se lanzó nada")
	if doc := checkShape(o, checkNames); doc.Invalid != 2 || doc.Plan.FinishesAt != nil {
		t.Errorf("%+v", doc)
	}
	h.untouched()
}

// tripwire is a stream that tells when a text was written to it.
type tripwire struct {
	safeBuffer
	text string
	once sync.Once
	seen func()
}

func (s *tripwire) Write(p []byte) (int, error) {
	n, err := s.safeBuffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.once.Do(s.seen)
	}
	return n, err
}

func TestInterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("tres.csv", people(3))
	for _, flags := range [][]string{{"--wait"}, {"--wait", "--json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		var out strings.Builder
		errs := &tripwire{text: "0 de 3 filas", seen: cancel}
		o := outcome{t, run(ctx, launching(path, "Espera", flags...), h.env, strings.NewReader(""), &out, errs), out.String(), errs.String()}
		cancel()
		o.exits(exitInterrupted).says("La campaña sigue. Véala con: enqueue status espera-", "Interrumpido")
		if len(flags) == 2 {
			if doc := checkShape(o, runNames); doc.Status == nil || doc.Status.State != "running" {
				t.Errorf("%+v", doc)
			}
		}
	}
	h.work()
	list := parsed[[]statusDoc](h.do("list", "--json"))
	if len(list) != 1 {
		t.Fatalf("%d campaigns", len(list))
	}
	statusOf(h.do("status", list[0].Campaign, "--follow", "--json").exits(exitOK))
	h.sent(3)
}

func TestRedisThatGoesAwayWhileWaiting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	var out strings.Builder
	errs := &tripwire{text: "0 de 3 filas", seen: func() { go h.redis.Close() }}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	code := run(ctx, launching(h.file("tres.csv", people(3)), "Perdida", "--wait"), h.env, strings.NewReader(""), &out, errs)
	outcome{t, code, out.String(), errs.String()}.exits(exitUnavailable).says("Se perdió la conexión con Redis")
}

func TestNamesAreSafeOnTerminals(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), " \x1b[31mRojo\x07\n y  azul\u0085")
	if s := statusOf(h.do("status", id, "--json")); s.Name != "[31mRojo y azul" {
		t.Errorf("the name is %q", s.Name)
	}
	h.do("run", h.file("dos.csv", people(2)), "--name", "\x1b\n", "--template", "991").exits(exitUsage).says("--name")
}

func TestRateIsTheSmallerOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("dos.csv", people(2))
	for flag, want := range map[string]float64{"20": 20, "0.5": 0.5, "900": 500, "0": 500} {
		if s := statusOf(h.do("status", h.launched(path, "R "+flag, "--rate", flag), "--json")); s.Rate != want {
			t.Errorf("--rate %s makes %g", flag, s.Rate)
		}
	}
}
