package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"pregon/providers/simulator"
)

// launched launches a file and returns the campaign.
func (h *house) launched(path, name string, more ...string) string {
	h.t.Helper()
	return checkShape(h.do(launching(path, name, append(more, "--json")...)...), runNames).Campaign
}

func TestSteering(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.do("list").exits(exitOK).shows("No hay campañas.")
	if list := parsed[[]statusDoc](h.do("list", "--json").exits(exitOK)); list == nil || len(list) != 0 {
		t.Errorf("an empty list is %v", list)
	}
	id := h.launched(h.file("seis.csv", people(6)+"Ana,300 CASA,10 %\n"), "Vida")
	for _, c := range []struct {
		args          []string
		state, reason string
		words         []string
	}{
		{[]string{"status", id}, "running", "", []string{"Vida · " + id + " · enviando", "En cola", "No válido", "Total de filas"}},
		{[]string{"pause", id, "--reason", "falta el visto bueno"}, "paused", "operator",
			[]string{"en pausa (la pausó una persona; siga con: enqueue resume)", "falta el visto bueno"}},
		{[]string{"pause", id, "--reason", "otra vez"}, "paused", "operator", []string{"otra vez"}},
		{[]string{"resume", id}, "running", "", []string{"enviando"}},
		{[]string{"resume", id}, "running", "", []string{"enviando"}},
		{[]string{"cancel", id, "--reason", "fecha mala"}, "cancelled", "operator", []string{"cancelada", "Cancelado"}},
		{[]string{"cancel", id}, "cancelled", "operator", []string{"cancelada"}},
	} {
		h.do(c.args...).exits(exitOK).silentOnStderr().shows(c.words...)
		s := statusOf(h.do(append(c.args, "--json")...).exits(exitOK).silentOnStderr())
		if s.State != c.state || s.Reason != c.reason || s.Total != 7 || s.Counts["invalid"] != 1 {
			t.Errorf("%v: %+v", c.args, s)
		}
		if (s.ETA != nil) != (c.state == "running") {
			t.Errorf("%v: eta %v in state %s", c.args, s.ETA, s.State)
		}
	}
	s := statusOf(h.do("status", id, "--json"))
	if s.Counts["cancelled"] != 6 || s.FinishedAt == nil {
		t.Errorf("cancelled: %+v", s)
	}
	for _, verb := range []string{"pause", "resume"} {
		h.do(verb, id).exits(exitUsage).silent().says("La campaña está así: cancelada")
		h.with("PREGON_LANG=en").do(verb, id, "--json").exits(exitUsage).silent().says("The campaign is: cancelled")
	}
	h.do("list").exits(exitOK).shows("CAMPAÑA", "Vida", "cancelada")
	h.do("status").exits(exitOK).shows("Vida")
	h.work()
	statusOf(h.do("status", id, "--follow", "--json").exits(exitRejected))
	h.sent(0)
}

func TestPausedCampaignsSendNothingAndGoOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("cinco.csv", people(5)), "Quieta")
	h.do("pause", id).exits(exitOK)
	h.work()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // longer than a worker needs to begin
	defer cancel()
	if h.provider.Wait(ctx, 1) == nil {
		t.Fatal("a paused campaign sends")
	}
	h.do("resume", id).exits(exitOK)
	statusOf(h.do("status", id, "--follow", "--json").exits(exitOK))
	h.sent(5)
	h.do("pause", id).exits(exitUsage).says("La campaña está así: terminada")
	h.do("cancel", id).exits(exitUsage).says("La campaña está así: terminada")
}

func TestUnknownCampaigns(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	for _, command := range []string{"status", "pause", "resume", "cancel", "results", "doubt", "retry"} {
		h.do(command, "nadie-12345678").exits(exitUsage).silent().says("No existe esa campaña", "enqueue list")
		h.with("PREGON_LANG=en").do(command, "nadie-12345678", "--json").exits(exitUsage).silent().says("There is no such campaign")
	}
	h.do("status", "nadie-12345678", "--follow").exits(exitUsage).silent()
	h.untouched()
}

func TestResults(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	path := h.file("mezcla.csv", people(2)+scenario("1002")+"Ana,300 CASA,10 %\n"+person+","+phone(0)+",10 %\n")
	id := h.launched(path, "Mezcla", "--wait")

	rows := parsed[[]resultDoc](h.do("results", id, "--json").exits(exitOK).silentOnStderr())
	states := []string{}
	for i, r := range rows {
		states = append(states, r.State)
		if r.Row != i+2 {
			t.Errorf("row %d is called %d", i+2, r.Row)
		}
	}
	if want := []string{"accepted", "accepted", "failed", "invalid", "skipped"}; !slices.Equal(states, want) {
		t.Fatalf("states %q, want %q", states, want)
	}
	if r := rows[0]; r.Phone != "57"+phone(0) || r.MessageID == "" || r.Attempts != 1 || r.ChangedAt == nil || r.Vars[0] != person {
		t.Errorf("an accepted row: %+v", r)
	}
	if r := rows[2]; r.Code != "1002" || !strings.Contains(r.Reason, "WhatsApp") || len(r.History) != 1 || r.History[0].Code != "1002" {
		t.Errorf("a failed row: %+v", r)
	}
	if r := rows[3]; r.Code != "phone_letters" || r.Column != "Celular" || !strings.Contains(r.Reason, "300 CASA") {
		t.Errorf("an invalid row: %+v", r)
	}
	if r := rows[4]; r.Code != "duplicate" || !strings.Contains(r.Reason, "fila 2") {
		t.Errorf("a skipped row: %+v", r)
	}

	o := h.do("results", id).exits(exitOK).silentOnStderr()
	table := csv.NewReader(strings.NewReader(strings.TrimPrefix(o.out, "\ufeff")))
	table.Comma = ';'
	cells, err := table.ReadAll()
	if err != nil || len(cells) != 6 || cells[0][1] != "Teléfono" || cells[3][2] != "Fallido" {
		t.Errorf("CSV: %v\n%s", err, o.out)
	}
	h.with("PREGON_LANG=en").do("results", id).exits(exitOK).shows("Row,Phone,State", "Failed")
	h.writtenResults(id, rows)
}

// writtenResults checks the formats of -o.
func (h *house) writtenResults(id string, rows []resultDoc) {
	t := h.t
	t.Helper()
	dir := t.TempDir()
	place := func(name string) string { return filepath.Join(dir, name) }
	h.do("results", id, "-o", place("r.jsonl")).exits(exitOK).shows("5 filas en ")
	written := lines[resultDoc](t, read(t, place("r.jsonl")))
	if len(written) != len(rows) || written[2].Code != "1002" {
		t.Errorf("JSON lines: %+v", written)
	}
	doc := parsed[map[string]any](h.do("results", id, "-o", place("r.csv"), "--json").exits(exitOK).silentOnStderr())
	if doc["rows"] != 5.0 || doc["file"] != place("r.csv") || doc["campaign"] != id {
		t.Errorf("%v", doc)
	}
	h.do("results", id, "-o", place("r.XLSX")).exits(exitOK)
	book, err := excelize.OpenFile(place("r.XLSX"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	if cell, err := book.GetCellValue("Sheet1", "B2"); err != nil || cell != "57"+phone(0) {
		t.Errorf("the phone in the workbook is %q (%v)", cell, err)
	}
	h.do("results", id, "-o", place("r.pdf")).exits(exitUsage).silent().says(".csv, .xlsx o .jsonl")
	h.do("results", id, "-o", filepath.Join(dir, "nada", "r.csv")).exits(exitUsage).silent()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Errorf("%d files are left (%v), want the three results", len(names), err)
	}
	for _, n := range names {
		if info, err := n.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, with people in it, has mode %v (%v)", n.Name(), info.Mode(), err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestResultsOfARowThatLooksLikeAFormula(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("formula.csv", "Nombre,Celular,Descuento,Ref\nAna,3005562001,1,=1+1\n"), "F", "--custom-field", "Ref")
	h.do("results", id).exits(exitOK).shows(";'=1+1")
}

func TestAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.do("balance").exits(exitOK).shows("contactovirtual: saldo 1.000.000\n").silentOnStderr()
	h.with("LC_ALL=en_US.UTF-8").do("balance").exits(exitOK).shows("contactovirtual: balance 1,000,000\n")
	balance := shape(t, "balance", parsed[any](h.do("balance", "--json").exits(exitOK)), []string{"account", "balance", "raw"})
	if balance["balance"] != 1e6 || balance["account"] != "contactovirtual" {
		t.Errorf("%v", balance)
	}
	list := parsed[[]any](h.do("templates", "--json").exits(exitOK))
	if len(list) != 3 {
		t.Fatalf("%d templates", len(list))
	}
	first := shape(t, "template", list[0], []string{"id", "name", "text", "status", "variables"})
	if first["name"] != "Asignación de cita" || first["variables"] != 3.0 {
		t.Errorf("%v", first)
	}
	h.do("templates").exits(exitOK).shows("NOMBRE", "Promoción")

	none := newHouse(t, simulator.Options{Templates: []simulator.Template{}})
	if list := parsed[[]any](none.do("templates", "--json").exits(exitOK)); list == nil || len(list) != 0 {
		t.Errorf("no templates are %v", list)
	}
	odd := newHouse(t, simulator.Options{Balance: 1163, Oddities: simulator.Oddities{GroupedBalance: true, BOM: true, Notice: true}})
	odd.do("balance").exits(exitOK).shows("saldo 1.163\n")
	refused := h.with("CONTACTOVIRTUAL_LOGIN=other@example.com")
	refused.do("balance", "--json").exits(exitAuth).silent().says("El proveedor no reconoce")
	refused.do("templates").exits(exitAuth).silent()
}

func TestAccountsFileGivesIDsAndNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	url := ""
	for _, e := range h.env {
		if rest, ok := strings.CutPrefix(e, "CONTACTOVIRTUAL_URL="); ok {
			url = rest
		}
	}
	accounts := h.file("cuentas.yaml", "accounts:\n"+account("norte", url)+account("sur", url))
	h.env = []string{"REDIS_URL=redis://" + h.redis.Addr(), "XDG_CONFIG_HOME=" + t.TempDir(), "ACCOUNTS_FILE=" + accounts,
		"THE_LOGIN=" + login, "THE_TOKEN=" + token}
	list := parsed[[]map[string]any](h.do("templates", "--account", "sur", "--json").exits(exitOK))
	if list[1]["id"] != "991" {
		t.Errorf("%v", list)
	}
	h.do("balance").exits(exitUsage).silent().says("norte, sur")
	h.do("balance", "--account", "este").exits(exitUsage).silent().says(`No hay una cuenta "este"; hay: norte, sur`)
	h.do("balance", "--account", "norte").exits(exitOK).shows("norte: saldo")
	// The template's text is found by its name, so the number of variables is verified.
	doc := checkShape(h.do("check", h.file("a.csv", people(2)), "--account", "sur", "--template", "991", "--json").exits(exitOK), checkNames)
	for _, n := range doc.Notes {
		if strings.Contains(n.Code, "unverified") {
			t.Errorf("%+v", n)
		}
	}
	short := h.file("corto.csv", "Nombre,Celular\nAna,3005562001\n")
	o := h.do("check", short, "--account", "sur", "--template", "991")
	if o.code == exitOK {
		t.Errorf("a file without the second variable passes:\n%s", o.out)
	}
}

func account(name, url string) string {
	return "  - name: " + name + "\n    provider: contactovirtual\n    url: " + url + "\n    login: ${THE_LOGIN}\n    token: ${THE_TOKEN}\n" +
		"    templates:\n      \"991\": {name: Promoción}\n"
}
