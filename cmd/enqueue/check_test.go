package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pregon/providers/simulator"
)

const (
	promo = "../../samples/promo.csv"
	citas = "../../samples/citas.xlsx"
)

func TestCheckTellsOfASemicolonFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	doc := checkShape(h.do("check", promo, "--json").exits(exitRejected).silentOnStderr(), checkNames)
	if doc.File != "promo.csv" || doc.Format != "csv" || doc.Encoding != "windows-1252" || doc.Delimiter != ";" || doc.HeaderRow != 1 {
		t.Errorf("read as %+v", doc)
	}
	if doc.Rows != 60 || doc.Valid != 54 || doc.Invalid != 5 || doc.Skipped != 1 {
		t.Errorf("%d rows: %d valid, %d invalid, %d skipped", doc.Rows, doc.Valid, doc.Invalid, doc.Skipped)
	}
	if diff := cmp.Diff(columnsDoc{Phone: "Teléfono", Vars: []string{"Nombre", "Descuento"}}, doc.Columns); diff != "" {
		t.Error(diff)
	}
	cost, balance := 54.0, float64(simulator.DefaultBalance)
	if diff := cmp.Diff(planDoc{Messages: 54, Cost: &cost, Balance: &balance, FinishesAt: doc.Plan.FinishesAt}, doc.Plan); diff != "" {
		t.Error(diff)
	}
	if doc.Plan.FinishesAt == nil {
		t.Error("no time at which it finishes")
	}
	i := slices.IndexFunc(doc.Problems, func(p problemDoc) bool { return p.Row == 13 })
	if i < 0 || doc.Problems[i].Value != "5,73E+11" || doc.Problems[i].Column != "Teléfono" || doc.Problems[i].Fix == "" {
		t.Errorf("row 13: %+v", doc.Problems)
	}
	h.untouched()
}

func (o outcome) silentOnStderr() outcome {
	o.t.Helper()
	if o.err != "" {
		o.t.Errorf("stderr has:\n%s", o.err)
	}
	return o
}

func TestCheckSpeaksToPeople(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.do("check", promo).exits(exitRejected).silentOnStderr().shows(
		"promo.csv (csv, windows-1252, \";\"), títulos en la fila 1",
		"60 filas: 54 se envían, 5 rechazadas, 1 omitida, 0 avisos", "Fila 13, Teléfono: «5,73E+11»",
		"Plan: 54 mensajes, costo 54, saldo 1.000.000, termina 20", "(hora de Colombia)")
	h.with("PREGON_LANG=en").do("check", promo).exits(exitRejected).shows(
		"60 rows: 54 to be sent, 5 rejected, 1 skipped, 0 warnings", "Row 13, Teléfono:",
		"Plan: 54 messages, cost 54, balance 1,000,000, ends 20")
	one := h.file("uno.csv", people(1))
	h.do("check", one).exits(exitOK).shows("1 fila: 1 se envía, 0 rechazadas, 0 omitidas", "Plan: 1 mensaje, costo 1,")
	h.with("PREGON_LANG=en").do("check", one).exits(exitOK).shows("1 row: 1 to be sent, 0 rejected", "Plan: 1 message, cost 1,")
	h.do("check", citas, "--template", "990").exits(exitRejected).shows("citas.xlsx (xlsx, Citas), títulos en la fila 2")
	h.untouched()
}

func TestCheckReadsStandardInputAndPipes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	content, err := os.ReadFile(promo)
	if err != nil {
		t.Fatal(err)
	}
	named := checkShape(h.do("check", promo, "--json"), checkNames)
	piped := checkShape(h.doWith(t.Context(), strings.NewReader(string(content)), "check", "-", "--json").exits(exitRejected), checkNames)
	if piped.File != "stdin" {
		t.Errorf("standard input is called %q", piped.File)
	}
	fifo := filepath.Join(h.dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(fifo, content, 0) }()
	fromPipe := checkShape(h.do("check", fifo, "--json").exits(exitRejected), checkNames)
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	for _, doc := range []*checkDoc{&named, &piped, &fromPipe} {
		doc.File, doc.Plan = "", planDoc{}
	}
	if diff := cmp.Diff(named, piped); diff != "" {
		t.Errorf("standard input reads otherwise:\n%s", diff)
	}
	if diff := cmp.Diff(named, fromPipe); diff != "" {
		t.Errorf("a pipe reads otherwise:\n%s", diff)
	}
}

func TestCheckNeedsNoAccountAndNoRedis(t *testing.T) {
	t.Parallel()
	h := &house{t: t, env: []string{"REDIS_URL=redis://127.0.0.1:1/0"}}
	doc := checkShape(h.do("check", promo, "--json").exits(exitRejected), checkNames)
	if doc.Plan.Messages != 54 || doc.Plan.Balance != nil || doc.Plan.Cost != nil || doc.Plan.FinishesAt != nil {
		t.Errorf("the plan of nobody's account is %+v", doc.Plan)
	}
	o := h.do("check", promo)
	if strings.Contains(o.out, "saldo") {
		t.Errorf("a balance is shown without an account:\n%s", o.out)
	}
}

func TestCheckSaysThatTheAccountIsRefusedAndReportsTheFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{}).with("CONTACTOVIRTUAL_TOKEN=" + token + "x")
	o := h.do("check", h.file("dos.csv", people(2))).exits(exitAuth)
	o.says("El proveedor no reconoce el usuario o el token").shows("2 filas", "Plan: 2 mensajes, costo 2")
}

func TestMappingFlags(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("raro.csv", "Saludo;Tel 1;Tel 2;Ref;Foto\nHola;3005562001;3005562002;A-1;https://example.com/a.png\n"+
		";3005562003;3005562001;A-2;https://example.com/b.png\n")
	doc := checkShape(h.do("check", path, "--phone", "Tel 2", "--var", "1=Saludo", "--var", "2==15 %", "--default", "1=Buen día",
		"--custom-field", "Ref", "--media", "Foto", "--json").exits(exitOK), checkNames)
	want := columnsDoc{
		Phone: "Tel 2", Vars: []string{"Saludo", "=15 %"}, Media: "Foto", CustomField: "Ref", Unused: []string{"Tel 1"},
	}
	if diff := cmp.Diff(want, doc.Columns); diff != "" {
		t.Error(diff)
	}
	twice := h.file("dos.csv", "Celular\n3005562001\n3005562001\n")
	if doc := checkShape(h.do("check", twice, "--json").exits(exitOK), checkNames); doc.Valid != 1 || doc.Skipped != 1 {
		t.Errorf("dropping duplicates: %d valid, %d skipped", doc.Valid, doc.Skipped)
	}
	if doc := checkShape(h.do("check", twice, "--duplicates", "keep", "--json").exits(exitOK), checkNames); doc.Valid != 2 || doc.Warnings == 0 {
		t.Errorf("keeping duplicates: %d valid, %d warnings", doc.Valid, doc.Warnings)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	binary := h.file("foto.csv", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xfe")
	for name, c := range map[string]struct{ path, es, en string }{
		"Empty":       {"../../samples/bad/empty.csv", "está vacío", "empty"},
		"NoPhone":     {"../../samples/bad/no-phone.csv", "«Nombre», «Ciudad», «Correo»", "«Nombre», «Ciudad», «Correo»"},
		"OpenQuote":   {"../../samples/bad/unclosed-quote.csv", "línea 3", "line 3"},
		"Truncated":   {"../../samples/bad/truncated.xlsx", "incompleto o dañado", "damaged"},
		"Bomb":        {"../../samples/bad/bomb-like.xlsx", "archivos hechos para dañar", "made to do harm"},
		"NotThere":    {filepath.Join(h.dir, "nada.csv"), "No existe el archivo", "There is no file"},
		"Directory":   {h.dir, "no es un archivo", "is not a file"},
		"AnotherKind": {binary, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := *h
			h.t = t
			for _, command := range [][]string{
				{"check", c.path}, {"check", c.path, "--json"},
				{"run", c.path, "--name", "Mala", "--template", "991", "--any-hour"},
				{"run", c.path, "--name", "Mala", "--template", "991", "--any-hour", "--json", "--wait"},
			} {
				h.do(command...).exits(exitUsage).silent().says("enqueue: ", c.es)
				h.with("PREGON_LANG=en").do(command...).exits(exitUsage).silent().says("enqueue: ", c.en)
			}
			h.untouched()
		})
	}
}

func TestReadingStandardInputCanBeInterrupted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	read, write := io.Pipe()
	defer func() { _ = write.Close() }() // lets the reader go
	late := time.AfterFunc(deadline, func() { _ = write.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(write, people(1)) // read: the program is at it
		cancel()
	}()
	h.doWith(ctx, read, "check", "-").exits(exitInterrupted).silent().says("Interrumpido")
	if !late.Stop() {
		t.Error("it went on reading")
	}
}
