package campaign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

func TestNumbersAndDatesAreSentAsPeopleReadThem(t *testing.T) {
	formats := []string{"General", "0", "0.00E+00", `"$"#,##0`, "0%", "dd/mm/yyyy", `dd/mm/yyyy\ hh:mm`, "h:mm AM/PM",
		`[$-240A]d" de "mmmm" de "yyyy`, "[h]:mm", "0000000000", "mmm-yy"}
	for _, c := range []struct{ stored, format, want string }{
		{"573102111111", "General", "573102111111"},
		{"5.73102111111E11", "General", "573102111111"},
		{"5.73102111111E+11", "0.00E+00", "573102111111"},
		{"573102111111", "0", "573102111111"},
		{"19.9899999999999999998", "General", "19.99"},
		{"0.1", "General", "0.1"},
		{"-12.50", "General", "-12.5"},
		{"1E-3", "General", "0.001"},
		{"1250000", `"$"#,##0`, "1250000"},
		{"0.195", "0%", "19.5%"},
		{"0.07", "0%", "7%"},
		{"46346", "dd/mm/yyyy", "20/11/2026"},
		{"46346.604166666664", `dd/mm/yyyy\ hh:mm`, "20/11/2026 14:30"},
		{"46346.999999", `dd/mm/yyyy\ hh:mm`, "21/11/2026 00:00"},
		{"0.604166666666667", "h:mm AM/PM", "14:30"},
		{"46346", `[$-240A]d" de "mmmm" de "yyyy`, "20/11/2026"},
		{"46346", "mmm-yy", "20/11/2026"},
		{"1.25", "[h]:mm", "30:00"},
		{"12345678", "0000000000", "12345678"},
		{"1", "dd/mm/yyyy", "01/01/1900"},
		{"59", "dd/mm/yyyy", "28/02/1900"},
		{"61", "dd/mm/yyyy", "01/03/1900"},
		{"1234567890123456789", "General", "1234567890123456789"},
	} {
		t.Run(c.stored+" as "+c.format, func(t *testing.T) {
			styles := `<styleSheet><numFmts>`
			xfs := `<cellXfs><xf numFmtId="0"/>`
			for i, f := range formats {
				styles += fmt.Sprintf(`<numFmt numFmtId="%d" formatCode="%s"/>`, 200+i, strings.ReplaceAll(f, `"`,
					"&quot;"))
				xfs += fmt.Sprintf(`<xf numFmtId="%d"/>`, 200+i)
			}
			row := fmt.Sprintf(`<row r="5"><c r="A5"><v>3005550005</v></c><c r="B5" s="%d"><v>%s</v></c></row>`,
				1+slices.Index(formats, c.format), c.stored)
			_, rows := check(t, "a.xlsx", rawXLSX(t, numbered(9, 5, row),
				map[string]string{"xl/styles.xml": styles + `</numFmts>` + xfs + `</cellXfs></styleSheet>`}), Spec{})
			if got := rows[3].Vars[0]; got != c.want || rows[3].Status != Valid {
				t.Errorf("%q, %v, want %q", got, codes(rows[3].Problems), c.want)
			}
		})
	}
}

func TestBuiltInDateFormats(t *testing.T) {
	b := styled(t, func(f *excelize.File) {
		for id, cell := range map[int]string{14: "C2", 22: "D2", 20: "E2"} {
			style, err := f.NewStyle(&excelize.Style{NumFmt: id})
			must(t, err)
			must(t, f.SetCellStyle("Sheet1", cell, cell, style))
		}
	}, []any{"Nombre", "Celular", "Fecha", "Cita", "Hora"}, []any{"Ana", 3005552001, 46346, 46346.5, 0.25})
	_, rows := check(t, "a.xlsx", b, Spec{})
	if diff := cmp.Diff([]string{"Ana", "20/11/2026", "20/11/2026 12:00", "06:00"}, rows[0].Vars); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDatesOf1904Workbooks(t *testing.T) {
	book := `<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
		`<workbookPr date1904="1"/>` +
		`<sheets><sheet name="Hoja1" sheetId="1" r:id="rId1"/></sheets></workbook>`
	row := `<row r="5"><c r="A5"><v>3005550005</v></c><c r="B5" s="1"><v>44884</v></c></row>`
	_, rows := check(t, "a.xlsx", rawXLSX(t, numbered(9, 5, row), map[string]string{"xl/workbook.xml": book,
		"xl/styles.xml": `<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>` +
			`</styleSheet>`}), Spec{})
	if got := rows[3].Vars[0]; got != "20/11/2026" {
		t.Errorf("got %q", got)
	}
}

func TestCellsThatHoldNoValueToSend(t *testing.T) {
	styles := map[string]string{
		"xl/styles.xml": `<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`}
	for name, c := range map[string]struct{ cell, code, value string }{
		"ErrorCell":           {`<c r="B5" t="e"><v>#N/A</v></c>`, "cell_error", ""},
		"FormulaNotCounted":   {`<c r="B5"><f>A1&amp;"x"</f></c>`, "formula_empty", ""},
		"FormulaWithEmpty":    {`<c r="B5" t="str"><f>A1</f><v></v></c>`, "var_missing", ""},
		"FormulaWithText":     {`<c r="B5" t="str"><f>A1</f><v>Eva</v></c>`, "", "Eva"},
		"NegativeDate":        {`<c r="B5" s="1"><v>-3</v></c>`, "date_range", ""},
		"DateAfterLast":       {`<c r="B5" s="1"><v>99999999</v></c>`, "date_range", ""},
		"LeapDayThatNeverWas": {`<c r="B5" s="1"><v>60</v></c>`, "date_range", ""},
		"True":                {`<c r="B5" t="b"><v>1</v></c>`, "", "VERDADERO"},
		"False":               {`<c r="B5" t="b"><v>0</v></c>`, "", "FALSO"},
		"Blank":               {``, "var_missing", ""},
	} {
		t.Run(name, func(t *testing.T) {
			row := `<row r="5"><c r="A5"><v>3005550005</v></c>` + c.cell + `</row>`
			_, rows := check(t, "a.xlsx", rawXLSX(t, numbered(9, 5, row), styles), Spec{})
			got := ""
			if len(rows[3].Problems) > 0 {
				got = rows[3].Problems[0].Code
			}
			if got != c.code || rows[3].Vars[0] != c.value || (rows[3].Status == Valid) != (c.code == "") {
				t.Errorf("row = %+v", rows[3])
			}
			if rows[4].Status != Valid {
				t.Errorf("the next row suffers: %+v", rows[4])
			}
		})
	}
}

func TestISODatesAreRead(t *testing.T) {
	row := `<row r="5"><c r="A5"><v>3005550005</v></c><c r="B5" t="d"><v>2026-11-20T14:30:00</v></c></row>`
	_, rows := check(t, "a.xlsx", rawXLSX(t, numbered(9, 5, row), nil), Spec{})
	if got := rows[3].Vars[0]; got != "20/11/2026 14:30" {
		t.Errorf("got %q", got)
	}
}
