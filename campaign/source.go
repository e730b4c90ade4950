package campaign

import (
	"iter"
	"strings"
)

// Limits of what is read. The cell and row limits are Excel's own; 256 columns is far above any campaign's need and
// far below what makes a small hostile file expand to gigabytes.
const (
	maxColumns   = 256
	maxSheetRows = 1_048_576
	maxCellRunes = 32_767
	maxRecord    = 1 << 20  // bytes of one CSV record
	maxXLSX      = 50 << 20 // bytes of the .xlsx file itself
)

// cellKind is what a cell holds apart from its text. CSV cells are all text.
type cellKind uint8

const (
	kindText     cellKind = iota
	kindNumber            // a number shown more or less as it is stored
	kindMasked            // a number whose format changes how it looks: currency, thousands, leading zeros
	kindPercent           // a share shown as a percentage
	kindDate              // a serial shown as a date
	kindDateTime          // a serial shown as date and time
	kindTime              // a serial shown as a time of day
	kindElapsed           // a serial shown as hours that go on past 24
	kindISO               // a date or time stored as ISO 8601 text
	kindBool
	kindError    // #N/A and its family
	kindUncached // a formula whose result is not stored in the file
)

type cell struct {
	text string
	kind cellKind
}

// row is one row of a source. Its cells are reused by the next row.
type row struct {
	n      int // as people see it
	line   int // physical line where it starts; CSV only
	cells  []cell
	hidden bool
	folded bool // CSV: some cell holds a line break
}

func (r *row) blank() bool {
	for _, c := range r.cells {
		if c.kind == kindUncached || strings.TrimSpace(c.text) != "" {
			return false
		}
	}
	return true
}

func (r *row) cell(i int) cell {
	if i < 0 || i >= len(r.cells) {
		return cell{}
	}
	return r.cells[i]
}

// source delivers the rows of a spreadsheet, each time from the start. A CSV file and an XLSX sheet are sources.
type source interface {
	rows() iter.Seq2[*row, error]
	describe(*Layout)
	close() error
}

// letter returns a column's name as spreadsheets show it: 0 is "A", 26 is "AA".
func letter(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('A'+(i-1)%26)) + name
	}
	return name
}

// letterIndex is the inverse of letter; ok is false for anything that is no column name of at most three letters.
func letterIndex(s string) (i int, ok bool) {
	if len(s) == 0 || len(s) > 3 {
		return 0, false
	}
	for _, r := range strings.ToUpper(s) {
		if r < 'A' || r > 'Z' {
			return 0, false
		}
		i = i*26 + int(r-'A') + 1
	}
	return i - 1, true
}
