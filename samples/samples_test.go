// Package samples holds campaign files, good ones and bad ones, for tests, the demo and the README.
//
// The files are made here, so that nobody has to wonder what is in them: go test ./samples -update writes them again.
package samples

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
)

var update = flag.Bool("update", false, "write the samples again")

var files = []struct {
	name string
	make func(*testing.T) []byte
}{
	{"citas.xlsx", citas},
	{"promo.csv", promo},
	{"bad/empty.csv", func(*testing.T) []byte { return nil }},
	{"bad/unclosed-quote.csv", unclosedQuote},
	{"bad/truncated.xlsx", func(t *testing.T) []byte { b := citas(t); return b[:len(b)*2/3] }},
	{"bad/bomb-like.xlsx", bombLike},
	{"bad/no-phone.csv", noPhone},
}

func TestSamplesAreWhatTheirGeneratorMakes(t *testing.T) {
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			want := f.make(t)
			if *update {
				if err := os.MkdirAll(filepath.Dir(f.name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f.name, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(f.name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(unpacked(t, want), unpacked(t, got)); diff != "" {
				t.Errorf("run go test ./samples -update (-want +got):\n%s", diff)
			}
		})
	}
}

// unpacked is what is compared: the parts of a whole zip file, since compressors change between Go versions. A file
// cut in the middle is compared by its first part, and anything else by its bytes.
func unpacked(t *testing.T, b []byte) map[string]string {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("PK")) {
		return map[string]string{"": string(b)}
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return map[string]string{"damaged zip": string(b[:64])}
	}
	parts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(content)
	}
	return parts
}

var names = []string{"Carlos", "María Fernanda", "José", "Ana Lucía", "Andrés", "Sofía", "Íngrid",
	"Nuñez Peña, Óscar",
	"Luz Dary", "Camilo", "Yesenia", "Ángela", "Raúl", "Begoña", "Julián", "Paola", "Iván", "Rocío", "Édgar", "Zoraida"}

var doctors = []string{"Dra. Peña", "Dr. Muñoz", "Dra. Gómez", "Dr. Ibáñez"}

// mobile makes a number that no operator has given out to anybody we know, with the last four digits wanted.
func mobile(last int) int64 { return 573005550000 + int64(last) }

type cita struct {
	name, doctor, when string
	phone              any
}

// appointments are the rows of citas.xlsx. The last four digits choose what the simulator answers.
func appointments() (rows []cita) {
	special := map[int]int{7: 1002, 15: 1006, 23: 429, 31: 0}
	for i := range 40 {
		last, ok := special[i]
		if !ok {
			last = 2101 + 37*i
		}
		row := cita{
			name: names[i%len(names)], doctor: doctors[i%len(doctors)], phone: mobile(last),
			when: fmt.Sprintf("%02d/12/2026 %02d:%02d", 1+i%22, 7+i%10, i%2*30),
		}
		switch i {
		case 4:
			row.phone = fmt.Sprintf("+57 300 555 %04d", last) // text, as people type it
		case 9:
			row.phone = fmt.Sprintf("300555%04d", last)
		case 18:
			row.phone = "601 LLAMAR" // a landline in letters
		case 26:
			row.when = "" // the third variable is missing
		case 35:
			row.phone = mobile(2101) // the same person as the first row
		}
		rows = append(rows, row)
	}
	return rows
}

func citas(t *testing.T) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	const sheet = "Citas"
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(f.SetSheetName("Sheet1", sheet))
	check(f.SetSheetRow(sheet, "A1", &[]any{"Citas de diciembre"}))
	check(f.MergeCell(sheet, "A1", "D1"))
	check(f.SetSheetRow(sheet, "A2", &[]any{"Paciente", "Celular", "Profesional", "Fecha y hora"}))
	for i, row := range appointments() {
		cell := fmt.Sprintf("A%d", i+3)
		check(f.SetSheetRow(sheet, cell, &[]any{row.name, row.phone, row.doctor, row.when}))
	}
	whole, err := f.NewStyle(&excelize.Style{NumFmt: 1})
	check(err)
	scientific, err := f.NewStyle(&excelize.Style{NumFmt: 11})
	check(err)
	check(f.SetCellStyle(sheet, "B3", "B42", whole))
	check(f.SetCellStyle(sheet, "B13", "B13", scientific)) // Excel shows 5.73E+11; the number is whole
	check(f.SetColWidth(sheet, "A", "D", 22))
	check(f.SetDocProps(&excelize.DocProperties{Creator: "Pregón", Created: "2026-11-20T12:00:00Z",
		Modified: "2026-11-20T12:00:00Z"}))
	var b bytes.Buffer
	check(f.Write(&b))
	return sorted(t, b.Bytes())
}

// sorted writes the parts of a workbook in a fixed order and without times: excelize's order changes from run to run.
func sorted(t *testing.T, workbook []byte) []byte {
	t.Helper()
	parts := unpacked(t, workbook)
	return zipped(t, parts)
}

func zipped(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	names := []string{"[Content_Types].xml"}
	for name := range parts {
		if name != names[0] {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, parts[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// promo is what a Spanish Excel saves as "CSV (delimitado por comas)": semicolons and Windows-1252. Nobody in it is in
// citas.xlsx too: the demo sends both, and shows that nobody got two messages.
func promo(t *testing.T) []byte {
	t.Helper()
	var b strings.Builder
	b.WriteString("Nombre;Teléfono;Descuento\r\n")
	special := map[int]int{6: 1002, 20: 1010, 33: 9999, 47: 500}
	shapes := []string{"301556%04d", "+57 301 556 %04d", "(301) 556-%04d", "57-301-556-%04d", "0057 301 556%04d"}
	for i := range 60 {
		last, ok := special[i]
		if !ok {
			last = 3203 + 41*i
		}
		name, phone := names[(i*7)%len(names)], fmt.Sprintf(shapes[i%len(shapes)], last)
		switch i {
		case 11:
			phone = "5,73E+11"
		case 16:
			phone = "301 CASA 55"
		case 24:
			phone = "301556"
		case 29:
			name = ""
		case 38:
			phone = fmt.Sprintf("301556%04d / 311556%04d", last, last)
		case 52:
			phone = fmt.Sprintf("(301) 556-%04d", 3203) // the same person as the first row, written in another way
		}
		fmt.Fprintf(&b, "%s;%s;%d %%\r\n", name, phone, 10+5*(i%4))
	}
	out, err := charmap.Windows1252.NewEncoder().String(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return []byte(out)
}

func unclosedQuote(*testing.T) []byte {
	return []byte("Nombre,Celular\nAna,3005552001\n\"Luis,3005552002\nMarta,3005552003\nPedro,3005552004\n")
}

func noPhone(*testing.T) []byte {
	return []byte("Nombre;Ciudad;Correo\nAna;Bogotá;ana@example.com\nLuis;Cali;luis@example.com\n")
}

// bombLike is a small workbook whose only sheet is 20 MB of blanks.
func bombLike(t *testing.T) []byte {
	t.Helper()
	parts := unpacked(t, citas(t))
	sheet := "xl/worksheets/sheet1.xml"
	if parts[sheet] == "" {
		t.Fatal("the workbook's sheet has another name")
	}
	parts[sheet] = strings.Replace(parts[sheet], "<sheetData>", "<sheetData>"+strings.Repeat(" ", 20<<20), 1)
	return zipped(t, parts)
}
