package jobs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"pregon/internal/ledger"
	"pregon/providers"
)

// described is a provider that explains one code.
type described struct{ fake }

func (*described) Describe(code string) (providers.Meaning, bool) {
	if code != "1002" {
		return providers.Meaning{}, false
	}
	return providers.Meaning{ES: "El número no tiene WhatsApp.", EN: "The number is not on WhatsApp."}, true
}

func sampleResults() []Result {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.Local)
	return []Result{
		{Row: 2, Phone: "573187772000", State: ledger.Accepted, MessageID: "0e1add43", Attempts: 1, ChangedAt: &at},
		{Row: 3, Phone: "573187772001", State: ledger.Failed, Code: "1002", Attempts: 2, ChangedAt: &at, History: []Attempt{
			{Attempt: 1, At: &at, TookMS: 300, State: ledger.Waiting, Class: "not_now", Code: "429"},
			{Attempt: 2, At: &at, State: ledger.Failed, Class: "rejected", Code: "1002"},
		}},
		{Row: 4, Phone: "573187772002", State: ledger.InDoubt, Code: "worker_lost", Attempts: 1},
		{Row: 5, Phone: "573187772003", State: ledger.InDoubt, Code: "9999", Attempts: 1},
		{Row: 6, State: ledger.InvalidRow, Code: "phone_letters", Column: "celular",
			problem: &ledger.Problem{Code: "phone_letters", Column: "celular", Value: "31x"}},
		{Row: 7, Phone: "573187772004", State: ledger.Queued, Custom: `=HYPERLINK("http://x";"a")`},
		{Row: 8, Phone: "573187772005", State: ledger.Queued, Custom: "+1", History: []Attempt{{Class: "=1+1"}}},
		{Row: 9, Phone: "573187772006", State: ledger.Queued, Custom: "-1;2\r\n\"3\""},
		{Row: 10, Phone: "573187772007", State: ledger.Queued, Custom: "@SUM(A1)"},
		{Row: 11, Phone: "573187772008", State: ledger.Queued, Custom: "\t=1"},
		{Row: 12, Phone: "573187772009", State: ledger.Queued, Custom: "\r=1"},
		{Row: 13, Phone: "573187772010", State: ledger.Queued, Custom: "Ñuñoa 1=1"},
		{Row: 14, Phone: "573187772011", State: ledger.Queued, Custom: "\n=1"},
	}
}

func sequence(results []Result, last error) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for _, r := range results {
			if !yield(r, nil) {
				return
			}
		}
		if last != nil {
			yield(Result{}, last)
		}
	}
}

func export(t *testing.T, lang string, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	x := Export{Account: Account{Name: "cv", Provider: new(described)}, Lang: lang}
	if err := x.Write(&b, f, sequence(sampleResults(), nil)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// table is what a spreadsheet program finds in the CSV, in rows below the header.
func table(t *testing.T, text []byte, comma rune) (header []string, rows [][]string) {
	t.Helper()
	rest, ok := bytes.CutPrefix(text, []byte("\ufeff"))
	if !ok {
		t.Error("no byte-order mark: a double click shows accents wrongly")
	}
	r := csv.NewReader(bytes.NewReader(rest))
	r.Comma = comma
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

func TestCSVForPeople(t *testing.T) {
	t.Parallel()
	header, rows := table(t, export(t, "es", CSV), ';')
	want := []string{"Fila", "Teléfono", "Estado", "Código", "Motivo", "messageId", "Intentos", "Fecha", "Referencia", "Historial"}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if len(rows) != len(sampleResults()) {
		t.Fatalf("%d rows", len(rows))
	}
	wants := map[int][]string{
		0: {"2", "573187772000", "Aceptado", "", "", "0e1add43", "1", "2026-11-20 10:00:00", "", ""},
		1: {"3", "573187772001", "Fallido", "1002", "El número no tiene WhatsApp.", "", "2", "2026-11-20 10:00:00", "",
			"10:00:00 ahora no 429 (0,3 s); 10:00:00 rechazado 1002 (<0,1 s)"},
	}
	for i, want := range wants {
		if diff := cmp.Diff(want, rows[i]); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
	}
	if why := rows[4][4]; !strings.Contains(why, "31x") {
		t.Errorf("an invalid row says %q", why)
	}
	if why := rows[3][4]; !strings.Contains(why, "9999") || !strings.Contains(why, "no describe") {
		t.Errorf("an unlisted code says %q", why)
	}
	english, rows := table(t, export(t, "en", CSV), ',')
	if english[0] != "Row" || rows[1][2] != "Failed" || rows[1][4] != "The number is not on WhatsApp." {
		t.Errorf("English: %v %v", english, rows[1])
	}
}

func TestNoCellIsTakenForAFormula(t *testing.T) {
	t.Parallel()
	_, rows := table(t, export(t, "es", CSV), ';')
	results := sampleResults()
	for i, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("row %s has the cell %q", row[0], cell)
			}
		}
		// The CSV writer has one kind of line end, and its reader another.
		want := strings.ReplaceAll(results[i].Custom, "\r", "")
		if got := strings.TrimPrefix(row[8], "'"); got != want {
			t.Errorf("row %s: reference %q, want %q", row[0], got, want)
		}
	}
	if rows[11][8] != "Ñuñoa 1=1" {
		t.Errorf("a harmless cell became %q", rows[11][8])
	}
}

func TestXLSXKeepsPhonesAsText(t *testing.T) {
	t.Parallel()
	book, err := excelize.OpenReader(bytes.NewReader(export(t, "es", XLSX)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	sheet := book.GetSheetName(0)
	for i, r := range sampleResults() {
		cell := "B" + itoa(i+2)
		text, err := book.GetCellValue(sheet, cell, excelize.Options{RawCellValue: true})
		if err != nil || text != r.Phone {
			t.Errorf("%s holds %q (%v), want %q", cell, text, err, r.Phone)
		}
		if kind, err := book.GetCellType(sheet, cell); err != nil || (r.Phone != "" && kind == excelize.CellTypeNumber) {
			t.Errorf("%s is of type %v (%v), want text", cell, kind, err)
		}
		reference := "I" + itoa(i+2)
		if formula, err := book.GetCellFormula(sheet, reference); err != nil || formula != "" {
			t.Errorf("%s holds the formula %q (%v)", reference, formula, err)
		}
	}
	if header, err := book.GetCellValue(sheet, "C1"); err != nil || header != "Estado" {
		t.Errorf("header %q %v", header, err)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestJSONLForPrograms(t *testing.T) {
	t.Parallel()
	dec := json.NewDecoder(bytes.NewReader(export(t, "es", JSONL)))
	var got []Result
	for {
		var line struct {
			Result
			Reason string `json:"reason"`
		}
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if (line.Code != "") != (line.Reason != "") {
			t.Errorf("row %d has the code %q and the reason %q", line.Row, line.Code, line.Reason)
		}
		got = append(got, line.Result)
	}
	want := sampleResults()
	for i := range want {
		want[i].problem = nil
	}
	ignore := cmp.AllowUnexported(Result{})
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestAnExportThatBreaksOffSaysSo(t *testing.T) {
	t.Parallel()
	broken := errors.New("page 3 is damaged")
	for _, f := range []Format{CSV, XLSX, JSONL} {
		if err := (Export{}).Write(io.Discard, f, sequence(sampleResults(), broken)); !errors.Is(err, broken) {
			t.Errorf("%s: %v", f, err)
		}
		if err := (Export{}).Write(fullDisk{}, f, sequence(sampleResults(), nil)); !errors.Is(err, errFull) {
			t.Errorf("%s on a full disk: %v", f, err)
		}
	}
	if err := (Export{}).Write(io.Discard, "pdf", sequence(nil, nil)); err == nil {
		t.Error("an unknown format was written")
	}
}

var errFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestEveryStateHasWords(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"es", "en"} {
		var seen []string
		for _, state := range ledger.RowStates {
			text := StateText(state, lang)
			if text == "" || (text == string(state)) || slices.Contains(seen, text) {
				t.Errorf("%s in %s reads %q", state, lang, text)
			}
			seen = append(seen, text)
		}
	}
	if got := StateText("new", "es"); got != "new" {
		t.Errorf("an unknown state reads %q", got)
	}
}
