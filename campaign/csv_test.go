package campaign

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

func encoded(t testing.TB, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryCharsetThatExcelWritesIsRecognised(t *testing.T) {
	text := "Nombre;Celular;Ciudad\r\nMaría Núñez;3005552001;Bogotá\r\nJosé Peña;3005552002;Popayán\r\n"
	late := "Nombre;Celular;Ciudad\r\n" + strings.Repeat("Ana;3005552001;Cali\r\n", 20_000) +
		"Íñigo;3005552002;Cúcuta\r\n"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"UTF8":                {[]byte(text), "utf-8"},
		"UTF8WithBOM":         {[]byte("\ufeff" + text), "utf-8"},
		"Windows1252":         {encoded(t, charmap.Windows1252, text), "windows-1252"},
		"Windows1252AtTheEnd": {encoded(t, charmap.Windows1252, late), "windows-1252"},
		"UTF16LEWithBOM":      {encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), text), "utf-16le"},
		"UTF16BEWithBOM":      {encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), text), "utf-16be"},
		"UTF16LEWithoutBOM":   {encoded(t, utf16LE, text), "utf-16le"},
		"UTF16BEWithoutBOM":   {encoded(t, utf16BE, text), "utf-16be"},
		"DOS":                 {encoded(t, charmap.CodePage850, text), "cp850"},
		"Macintosh":           {encoded(t, charmap.Macintosh, text), "macintosh"},
	} {
		t.Run(name, func(t *testing.T) {
			report, rows := check(t, "a.csv", c.file, Spec{})
			if report.Layout.Encoding != c.want || report.Invalid != 0 {
				t.Errorf("encoding = %q, invalid = %d, want %q", report.Layout.Encoding, report.Invalid, c.want)
			}
			last := rows[len(rows)-1].Vars
			if !slices.Contains([]string{"José Peña", "Íñigo"}, last[0]) || !slices.Contains([]string{"Popayán",
				"Cúcuta"}, last[1]) {
				t.Errorf("last row = %q", last)
			}
		})
	}
}

func TestUTF8SequenceAcrossChunksIsWhole(t *testing.T) {
	for pad := range 5 {
		file := "Celular,Nombre\n3005552001," + strings.Repeat("a", 64<<10-28+pad) + "ñññ\n"
		c, err := takeCensus(input("a.csv", []byte(file)))
		if err != nil || c.broken != 0 || c.sequences != 3 {
			t.Errorf("pad %d: broken %d, sequences %d, %v", pad, c.broken, c.sequences, err)
		}
	}
}

func TestForcedEncodingAndDelimiter(t *testing.T) {
	file := encoded(t, charmap.Windows1252, "Nombre#Celular\nÑico#3005552001\n")
	_, rows := check(t, "a.csv", file, Spec{Encoding: "Latin-1", Delimiter: "#"})
	if rows[0].Vars[0] != "Ñico" {
		t.Errorf("vars = %q", rows[0].Vars)
	}
	for spec, code := range map[*Spec]string{
		{Encoding: "klingon"}:  "encoding_unknown",
		{Encoding: "utf-8"}:    "encoding_mixed",
		{Delimiter: "ab"}:      "delimiter_unknown",
		{Delimiter: `"`}:       "delimiter_unknown",
		{Country: "Atlantis"}:  "country_unknown",
		{Encoding: "utf-16be"}: "utf16_cut",
	} {
		if e := failure(t, "a.csv", append(file, "x"[:len(file)%2^1]...), *spec); e.Code != code {
			t.Errorf("%+v: code = %s, want %s", *spec, e.Code, code)
		}
	}
}

func TestMixedEncodingsAreRefusedWithTheLine(t *testing.T) {
	e := failure(t, "a.csv", []byte("Nombre;Celular\nMaría;3005552001\nJosé;3005552002\nPe\xF1a;3005552003\n"), Spec{})
	if e.Code != "encoding_mixed" || e.Args["line"] != "4" {
		t.Errorf("got %s %v", e.Code, e.Args)
	}
}

func TestDelimiters(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"Semicolon":           {"Nombre;Celular\nAna;3005552001\n", ";"},
		"Comma":               {"Nombre,Celular\nAna,3005552001\n", ","},
		"Tab":                 {"Nombre\tCelular\nAna\t3005552001\n", "\t"},
		"Pipe":                {"Nombre|Celular\nAna|3005552001\n", "|"},
		"DecimalCommas":       {"Nombre;Celular;Valor\nAna;3005552001;1,5\nEva;3005552002;2,5\n", ";"},
		"CommaInEveryCell":    {"Nombre;Celular\nDíaz, Ana;3005552001\nRuiz, Eva;3005552002\n", ";"},
		"SemicolonInText":     {"Nombre,Celular\nAna; la del 5,3005552001\nEva,3005552002\n", ","},
		"QuotedDelimiter":     {"Nombre,Celular\n\"Díaz; Ana; B\",3005552001\n\"Ruiz; Eva; C\",3005552002\n", ","},
		"TitleAbove":          {"Citas de noviembre\n\nNombre,Celular\nAna,3005552001\nEva,3005552002\n", ","},
		"SepLine":             {"sep=|\nNombre|Celular;x\nAna|3005552001\n", "|"},
		"SepLineQuoted":       {"\"sep=;\"\nNombre;Celular,x\nAna;3005552001\n", ";"},
		"OneColumn":           {"Celular\n3005552001\n3005552002\n", ";"},
		"OneColumnScientific": {"Celular\n\"5,73E+11\"\n5,73E+11\n3005552002\n", ";"},
		"MostRowsRegular":     {"Nombre;Celular\n" + strings.Repeat("Ana;3005552001\n", 20) + "a;b;c,d,e\n", ";"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, "a.csv", []byte(c.file), Spec{})
			if got := f.Layout().Delimiter; got != c.want {
				t.Errorf("delimiter = %q, want %q", got, c.want)
			}
		})
	}
}

func TestRowNumbersAreTheOnesExcelShows(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []int
	}{
		"BlankLinesCount":        {"Nombre,Celular\n\nAna,3005552001\n\n\n,\nEva,3005552002\n", []int{3, 7}},
		"QuotedLineBreakIsOne":   {"Nombre,Celular\n\"Ana\nMaría\",3005552001\nEva,3005552002\n", []int{2, 3}},
		"SepLineDoesNotCount":    {"sep=,\nNombre,Celular\nAna,3005552001\n", []int{2}},
		"LoneCarriageReturns":    {"Nombre,Celular\rAna,3005552001\r\rEva,3005552002", []int{2, 4}},
		"CarriageReturnInQuotes": {"Nombre,Celular\r\n\"Ana\rMaría\",3005552001\r\nEva,3005552002\r\n", []int{2, 3}},
		"TitleRows":              {"Citas\n\nNombre,Celular\nAna,3005552001\n", []int{4}},
		"NoFinalLineBreak":       {"Nombre,Celular\nAna,3005552001", []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			_, rows := check(t, "a.csv", []byte(c.file), Spec{Delimiter: ","})
			var got []int
			for _, r := range rows {
				got = append(got, r.Row)
				if r.Status != Valid {
					t.Errorf("row %d is %s: %v", r.Row, r.Status, codes(r.Problems))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuotes(t *testing.T) {
	t.Run("InsideACellAreText", func(t *testing.T) {
		_, rows := check(t, "a.csv", csv("Celular,Nombre", `3005552001,Juan "El Mono" Díaz`,
			`3005552002,"dijo ""hola"""  `), Spec{})
		if rows[0].Vars[0] != `Juan "El Mono" Díaz` || rows[1].Vars[0] != `dijo "hola"` {
			t.Errorf("vars = %q, %q", rows[0].Vars, rows[1].Vars)
		}
	})
	t.Run("UnclosedTellsItsLine", func(t *testing.T) {
		file := csv("Nombre,Celular", "Ana,3005552001", "", `Eva,"3005552002`, "Luis,3005552003")
		if e := failure(t, "a.csv", file, Spec{Delimiter: ","}); e.Code != "csv_quote_open" || e.Args["line"] != "4" {
			t.Errorf("got %s %v", e.Code, e.Args)
		}
	})
	t.Run("TextAfterTheClosingOne", func(t *testing.T) {
		file := csv("Nombre,Celular", `"Ana,3005552001`, `"Eva",3005552002`)
		if e := failure(t, "a.csv", file, Spec{}); e.Code != "csv_quote" || e.Args["line"] != "3" ||
			e.Args["opened"] != "2" {
			t.Errorf("got %s %v", e.Code, e.Args)
		}
	})
	t.Run("ClosedByChanceRowsLaterIsNotSwallowed", func(t *testing.T) {
		file := csv("Nombre,Celular,Ciudad", `"Ana,3005552001,Cali`, "Eva,3005552002,Cali", "Mia,3005552003,Cali",
			`Luz,3005552004,"`)
		file = append(file, csv(strings.Repeat("Sol,3005552005,Cali\r\n", 5))...)
		e := failure(t, "a.csv", file, Spec{Delimiter: ","})
		if e.Code != "csv_quote_open" && e.Code != "csv_quote" {
			t.Errorf("got %s", e.Code)
		}
	})
	t.Run("ManyLinesWithContactsInsideOneCell", func(t *testing.T) {
		file := csv("Nombre,Celular", "Ana,3005552000", `"Ana,3005552001`, "Eva,3005552002", "Mia,3005552003",
			`Luz",3005552004`)
		if e := failure(t, "a.csv", file, Spec{}); e.Code != "csv_quote_open" || e.Args["line"] != "3" {
			t.Errorf("got %s %v", e.Code, e.Args)
		}
	})
}

func TestRowsWithMoreOrFewerCellsThanTheHeader(t *testing.T) {
	_, rows := check(t, "a.csv", csv("Nombre,Cita,Celular", "Ana,lunes,3005552001", "Eva", "Díaz, Mia,lunes,3005552003",
		"Luz,lunes,3005552004,,,"), Spec{})
	var got []string
	for _, r := range rows {
		got = append(got, r.Status.String()+" "+strings.Join(codes(r.Problems), "+"))
	}
	want := []string{"valid ", "invalid row_short+var_missing", "invalid phone_letters+row_long", "valid "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLimitsOfTextFiles(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"NULByte": {[]byte("Nombre,Celular\nAna,3005552001\nE\x00va,3005552002\n"), "binary"},
		"RecordTooLong": {[]byte("Nombre,Celular\nAna,3005552001\n" + strings.Repeat("x", maxRecord+1)),
			"csv_record_long"},
		"QuoteTooLong": {[]byte("Nombre,Celular\nAna,3005552001\n\"" + strings.Repeat("x\n", maxRecord)),
			"csv_quote_open"},
		"EndlessCommas": {[]byte("Nombre,Celular\nAna,3005552001\n" + strings.Repeat(",", maxRecord)),
			"csv_record_long"},
		"TooManyColumns": {[]byte("Celular\n3005552001" + strings.Repeat(",x", 300) + "\n"), "too_many_columns"},
		"HeaderOnly":     {csv("Nombre,Celular"), "no_rows"},
		"BlankOnly":      {[]byte("\r\n  \r\n"), "empty"},
		"BOMOnly":        {[]byte("\ufeff"), "empty"},
		"CommasOnly":     {csv(",,,", ",,,"), "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			if e := failure(t, "a.csv", c.file, Spec{Delimiter: ","}); e.Code != c.code {
				t.Errorf("code = %s, want %s", e.Code, c.code)
			}
		})
	}
	t.Run("ManyBlankColumnsAreFine", func(t *testing.T) {
		report, _ := check(t, "a.csv", []byte("Celular\n3005552001"+strings.Repeat(",", 300)+"\n"),
			Spec{Delimiter: ","})
		if report.Valid != 1 {
			t.Errorf("report = %+v", report)
		}
	})
	t.Run("CellLongerThanExcelAllows", func(t *testing.T) {
		_, rows := check(t, "a.csv", csv("Celular,Nombre", "3005552001,"+strings.Repeat("ñ", maxCellRunes+1)), Spec{})
		if got := codes(rows[0].Problems); !slices.Equal(got, []string{"value_long"}) {
			t.Errorf("codes = %v", got)
		}
	})
}

func TestOtherFilesGetTheirOwnSentence(t *testing.T) {
	z := func(names ...string) []byte {
		parts := map[string]string{}
		for _, n := range names {
			parts[n] = "application/vnd.oasis.opendocument.spreadsheet"
		}
		return zipParts(t, parts)
	}
	ole := "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + strings.Repeat("\x00", 100<<10)
	for code, file := range map[string][]byte{
		"old_xls":  []byte(ole),
		"password": []byte(ole + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"),
		"pdf":      []byte("%PDF-1.7\n"),
		"html":     []byte("\ufeff \n<HTML><table><tr><td>3005552001"),
		"xml":      []byte(`<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>`),
		"json":     []byte(`[{"celular":"3005552001"}]`),
		"gzip":     []byte("\x1F\x8B\x08\x00"),
		"image":    []byte("\x89PNG\r\n\x1a\n"),
		"archive":  []byte("Rar!\x1a\x07"),
		"xlsb":     z("[Content_Types].xml", "xl/workbook.bin"),
		"ods":      z("mimetype", "content.xml"),
		"word":     z("[Content_Types].xml", "word/document.xml"),
		"numbers":  z("Index/Document.iwa"),
		"zip":      z("contactos.csv"),
		"empty":    nil,
		"binary":   []byte("\x7FELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
	} {
		t.Run(code, func(t *testing.T) {
			if e := failure(t, "contactos.xlsx", file, Spec{}); e.Code != code {
				t.Errorf("code = %s", e.Code)
			}
		})
	}
}

func TestUnreadableInputs(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, in := range map[string]Input{
		"Directory":         {Name: "carpeta", R: dir, Size: 4096},
		"EmptyDirectory":    {Name: "carpeta", R: dir},
		"Nothing":           {},
		"NegativeSize":      {R: bytes.NewReader(nil), Size: -1},
		"ShorterThanItSays": {R: bytes.NewReader([]byte("Celular\n3005552001\n")), Size: 5000},
		"FailsLater":        {R: failingAt(10_000), Size: 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(in, Spec{})
			if err == nil {
				f.Close()
			}
			if e, ok := err.(*FileError); !ok && name != "Nothing" || ok && e.Code != "unreadable" {
				t.Errorf("error = %v", err)
			}
			if strings.Contains(fmt.Sprint(err), os.TempDir()) {
				t.Errorf("error shows the path: %v", err)
			}
		})
	}
}

type failingAt int64

func (f failingAt) ReadAt(b []byte, offset int64) (int, error) {
	if offset+int64(len(b)) > int64(f) {
		return 0, &fs.PathError{Op: "read", Path: "/secreto", Err: io.ErrNoProgress}
	}
	for i := range b {
		b[i] = "Celular\n3005552001\n"[(offset+int64(i))%19]
	}
	return len(b), nil
}

func TestTextNamedXLSXIsReadAndSaid(t *testing.T) {
	report, _ := check(t, "a.XLSX", csv("Nombre,Celular", "Ana,3005552001"), Spec{})
	if !slices.Contains(codes(report.Layout.Notes), "name_mismatch") {
		t.Errorf("notes = %v", codes(report.Layout.Notes))
	}
}

// TestRecordsSurviveARoundTrip writes any cells as a strict CSV and reads them back.
func TestRecordsSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delim := rapid.SampledFrom(delimiters).Draw(t, "delim")
		text := rapid.StringMatching(`[a-zA-Z0-9 áñ";,|\t\n"]{0,12}`)
		want := rapid.SliceOfN(rapid.SliceOfN(text, 1, 5), 1, 8).Draw(t, "records")
		var b strings.Builder
		for _, record := range want {
			for i, cell := range record {
				if i > 0 {
					b.WriteByte(delim)
				}
				b.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
			}
			b.WriteString("\r\n")
		}
		var got [][]string
		r := newRecordReader(strings.NewReader(b.String()), delim)
		for {
			record, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var cells []string
			for _, c := range record.cells {
				cells = append(cells, c.text)
			}
			got = append(got, cells)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
