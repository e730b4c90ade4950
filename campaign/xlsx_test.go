package campaign

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numbered makes a sheet of n good rows with one replaced.
func numbered(n, at int, replacement string) string {
	var b strings.Builder
	b.WriteString(`<row r="1"><c r="A1" t="inlineStr"><is><t>Celular</t></is></c><c r="B1" t="inlineStr">` +
		`<is><t>Nombre</t></is></c></row>`)
	for i := 2; i <= n; i++ {
		if i == at {
			b.WriteString(replacement)
			continue
		}
		fmt.Fprintf(&b, `<row r="%d"><c r="A%d"><v>%d</v></c><c r="B%d" t="inlineStr"><is><t>Ana</t></is></c></row>`,
			i, i, 3005550000+i, i)
	}
	return b.String()
}

func TestDamagedSheetsNeverLoseRowsInSilence(t *testing.T) {
	for name, c := range map[string]struct{ row, code string }{
		"Good": {`<row r="5"><c r="A5"><v>3005550005</v></c><c r="B5" t="str"><v>Eva</v></c>` +
			`</row>`, ""},
		"BareAmpersand":      {`<row r="5"><c r="A5" t="str"><v>a & b</v></c></row>`, "xlsx_damaged"},
		"UnknownEntity":      {`<row r="5"><c r="A5" t="str"><v>&nada;</v></c></row>`, "xlsx_damaged"},
		"ControlCharacter":   {"<row r=\"5\"><c r=\"A5\" t=\"str\"><v>a\x0bb</v></c></row>", "xlsx_damaged"},
		"Latin1Byte":         {"<row r=\"5\"><c r=\"A5\" t=\"str\"><v>Nu\xF1ez</v></c></row>", "xlsx_damaged"},
		"WrongTag":           {`<row r="5"><c r="A5"><v>1</v></d></row>`, "xlsx_damaged"},
		"RowZero":            {`<row r="0"><c><v>1</v></c></row>`, "xlsx_damaged"},
		"RowMinusOne":        {`<row r="-1"><c><v>1</v></c></row>`, "xlsx_damaged"},
		"RowTwice":           {`<row r="4"><c r="A4"><v>1</v></c></row>`, "xlsx_damaged"},
		"RowBeyondTheSheet":  {`<row r="2000000000"><c><v>1</v></c></row>`, "xlsx_damaged"},
		"RowIsNoNumber":      {`<row r="x"><c><v>1</v></c></row>`, "xlsx_damaged"},
		"CellsOutOfOrder":    {`<row r="5"><c r="B5"><v>1</v></c><c r="A5"><v>2</v></c></row>`, "xlsx_damaged"},
		"CellOfAnotherRow":   {`<row r="5"><c r="A6"><v>1</v></c></row>`, "xlsx_damaged"},
		"CellWithoutColumn":  {`<row r="5"><c r="5"><v>1</v></c></row>`, "xlsx_damaged"},
		"CellBeyondTheSheet": {`<row r="5"><c r="ZZZ5"><v>1</v></c></row>`, "xlsx_damaged"},
		"ColumnBeyondTheLimit": {`<row r="5"><c r="A5"><v>3005550005</v></c><c r="XFD5"><v>1</v></c></row>`,
			"too_many_columns"},
		"StyleIsNoNumber":        {`<row r="5"><c r="A5" s="x"><v>1</v></c></row>`, "xlsx_damaged"},
		"SharedStringOutOfRange": {`<row r="5"><c r="A5" t="s"><v>7</v></c></row>`, "xlsx_damaged"},
		"SharedStringMinusOne":   {`<row r="5"><c r="A5" t="s"><v>-1</v></c></row>`, "xlsx_damaged"},
		"TwoValues":              {`<row r="5"><c r="A5"><v>1</v><v>2</v></c></row>`, "xlsx_damaged"},
		"RowInsideARow":          {`<row r="5"><row r="6"/></row>`, "xlsx_damaged"},
		"CellInsideACell":        {`<row r="5"><c r="A5"><c r="B5"/></c></row>`, "xlsx_damaged"},
		"ElementInsideAValue":    {`<row r="5"><c r="A5"><v>1<b/>2</v></c></row>`, "xlsx_damaged"},
		"SecondTable":            {`</sheetData><sheetData>`, "xlsx_damaged"},
		"CellLongerThanExcelHas": {`<row r="5"><c r="A5" t="inlineStr"><is><t>` + strings.Repeat("x", 40_000) +
			`</t></is></c></row>`, "cell_long"},
		"StyledBlankFarRight": {`<row r="5"><c r="A5"><v>3005550005</v></c><c r="B5" t="str"><v>Eva</v>` +
			`</c><c r="XFD5" s="1"/></row>`, ""},
		"RowWithoutNumbersOfItsOwn": {`<row><c><v>3005550005</v></c><c t="str"><v>Eva</v></c></row>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := rawXLSX(t, numbered(9, 5, c.row), nil)
			if c.code == "" {
				report, _ := check(t, "a.xlsx", file, Spec{})
				if report.Rows != 8 || report.Valid != 8 {
					t.Errorf("report = %+v", report)
				}
				return
			}
			if e := failure(t, "a.xlsx", file, Spec{}); e.Code != c.code {
				t.Errorf("code = %s (%v), want %s", e.Code, e.Err, c.code)
			}
		})
	}
}

func TestCutOrDoctoredPartsAreRefused(t *testing.T) {
	good := numbered(9, 0, "")
	sheet := `<worksheet><sheetData>` + good + `</sheetData></worksheet>`
	for name, extra := range map[string]map[string]string{
		"CutSheet":        {"xl/worksheets/sheet1.xml": sheet[:len(sheet)/2]},
		"Doctype":         {"xl/worksheets/sheet1.xml": `<!DOCTYPE x [<!ENTITY a "b">]>` + sheet},
		"NotAWorksheet":   {"xl/worksheets/sheet1.xml": `<hoja/>`},
		"TwoRoots":        {"xl/worksheets/sheet1.xml": sheet + sheet},
		"AnotherEncoding": {"xl/worksheets/sheet1.xml": `<?xml version="1.0" encoding="latin1"?>` + sheet},
		"RowBeforeTable": {"xl/worksheets/sheet1.xml": `<worksheet><cols><row r="1"/></cols><sheetData>` + good +
			`</sheetData></worksheet>`},
		"NoWorkbook":    {"_rels/.rels": `<Relationships/>`},
		"DoctypeInBook": {"xl/workbook.xml": `<!DOCTYPE x><workbook/>`},
		"BrokenStyles":  {"xl/styles.xml": `<styleSheet>`},
		"BrokenStrings": {"xl/sharedStrings.xml": `<sst><si><t>a</t>`},
		"NestedStrings": {"xl/sharedStrings.xml": `<sst><x><si/></x></sst>`},
		"DeepNesting":   {"xl/styles.xml": strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000)},
	} {
		t.Run(name, func(t *testing.T) {
			if e := failure(t, "a.xlsx", rawXLSX(t, good, extra), Spec{}); e.Code != "xlsx_damaged" {
				t.Errorf("code = %s (%v)", e.Code, e.Err)
			}
		})
	}
	t.Run("NoSheets", func(t *testing.T) {
		if e := failure(t, "a.xlsx", rawXLSX(t, good, map[string]string{"xl/workbook.xml": `<workbook/>`}),
			Spec{}); e.Code != "no_sheets" {
			t.Errorf("code = %s (%v)", e.Code, e.Err)
		}
	})
}

func TestContainersThatLieAreRefused(t *testing.T) {
	good := rawXLSX(t, numbered(9, 0, ""), nil)
	directory := bytes.LastIndex(good, []byte("PK\x01\x02")) // the last part's entry in the directory
	patch := func(offset int, value uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[directory+offset:], value)
		return b
	}
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"HugeDeclaredSize":  {patch(24, 0xFFFFFFF0), "xlsx_bomb"},
		"SmallDeclaredSize": {patch(24, 10), "xlsx_damaged"},
		"WrongChecksum":     {patch(16, 0x12345678), "xlsx_damaged"},
		"HugePackedSize":    {patch(20, 0x7FFFFFF0), "xlsx_bomb"},
		"UnknownCompression": {func() []byte { b := bytes.Clone(good); b[directory+10] = 99; return b }(),
			"xlsx_damaged"},
		"Encrypted":      {func() []byte { b := bytes.Clone(good); b[directory+8] |= 1; return b }(), "password"},
		"CutInTheMiddle": {good[:len(good)/2], "xlsx_cut"},
		"MagicOnly":      {[]byte("PK\x03\x04"), "xlsx_cut"},
		"SamePartTwice":  {twice(t), "xlsx_damaged"},
		"Zip64Size":      {zip64(t), "xlsx_bomb"},
	} {
		t.Run(name, func(t *testing.T) {
			if e := failure(t, "a.xlsx", c.file, Spec{}); e.Code != c.code {
				t.Errorf("code = %s (%v), want %s", e.Code, e.Err, c.code)
			}
		})
	}
	t.Run("TooBig", func(t *testing.T) {
		in := input("a.xlsx", good)
		in.Size = maxXLSX + 1
		in.R = padded{good}
		_, err := Open(in, Spec{})
		if e, ok := errors.AsType[*FileError](err); !ok || e.Code != "xlsx_big" {
			t.Errorf("err = %v", err)
		}
	})
}

// padded reads as its bytes and then zeros without end.
type padded struct{ b []byte }

func (p padded) ReadAt(b []byte, offset int64) (int, error) {
	clear(b)
	if offset < int64(len(p.b)) {
		copy(b, p.b[offset:])
	}
	return len(b), nil
}

// twice is a workbook with a second part whose name differs only in case.
func twice(t *testing.T) []byte {
	return rawXLSX(t, numbered(3, 0, ""), map[string]string{"xl/Worksheets/Sheet1.xml": "<worksheet/>"})
}

// zip64 is a container whose only part declares 2^63 bytes.
func zip64(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	_, err := z.CreateRaw(&zip.FileHeader{Name: "[Content_Types].xml", Method: zip.Store,
		UncompressedSize64: 1 << 63, CompressedSize64: 0})
	must(t, err)
	must(t, z.Close())
	return b.Bytes()
}

func TestValuesLostByTheReaderAreNoticed(t *testing.T) {
	b := rawXLSX(t, numbered(9, 0, ""), nil)
	f := open(t, "a.xlsx", b, Spec{})
	sheet := f.src.(*xlsxSheet)
	for name, change := range map[string]func(*sheetScan){
		"RowsMissing":  func(s *sheetScan) { s.lastRow++ },
		"ValueMissing": func(s *sheetScan) { s.filled++ },
		"ValueTooMany": func(s *sheetScan) { s.filled-- },
	} {
		t.Run(name, func(t *testing.T) {
			before := *sheet.scan
			defer func() { *sheet.scan = before }()
			change(sheet.scan)
			_, err := Check(f, nil)
			if e, ok := errors.AsType[*FileError](err); !ok || e.Code != "xlsx_lost" {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestPanicOfTheReaderBecomesAFileError(t *testing.T) {
	err := guarded(func() error { panic(fmt.Sprintf("index of %s", "Zutano")) })
	if e, ok := errors.AsType[*FileError](err); !ok || e.Code != "xlsx_damaged" || strings.Contains(e.Err.Error(),
		"Zutano") {
		t.Errorf("err = %v", err)
	}
}

func TestUncountedFormulaDoesNotTouchTheCellsBelow(t *testing.T) {
	data := `<row r="1"><c r="A1" t="str"><v>Nombre</v></c><c r="B1" t="str"><v>Celular</v></c></row>` +
		`<row r="2"><c r="A2"><f>X1</f></c><c r="B2"><v>3005552001</v></c></row>` +
		`<row r="3"><c r="B3"><v>3005552002</v></c></row>` +
		`<row r="4"><c r="A4"><v>7</v></c><c r="B4"><v>3005552003</v></c></row>`
	_, rows := check(t, "a.xlsx", rawXLSX(t, data, nil), Spec{})
	got := append(codes(rows[0].Problems), codes(rows[1].Problems)...)
	if !slices.Equal(got, []string{"formula_empty", "var_missing"}) || rows[2].Vars[0] != "7" {
		t.Errorf("codes = %v, last = %+v", got, rows[2])
	}
}

func TestHiddenRowsAreLeftOutAndSaid(t *testing.T) {
	b := styled(t, func(f *excelize.File) {
		for _, n := range []int{3, 5} {
			must(t, f.SetRowVisible("Sheet1", n, false))
		}
	}, []any{"Nombre", "Celular"}, []any{"Ana", 3005552001}, []any{"Eva", 3005552002}, []any{"Mia", 3005552003},
		[]any{"Luz", "malo"})
	report, rows := check(t, "a.xlsx", b, Spec{})
	if report.Rows != 2 || rows[1].Row != 4 {
		t.Errorf("rows = %+v", rows)
	}
	note := report.Layout.Notes[slices.Index(codes(report.Layout.Notes), "rows_hidden")]
	if note.Row != 0 || note.Args["count"] != "2" || note.Args["rows"] != "3, 5" {
		t.Errorf("note = %+v", note)
	}
}

func TestSheets(t *testing.T) {
	b := styled(t, func(f *excelize.File) {
		for _, name := range []string{"Contactos", "Oculta", "Más contactos"} {
			_, err := f.NewSheet(name)
			must(t, err)
			must(t, f.SetSheetRow(name, "A1", &[]any{"Nombre", "Celular"}))
			must(t, f.SetSheetRow(name, "A2", &[]any{name, 3005552001}))
		}
		must(t, f.SetSheetVisible("Oculta", false))
	}, []any{"Instrucciones de uso"}, []any{"Llene la otra hoja"})
	t.Run("FirstVisibleOneWithContacts", func(t *testing.T) {
		report, rows := check(t, "a.xlsx", b, Spec{})
		if report.Layout.Sheet != "Contactos" || rows[0].Vars[0] != "Contactos" {
			t.Errorf("sheet = %q", report.Layout.Sheet)
		}
		if !slices.Contains(codes(report.Layout.Notes), "sheets_other") {
			t.Errorf("notes = %v", codes(report.Layout.Notes))
		}
	})
	t.Run("ByNameWithoutAccents", func(t *testing.T) {
		if report, _ := check(t, "a.xlsx", b, Spec{Sheet: "mas CONTACTOS"}); report.Layout.Sheet != "Más contactos" {
			t.Errorf("sheet = %q", report.Layout.Sheet)
		}
	})
	t.Run("HiddenOneByName", func(t *testing.T) {
		if report, _ := check(t, "a.xlsx", b, Spec{Sheet: "Oculta"}); report.Layout.Sheet != "Oculta" {
			t.Errorf("sheet = %q", report.Layout.Sheet)
		}
	})
	t.Run("Unknown", func(t *testing.T) {
		e := failure(t, "a.xlsx", b, Spec{Sheet: "Nada"})
		if e.Code != "sheet_missing" || !strings.Contains(e.Text("es"), "«Más contactos»") ||
			strings.Contains(e.Text("es"), "Oculta") {
			t.Errorf("text = %q", e.Text("es"))
		}
	})
}

func TestLargeSheetsSpillToDiskAndReadTheSame(t *testing.T) {
	rows := [][]any{{"Nombre", "Celular", "Nota"}}
	for i := range 12_000 {
		rows = append(rows, []any{fmt.Sprintf("Persona %d", i), 3005550000 + i, "una nota que se repite"})
	}
	report, _ := check(t, "a.xlsx", xlsx(t, rows...), Spec{})
	if report.Valid != 12_000 || report.Sample[2].Vars[0] != "Persona 2" {
		t.Errorf("valid = %d, codes %v", report.Valid, report.Codes)
	}
}

func TestRichAndPhoneticTextIsRead(t *testing.T) {
	sst := `<sst><si><t>Celular</t></si><si><r><t>Ma</t></r><r><rPr><b/></rPr><t>ría</t></r>` +
		`<rPh sb="0" eb="1"><t>x</t></rPh></si>` +
		`<si><t></t></si><si><t>Nombre</t></si></sst>`
	data := `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>3</v></c></row>` +
		`<row r="2"><c r="A2"><v>3005552001</v></c><c r="B2" t="s"><v>1</v></c></row>` +
		`<row r="3"><c r="A3"><v>3005552002</v></c><c r="B3" t="s"><v>2</v></c></row>` +
		`<row r="4"><c r="A4"><v>3005552003</v></c><c r="B4" t="inlineStr"><is><r><t>Jo</t></r><r><t>sé</t>` +
		`</r></is></c></row>`
	report, rows := check(t, "a.xlsx", rawXLSX(t, data, map[string]string{"xl/sharedStrings.xml": sst}), Spec{})
	if rows[0].Vars[0] != "María" || rows[2].Vars[0] != "José" || report.Codes["var_missing"] != 1 {
		t.Errorf("rows = %+v", rows)
	}
}

func TestTextThatLooksLikeANumberWithoutItsDigits(t *testing.T) {
	for _, text := range []string{"5.73E+11", "5,73E+11", "5.73e11"} {
		_, rows := check(t, "a.xlsx", xlsx(t, []any{"Nombre", "Celular"}, []any{"Ana", text}, []any{"Eva",
			3005552001}), Spec{})
		if p := rows[0].Problems[0]; p.Code != "phone_scientific" || p.Column != "Celular" || p.Value != text {
			t.Errorf("problem = %+v", p)
		}
	}
}

func TestTemporaryFilesAreGivenBack(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	rows := [][]any{{"Nombre", "Celular"}}
	for i := range 30_000 {
		rows = append(rows, []any{fmt.Sprintf("Persona %d", i), 3005550000 + i})
	}
	file := xlsx(t, rows...)
	f, err := Open(input("a.xlsx", file), Spec{})
	must(t, err)
	if _, err := Check(f, nil); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) == 0 {
		t.Error("the sheet was unpacked into memory")
	}
	must(t, f.Close())
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
