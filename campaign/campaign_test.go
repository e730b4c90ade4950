package campaign

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xuri/excelize/v2"
)

const citaText = "¡Hola *{1}*! Su cita es con el profesional *{2}*. Fecha y hora: *{3}*"

var contactoVirtual = Rules{Prefix: "57", Digits: 12, NoBrackets: true, MaxBody: 1024, MaxCustom: 1000,
	MediaTypes: []string{"pdf", "jpg", "mp3", "txt", "docx", "xlsx", "zip", "mp4", "pptx", "png", "jpeg"}}

func input(name string, b []byte) Input {
	return Input{Name: name, R: bytes.NewReader(b), Size: int64(len(b))}
}

// open opens a file that must open, and closes it with the test.
func open(t *testing.T, name string, b []byte, spec Spec) *File {
	t.Helper()
	f, err := Open(input(name, b), spec)
	if err != nil {
		t.Fatalf("Open: %v: %s", err, textOf(err))
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

func textOf(err error) string {
	if e, ok := errors.AsType[*FileError](err); ok {
		return e.Text("es")
	}
	return ""
}

// check reads a whole file and returns every row as well.
func check(t *testing.T, name string, b []byte, spec Spec) (Report, []Recipient) {
	t.Helper()
	var rows []Recipient
	report, err := Check(open(t, name, b, spec), func(r *Recipient) error {
		rows = append(rows, *r)
		return nil
	})
	if err != nil {
		t.Fatalf("Check: %v: %s", err, textOf(err))
	}
	return report, rows
}

// failure opens and checks a file that must be refused, and returns the code. The sentences must be complete.
func failure(t *testing.T, name string, b []byte, spec Spec) *FileError {
	t.Helper()
	f, err := Open(input(name, b), spec)
	if err == nil {
		_, err = Check(f, nil)
		f.Close()
	}
	var e *FileError
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a FileError", err)
	}
	for _, lang := range []string{"es", "en"} {
		if text := e.Text(lang); len(text) < 20 || strings.Contains(strings.NewReplacer("{1}", "", "{2}", "", "{3}", "",
			"{4}", "", "{5}", "").Replace(text), "{") {
			t.Errorf("Text(%q) of %s is not a finished sentence: %q", lang, e.Code, text)
		}
	}
	return e
}

// csv joins lines as Excel writes them.
func csv(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// xlsx makes a workbook with excelize; nil cells are left out.
func xlsx(t testing.TB, rows ...[]any) []byte {
	t.Helper()
	return styled(t, func(*excelize.File) {}, rows...)
}

func styled(t testing.TB, change func(*excelize.File), rows ...[]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, row := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	change(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawXLSX makes the smallest workbook around a sheet's XML, for what no spreadsheet program would write.
func rawXLSX(t testing.TB, sheetData string, extra map[string]string) []byte {
	t.Helper()
	parts := map[string]string{
		"[Content_Types].xml": `<?xml version="1.0"?>` +
			`<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="rId1" ` +
			`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" ` +
			`Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" ` +
			`xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>` +
			`<sheet name="Hoja1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships ` +
			`xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
			`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" ` +
			`Target="worksheets/sheet1.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml": `<worksheet ` +
			`xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>` +
			sheetData + `</sheetData></worksheet>`,
	}
	const main = ` xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	for name, content := range extra {
		for _, root := range []string{"<styleSheet", "<sst", "<workbook"} {
			content = strings.Replace(content, root, root+main, 1)
		}
		parts[name] = content
	}
	return zipParts(t, parts)
}

func zipParts(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var names []string
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func codes(problems []Problem) (list []string) {
	for _, p := range problems {
		list = append(list, p.Code)
	}
	return list
}

func TestAppointmentsSample(t *testing.T) {
	report, rows := check(t, "citas.xlsx", sample(t, "citas.xlsx"),
		Spec{Template: Template{ID: "990", Text: citaText}, Rules: contactoVirtual})
	if got := [4]int{report.Rows, report.Valid, report.Invalid, report.Skipped}; got != [4]int{40, 37, 2, 1} {
		t.Errorf("rows, valid, invalid, skipped = %v", got)
	}
	want := Layout{Format: "xlsx", Sheet: "Citas", HeaderRow: 2, Columns: Columns{
		Phone: Column{"B", "Celular"},
		Vars: []BoundVar{{N: 1, Column: &Column{"A", "Paciente"}}, {N: 2, Column: &Column{"C", "Profesional"}},
			{N: 3, Column: &Column{"D", "Fecha y hora"}}},
	}}
	if diff := cmp.Diff(want, report.Layout, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("layout (-want +got):\n%s", diff)
	}
	wantCodes := map[string]int{"phone_letters": 1, "var_missing": 1, "duplicate": 1}
	if diff := cmp.Diff(wantCodes, report.Codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	first := Recipient{Row: 3, Status: Valid, Phone: "573005552101", Country: "CO",
		Vars: []string{"Carlos", "Dra. Peña", "01/12/2026 07:00"}}
	if diff := cmp.Diff(first, rows[0]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
	if rows[10].Phone != "573005552471" || rows[10].Status != Valid {
		t.Errorf("the number shown as 5.73E+11 became %s %q", rows[10].Status, rows[10].Phone)
	}
	duplicate := report.Problems[slices.Index(codes(report.Problems), "duplicate")]
	if duplicate.Row != 38 || duplicate.Args["first"] != "3" || duplicate.Level != Skip {
		t.Errorf("duplicate = %+v", duplicate)
	}
}

func TestPromotionSample(t *testing.T) {
	report, rows := check(t, "promo.csv", sample(t, "promo.csv"),
		Spec{Template: Template{ID: "991", Text: "Hola {{1}}, hoy {{2}} de descuento"}, Rules: contactoVirtual})
	if got := [4]int{report.Rows, report.Valid, report.Invalid, report.Skipped}; got != [4]int{60, 54, 5, 1} {
		t.Errorf("rows, valid, invalid, skipped = %v", got)
	}
	if l := report.Layout; l.Format != "csv" || l.Encoding != "windows-1252" || l.Delimiter != ";" || l.HeaderRow != 1 {
		t.Errorf("layout = %+v", l)
	}
	wantCodes := map[string]int{"phone_scientific": 1, "phone_letters": 1, "phone_short": 1, "var_missing": 1,
		"phone_two": 1, "duplicate": 1}
	if diff := cmp.Diff(wantCodes, report.Codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	for _, r := range rows[:5] { // the five ways of writing a number
		if !strings.HasPrefix(r.Phone, "57301556") || len(r.Phone) != 12 {
			t.Errorf("row %d: phone %q", r.Row, r.Phone)
		}
	}
	if rows[1].Vars[0] != "Nuñez Peña, Óscar" {
		t.Errorf("accents: %q", rows[1].Vars[0])
	}
}

func TestBadSamplesAreRefusedWithTheirReason(t *testing.T) {
	for name, code := range map[string]string{
		"bad/empty.csv":          "empty",
		"bad/unclosed-quote.csv": "csv_quote_open",
		"bad/truncated.xlsx":     "xlsx_cut",
		"bad/bomb-like.xlsx":     "xlsx_bomb",
		"bad/no-phone.csv":       "no_phone_column",
	} {
		t.Run(name, func(t *testing.T) {
			if e := failure(t, name, sample(t, name), Spec{}); e.Code != code {
				t.Errorf("code = %s, want %s", e.Code, code)
			}
		})
	}
}

func TestSecondPassGivesTheSameRows(t *testing.T) {
	for _, name := range []string{"citas.xlsx", "promo.csv"} {
		f := open(t, name, sample(t, name), Spec{})
		var passes [2][]Recipient
		for i := range passes {
			for r, err := range f.Recipients() {
				if err != nil {
					t.Fatal(err)
				}
				passes[i] = append(passes[i], r)
			}
		}
		if diff := cmp.Diff(passes[0], passes[1]); diff != "" || len(passes[0]) < 40 {
			t.Errorf("%s: second pass differs (-first +second):\n%s", name, diff)
		}
	}
}

func TestStoppingEarlyIsFine(t *testing.T) {
	for _, name := range []string{"citas.xlsx", "promo.csv"} {
		f := open(t, name, sample(t, name), Spec{})
		for r, err := range f.Recipients() {
			if err != nil || r.Row == 0 {
				t.Fatal(r, err)
			}
			break
		}
		if report, err := Check(f, nil); err != nil || report.Rows < 40 {
			t.Errorf("%s after an early stop: %d rows, %v", name, report.Rows, err)
		}
	}
}

func TestErrorOfEachEndsTheCheck(t *testing.T) {
	stop := errors.New("stop")
	seen := 0
	_, err := Check(open(t, "promo.csv", sample(t, "promo.csv"), Spec{}), func(*Recipient) error {
		seen++
		return stop
	})
	if !errors.Is(err, stop) || seen != 1 {
		t.Errorf("err = %v after %d rows", err, seen)
	}
}

func TestDuplicates(t *testing.T) {
	file := csv("Nombre,Celular", "Ana,3005552001", "Eva,malo", "Luis,+57 300 555 2001", "Ana,573005552001",
		",300 555 2002",
		"Mia,3005552002")
	t.Run("FirstStaysOthersAreLeftOut", func(t *testing.T) {
		report, rows := check(t, "a.csv", file, Spec{})
		var got []Status
		for _, r := range rows {
			got = append(got, r.Status)
		}
		// Row 6 has no name, so it is no first: row 7 must still be sent.
		if diff := cmp.Diff([]Status{Valid, Invalid, Skipped, Skipped, Invalid, Valid}, got); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		if report.Codes["duplicate"] != 2 || report.Skipped != 2 || report.Warnings != 0 {
			t.Errorf("report = %+v", report)
		}
	})
	t.Run("KeptOnRequest", func(t *testing.T) {
		report, rows := check(t, "a.csv", file, Spec{KeepDuplicates: true})
		if report.Valid != 4 || report.Skipped != 0 || report.Warnings != 2 || rows[2].Problems[0].Level != Warning {
			t.Errorf("report = %+v", report)
		}
		if reason := rows[2].Problems[0].Reason("es"); !strings.Contains(reason, "recibirá los dos mensajes") {
			t.Errorf("reason = %q", reason)
		}
	})
}

func TestHashChangesWithEveryCheckedThing(t *testing.T) {
	sum := func(spec Spec, lines ...string) string {
		report, _ := check(t, "a.csv", csv(lines...), spec)
		return report.Hash
	}
	base := sum(Spec{}, "Nombre,Celular,id,url", "Ana,3005552001,1,https://x.co/a.jpg")
	seen := map[string]string{base: "base"}
	for what, lines := range map[string][]string{
		"phone":  {"Nombre,Celular,id,url", "Ana,3005552002,1,https://x.co/a.jpg"},
		"name":   {"Nombre,Celular,id,url", "Eva,3005552001,1,https://x.co/a.jpg"},
		"custom": {"Nombre,Celular,id,url", "Ana,3005552001,2,https://x.co/a.jpg"},
		"media":  {"Nombre,Celular,id,url", "Ana,3005552001,1,https://x.co/b.jpg"},
		"row":    {"Nombre,Celular,id,url", "", "Ana,3005552001,1,https://x.co/a.jpg"},
	} {
		hash := sum(Spec{}, lines...)
		if other, same := seen[hash]; same || len(hash) != 64 {
			t.Errorf("%s has the hash of %s", what, other)
		}
		seen[hash] = what
	}
	if sum(Spec{}, "Nombre;Celular;id;url", "Ana;+57 300 555 2001;1;https://x.co/a.jpg") != base {
		t.Error("the same rows written in another way have another hash")
	}
}

func TestManyProblemsAreCountedAndCut(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("Nombre,Celular\n")
	for range MaxProblems + 50 {
		b.WriteString("Ana,12\n")
	}
	b.WriteString("Ana,3005552001\n")
	report, _ := check(t, "a.csv", b.Bytes(), Spec{})
	if len(report.Problems) != MaxProblems || report.ProblemsOmitted != 50 ||
		report.Codes["phone_short"] != MaxProblems+50 || report.Invalid != MaxProblems+50 {
		t.Errorf("kept %d, omitted %d, codes %v", len(report.Problems), report.ProblemsOmitted, report.Codes)
	}
}

func TestNoErrorTextNamesAPerson(t *testing.T) {
	secret := "Zutano3005559876"
	for name, file := range map[string][]byte{
		"no phone":   csv(secret+",x", "a,b"),
		"quote":      csv("Nombre,Celular", `"`+secret+`"x,3005552001`),
		"open quote": csv("Nombre,Celular", `"`+secret+`,3005552001`),
		"entity":     rawXLSX(t, `<row r="1"><c r="A1" t="str"><v>&`+secret+`;</v></c></row>`, nil),
		"reference":  rawXLSX(t, `<row r="1"><c r="`+secret+`"><v>1</v></c></row>`, nil),
		"style":      rawXLSX(t, `<row r="1"><c r="A1" s="`+secret+`"><v>1</v></c></row>`, nil),
		"tag":        rawXLSX(t, `<row r="1"><`+secret+`></row>`, nil),
	} {
		t.Run(name, func(t *testing.T) {
			e := failure(t, secret+".csv", file, Spec{})
			for err := error(e); err != nil; err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), "Zutano") || strings.Contains(err.Error(), "9876") {
					t.Errorf("error text names a person: %v", err)
				}
			}
		})
	}
}
