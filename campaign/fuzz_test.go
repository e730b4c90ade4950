package campaign

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// mustHold checks what is promised for any input at all: a FileError with both texts, or a report that adds up and is
// the same on a second pass.
func mustHold(t *testing.T, name string, b []byte, spec Spec) {
	t.Helper()
	f, err := Open(input(name, b), spec)
	if err != nil {
		explained(t, err)
		return
	}
	defer f.Close()
	last := 0
	report, err := Check(f, func(r *Recipient) error {
		if r.Row <= last || r.Row <= report0(f) {
			t.Errorf("row %d after %d", r.Row, last)
		}
		last = r.Row
		judged(t, f, r)
		return nil
	})
	if err != nil {
		explained(t, err)
		return
	}
	if report.Rows != report.Valid+report.Invalid+report.Skipped || len(report.Hash) != 64 {
		t.Errorf("report does not add up: %+v", report)
	}
	for _, p := range slices.Concat(report.Problems, report.Layout.Notes) {
		if p.Reason("es") == "" || p.Fix("es") == "" || p.Reason("en") == "" || p.Fix("en") == "" {
			t.Errorf("problem %s has no words", p.Code)
		}
	}
	again, err := Check(f, nil)
	if err != nil || again.Hash != report.Hash {
		t.Errorf("second pass: %v", err)
	}
}

func report0(f *File) int { return f.Layout().HeaderRow }

func judged(t *testing.T, f *File, r *Recipient) {
	t.Helper()
	errorsFound := 0
	for _, p := range r.Problems {
		if p.Row != r.Row || utf8.RuneCountInString(p.Value) > 80 || !utf8.ValidString(p.Value) {
			t.Errorf("problem %+v", p)
		}
		if p.Level == Error {
			errorsFound++
		}
	}
	if (errorsFound > 0) != (r.Status == Invalid) {
		t.Errorf("row %d is %s with %d errors", r.Row, r.Status, errorsFound)
	}
	if len(r.Vars) != len(f.Layout().Columns.Vars) {
		t.Errorf("row %d has %d variables", r.Row, len(r.Vars))
	}
	if r.Status == Valid {
		for _, v := range r.Vars {
			if v == "" || !utf8.ValidString(v) || bytes.ContainsAny([]byte(v), "\n\t\r\x00") {
				t.Errorf("row %d: value %q", r.Row, v)
			}
		}
	}
}

func explained(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*FileError](err)
	if !ok || e.Text("es") == " " || e.Text("en") == " " || catalogue()[e.Code].reason == nil {
		t.Errorf("error without words: %#v", err)
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"Nombre;Celular\r\nAna;3005552001\r\n", "sep=|\nNombre|Celular\nAna|3005552001", "\ufeffTel\n+57 300 555 2001",
		"Celular,Nombre\n3005552001,\"Ana\nMaría\"\n3005552002,\"x", "a\rb\r3005552001\r", "3005552001,,,,,\n",
		"Nombre\tCelular\n\"Ana\"\" x\"\t5,73E+11\n", "C\x00e\x00l\x00\n\x003\x00", "\xff\xfeC\x00\n\x00",
		"[a],Celular,id,url\n[x],3005552001,1,2",
	} {
		f.Add([]byte(s), "", uint8(0))
	}
	win, _ := charmap.Windows1252.NewEncoder().String("Señor;Móvil\nÑ;3005552001\n")
	f.Add([]byte(win), ";", uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, delim string, n uint8) {
		spec := Spec{Delimiter: delim, KeepDuplicates: n%2 == 1}
		if n%3 == 0 {
			spec.Template, spec.Rules = Template{Text: "Hola {1}"}, contactoVirtual
		}
		mustHold(t, "a.csv", b, spec)
	})
}

func FuzzDelimiter(f *testing.F) {
	f.Add("a;b\n1;2\n", "")
	f.Add("sep=\t\na\tb", "")
	f.Add("\"a,b\n", "tab")
	f.Fuzz(func(t *testing.T, sample, asked string) {
		delim, _, err := sniffDelimiter(sample, asked)
		if err != nil {
			explained(t, err)
		} else if delim == '"' || delim == '\n' || delim == '\r' || delim >= 0x80 {
			t.Errorf("delimiter %q", delim)
		}
	})
}

// FuzzSheet puts anything into a sheet's XML: whatever the strict pass lets through, excelize must deliver whole.
func FuzzSheet(f *testing.F) {
	for _, s := range []string{
		numbered(4, 0, ""), numbered(4, 3, `<row r="3"><c r="A3" t="s"><v>1</v></c></row>`),
		`<row><c><v>1</v></c></row>`, `<row r="2" hidden="1"><c r="B2" t="b"><v>1</v></c></row>`,
		`<row r="1"><c r="A1"><f>1</f></c><c r="C1" t="e"><v>#N/A</v></c></row>`, `<row r="1048576"/>`,
		`<row r="1"><c r="A1" t="inlineStr"><is><r><t>a</t></r><rPh><t>b</t></rPh></is></c></row>`,
		`<row r="1"><c t="d"><v>2026-11-20</v></c></row>`,
	} {
		f.Add(s, `<si><t>a</t></si><si><r><t/></r></si>`)
	}
	f.Fuzz(func(t *testing.T, data, items string) {
		mustHold(t, "a.xlsx", rawXLSX(t, data, map[string]string{"xl/sharedStrings.xml": "<sst>" + items +
			"</sst>"}), Spec{})
	})
}

// FuzzContainer damages a good workbook byte by byte.
func FuzzContainer(f *testing.F) {
	good := rawXLSX(f, numbered(4, 0, ""), nil)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mustHold(t, "a.xlsx", b, Spec{})
	})
}

func FuzzNumberFormat(f *testing.F) {
	for _, s := range []string{"General", "dd/mm/yyyy", `[$-240A]d" de "mmmm`, "[h]:mm", `"$"#,##0;[Red]-0`, "[",
		`"`, `\`, "_", "0.00E+00"} {
		f.Add(s, 46346.5)
	}
	f.Fuzz(func(t *testing.T, code string, v float64) {
		kind := formatKind(200, code)
		for _, date1904 := range []bool{false, true} {
			text, problem := serial(v, kind, date1904)
			if v == v && (text == "") == (problem == "") {
				t.Errorf("%g as %q: %q, %q", v, code, text, problem)
			}
		}
	})
}

// FuzzRecords compares with the rule that nothing of a file may vanish: the reader gives back every byte that is not
// a quote, a delimiter, a line break or a blank after a quote.
func FuzzRecords(f *testing.F) {
	f.Add("a;b\n\"c\";d\r\n")
	f.Add("\"a\"\"b\"  ;\r\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // a reader never sees it: the charset has been decided before
		}
		keep := func(r rune) rune {
			if r == ';' || r == '"' || r == '\n' || r == '\r' || r == ' ' || r == '\t' {
				return -1
			}
			return r
		}
		r := newRecordReader(bytes.NewReader([]byte(s)), ';')
		var got []byte
		for {
			record, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				explained(t, err)
				return
			}
			for _, c := range record.cells {
				got = append(got, c.text...)
			}
		}
		if want := bytes.Map(keep, []byte(s)); !bytes.Equal(bytes.Map(keep, got), want) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func FuzzZipNames(f *testing.F) {
	f.Add("xl\\worksheets\\sheet1.xml")
	f.Add("../../etc/passwd")
	f.Fuzz(func(t *testing.T, name string) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		if _, err := z.Create(name); err != nil {
			return
		}
		if err := z.Close(); err != nil {
			return
		}
		mustHold(t, "a.xlsx", b.Bytes(), Spec{})
	})
}
