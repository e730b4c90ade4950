package campaign

import (
	"encoding/xml"
	"slices"
	"strconv"
)

// sheetScan is what a strict pass over a sheet found, to be compared with what excelize delivers, and the kinds of
// cells, which excelize does not tell. excelize takes broken XML, an unknown shared string and a wrong cell reference
// for the end of the sheet or an empty cell, without an error.
type sheetScan struct {
	lastRow int
	filled  int                // cells with a value
	hidden  []int              // rows, ascending
	kinds   [maxColumns]runMap // kind of each filled cell, by column
	masked  [maxColumns]bool   // some number in the column looks different from what is stored
}

// runMap is the kind of the cells of one column. Columns are mostly of one kind, so it holds changes only.
type runMap struct {
	rows  []uint32 // from this row on …
	kinds []cellKind
}

func (m *runMap) add(row int, kind cellKind) {
	n := len(m.kinds)
	if n > 0 && m.rows[n-1] == uint32(row) {
		m.rows, m.kinds = m.rows[:n-1], m.kinds[:n-1]
		n--
	}
	if n == 0 && kind == kindText || n > 0 && m.kinds[n-1] == kind {
		return
	}
	m.rows, m.kinds = append(m.rows, uint32(row)), append(m.kinds, kind)
}

func (m *runMap) at(row int) cellKind {
	if len(m.rows) == 0 {
		return kindText
	}
	i, found := slices.BinarySearch(m.rows, uint32(row))
	if !found {
		i--
	}
	if i < 0 {
		return kindText
	}
	return m.kinds[i]
}

// Depths of a sheet's elements.
const (
	depthSheetData = 2
	depthRow       = 3
	depthCell      = 4
	depthValue     = 5
)

// sheetScanner holds the state of the pass.
type sheetScanner struct {
	book *workbook
	scan *sheetScan

	inside string // element at depth 2
	tables int    // <sheetData> elements seen
	row    int
	column int // of the open cell, from 0; -1 before the first one of a row

	inCell, inValue, inline bool
	hasValue, hasFormula    bool
	kind                    string // the cell's t
	style                   int
	value                   []byte
	text                    itemText
}

// scanSheet reads a sheet's XML to its end. Every fault is an error with the row where it is.
func (w *workbook) scanSheet(sheet sheetInfo) (*sheetScan, error) {
	s := &sheetScanner{book: w, scan: &sheetScan{}, text: itemText{base: depthValue}}
	err := w.walk(sheet.part, "sheet", xmlWalker{start: s.start, end: s.end, text: s.chars})
	if err != nil {
		return nil, err
	}
	return s.scan, nil
}

func (s *sheetScanner) fault(why string) error {
	return &FileError{Code: "xlsx_damaged", Args: map[string]string{"part": "sheet", "row": strconv.Itoa(s.row)},
		Err: errorText(why)}
}

// errorText is a constant error text.
type errorText string

func (e errorText) Error() string { return string(e) }

func (s *sheetScanner) start(depth int, e xml.StartElement) error {
	local := e.Name.Local
	if depth <= depthSheetData {
		return s.startOutside(depth, local)
	}
	if s.inside != "sheetData" {
		if local == "row" && s.tables == 0 {
			return s.fault("row outside the table")
		}
		return nil
	}
	switch {
	case depth == depthRow && local == "row":
		return s.startRow(e)
	case depth == depthCell && local == "c":
		return s.startCell(e)
	case local == "row" || local == "c" || depth == depthRow || depth == depthCell && local != "extLst":
		return s.fault("element in an unexpected place")
	case depth >= depthValue && s.inCell:
		return s.startValue(depth, local)
	}
	return nil
}

func (s *sheetScanner) startOutside(depth int, local string) error {
	if depth == 1 && local != "worksheet" {
		return s.fault("no worksheet")
	}
	s.inside = ""
	if depth == depthSheetData {
		s.inside = local
		if local == "sheetData" {
			s.tables++
		}
		if local == "row" || s.tables > 1 {
			return s.fault("more than one table")
		}
	}
	return nil
}

func (s *sheetScanner) startRow(e xml.StartElement) error {
	next := s.row + 1
	if r := attr(e, "r"); r != "" {
		n, err := strconv.Atoi(r)
		if err != nil || n < next || n > maxSheetRows || count(e, "r") > 1 {
			return s.fault("row number out of order or out of range")
		}
		next = n
	}
	if next > maxSheetRows {
		return s.fault("row number out of range")
	}
	s.row, s.column, s.scan.lastRow = next, -1, next
	if isTrue(attr(e, "hidden")) {
		s.scan.hidden = append(s.scan.hidden, next)
	}
	return nil
}

func (s *sheetScanner) startCell(e xml.StartElement) error {
	s.column++
	if r := attr(e, "r"); r != "" {
		column, row, ok := cellName(r)
		if !ok || row != s.row || column < s.column || count(e, "r") > 1 {
			return s.fault("cell reference out of order or out of range")
		}
		s.column = column
	}
	s.style = 0
	if style := attr(e, "s"); style != "" {
		n, err := strconv.Atoi(style)
		if err != nil || n < 0 {
			return s.fault("style of a cell is no number")
		}
		s.style = n
	}
	s.inCell, s.kind, s.value = true, attr(e, "t"), s.value[:0]
	s.inValue, s.inline, s.hasValue, s.hasFormula = false, false, false, false
	s.text.reset()
	return nil
}

func (s *sheetScanner) startValue(depth int, local string) error {
	if s.inValue {
		return s.fault("element inside a value")
	}
	s.text.start(depth, local)
	if depth > depthValue {
		return nil
	}
	twice := false
	switch local {
	case "v":
		twice, s.inValue, s.hasValue = s.hasValue, true, true
	case "f":
		twice, s.hasFormula = s.hasFormula, true
	case "is":
		twice, s.inline = s.inline, true
		s.text.reset()
	}
	if twice {
		return s.fault("two values in one cell")
	}
	return nil
}

func (s *sheetScanner) chars(_ int, b []byte) error {
	if s.inValue {
		if len(s.value)+len(b) > maxCellRunes*4 {
			return s.long()
		}
		s.value = append(s.value, b...)
	}
	if s.inline {
		s.text.add(b)
	}
	return nil
}

func (s *sheetScanner) long() error {
	return &FileError{Code: "cell_long", Args: numbers("row", s.row, "max", maxCellRunes)}
}

func (s *sheetScanner) end(depth int, local string) error {
	if s.inside != "sheetData" || !s.inCell {
		return nil
	}
	switch {
	case depth == depthValue && local == "v":
		s.inValue = false
	case depth == depthCell:
		s.inCell = false
		return s.endCell()
	}
	s.text.end(depth)
	return nil
}

// endCell decides whether excelize will deliver a value for this cell, and what kind it is.
func (s *sheetScanner) endCell() error {
	kind, filled := kindText, len(s.value) > 0
	switch s.kind {
	case "s":
		if filled {
			i, err := strconv.Atoi(string(s.value))
			if err != nil || i < 0 || i >= s.book.strings.count {
				return s.fault("shared string out of range")
			}
			filled = !s.book.strings.isEmpty(i)
		}
	case "inlineStr":
		if s.inline {
			filled = s.text.bytes > 0
		}
		if s.text.runes > maxCellRunes {
			return s.long()
		}
	case "str", "d":
		if len([]rune(string(s.value))) > maxCellRunes {
			return s.long()
		}
		if s.kind == "d" {
			kind = kindISO
		}
	case "b":
		kind = kindBool
	case "e":
		kind = kindError
	default:
		kind = kindNumber
		if s.style < len(s.book.styles) {
			kind = s.book.styles[s.style]
		}
	}
	if !filled && !s.hasFormula {
		return nil
	}
	if s.column >= maxColumns {
		return &FileError{Code: "too_many_columns", Args: numbers("row", s.row, "max", maxColumns)}
	}
	kinds := &s.scan.kinds[s.column]
	switch {
	case filled:
		s.scan.filled++
		kinds.add(s.row, kind)
	case !s.hasValue: // with a value, it is a formula whose result is an empty text
		kinds.add(s.row, kindUncached)
		kinds.add(s.row+1, kindText) // so that a cell missing from the next row is not taken for another formula
	}
	s.scan.masked[s.column] = s.scan.masked[s.column] || kind == kindMasked || kind == kindNumber && !whole10(s.value)
	return nil
}

// whole10 reports a number stored with decimal digits only.
func whole10(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func count(e xml.StartElement, local string) (n int) {
	for _, a := range e.Attr {
		if a.Name.Local == local {
			n++
		}
	}
	return n
}

// cellName reads a cell reference such as "BC23": column from 0, row from 1.
func cellName(s string) (column, row int, ok bool) {
	i := 0
	for i < len(s) && (s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z') {
		i++
	}
	column, ok = letterIndex(s[:i])
	row, err := strconv.Atoi(s[i:])
	return column, row, ok && column < 16_384 && err == nil && row >= 1 && row <= maxSheetRows && s[i] != '+'
}
