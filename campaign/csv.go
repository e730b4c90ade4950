package campaign

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"
)

// csvFile is the source for text files.
type csvFile struct {
	in    Input
	chars charset
	delim byte
	sep   bool // the first line is "sep=;" and no row
}

func (f *csvFile) close() error { return nil }

func (f *csvFile) describe(l *Layout) {
	l.Format, l.Encoding, l.Delimiter = "csv", f.chars.name, string(rune(f.delim))
}

func (f *csvFile) rows() iter.Seq2[*row, error] {
	return func(yield func(*row, error) bool) {
		r := newRecordReader(f.chars.reader(f.in), f.delim)
		if f.sep {
			if _, err := r.next(); err != nil && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			r.row.n = 0 // Excel does not show the line either
		}
		for {
			record, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// recordReader reads CSV records strictly. encoding/csv is not used because it leaves out blank lines, so that row
// numbers would not be the ones people see; because it takes a lone CR as text; and because it holds the rest of the
// file in memory when a quote is not closed.
//
// A quote opens a quoted cell only as its first character; elsewhere it is an ordinary character, as in Excel.
type recordReader struct {
	in    *bufio.Reader
	delim byte
	line  int // physical line being read
	row   row
	buf   []byte
	ends  []int // where each cell ends in buf
}

func newRecordReader(r io.Reader, delim byte) *recordReader {
	return &recordReader{in: bufio.NewReaderSize(r, 64<<10), delim: delim, line: 1}
}

type csvState uint8

const (
	cellStart csvState = iota
	plainCell
	quotedCell
	quoteSeen // inside a quoted cell: the end of it, or the first half of ""
)

// next returns the next record, io.EOF after the last one, or a *FileError. The row is reused.
func (r *recordReader) next() (*row, error) {
	r.buf, r.ends = r.buf[:0], r.ends[:0]
	r.row.line, r.row.folded = r.line, false
	state, quoteLine, started := cellStart, 0, false
	for {
		b, err := r.readByte()
		if err != nil {
			return r.atEnd(err, state, quoteLine, started)
		}
		started = true
		switch {
		case b == 0:
			return nil, &FileError{Code: "binary", Args: number("line", r.line)}
		case len(r.buf) >= maxRecord:
			return nil, r.tooLong(state, quoteLine)
		case state == quotedCell && b == '"':
			state = quoteSeen
		case state == quotedCell:
			r.row.folded = r.row.folded || b == '\n'
			r.buf = append(r.buf, b)
		case b == '\n':
			return r.finish()
		case b == r.delim:
			r.ends = append(r.ends, len(r.buf))
			if len(r.ends) > maxRecord/4 {
				return nil, r.tooLong(state, quoteLine)
			}
			state = cellStart
		case state == quoteSeen && b == '"':
			r.buf, state = append(r.buf, '"'), quotedCell
		case state == quoteSeen && (b == ' ' || b == '\t'):
			// Blanks between a closing quote and the next cell mean nothing.
		case state == quoteSeen:
			return nil, &FileError{Code: "csv_quote", Args: numbers("line", r.line, "opened", quoteLine)}
		case state == cellStart && b == '"':
			state, quoteLine = quotedCell, r.line
		default:
			r.buf, state = append(r.buf, b), plainCell
		}
		if b == '\n' {
			r.line++
		}
	}
}

// readByte returns the next byte, with CR LF and a lone CR as one LF.
func (r *recordReader) readByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err != nil || b != '\r' {
		return b, err
	}
	if b, err = r.in.ReadByte(); err == nil && b != '\n' {
		err = r.in.UnreadByte()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return '\n', nil
}

func (r *recordReader) atEnd(err error, state csvState, quoteLine int, started bool) (*row, error) {
	switch {
	case !errors.Is(err, io.EOF):
		return nil, &FileError{Code: "unreadable", Err: err}
	case state == quotedCell:
		return nil, &FileError{Code: "csv_quote_open", Args: number("line", quoteLine)}
	case !started:
		return nil, io.EOF
	}
	return r.finish()
}

func (r *recordReader) tooLong(state csvState, quoteLine int) error {
	if state == quotedCell {
		return &FileError{Code: "csv_quote_open", Args: number("line", quoteLine)}
	}
	return &FileError{Code: "csv_record_long", Args: number("line", r.row.line)}
}

func (r *recordReader) finish() (*row, error) {
	r.line++
	r.row.n++
	text := string(r.buf)
	r.ends = append(r.ends, len(text))
	r.row.cells = r.row.cells[:0]
	from := 0
	for i, to := range r.ends {
		if i < maxColumns {
			r.row.cells = append(r.row.cells, cell{text: text[from:to]})
		} else if strings.TrimSpace(text[from:to]) != "" {
			return nil, &FileError{Code: "too_many_columns", Args: numbers("row", r.row.n, "max", maxColumns)}
		}
		from = to
	}
	return &r.row, nil
}

// Delimiters that are tried, in the order that decides a tie. The comma comes last: in Spanish files it is the
// decimal sign, and splits every amount in the same way.
var delimiters = []byte{';', '\t', '|', ','}

// sniffDelimiter looks at the start of the text and returns the delimiter with which the first 50 records have the
// most regular number of cells. sep reports a first line "sep=;", which Excel obeys.
func sniffDelimiter(sample string, asked string) (delim byte, sep bool, err error) {
	first, _, _ := strings.Cut(strings.ReplaceAll(sample, "\r", "\n"), "\n")
	declared, sep := strings.CutPrefix(strings.ToLower(strings.Trim(first, "\" \t")), "sep=")
	if sep && declared == "" && strings.Contains(first, "\t") {
		declared = "\t"
	}
	if asked != "" {
		delim, ok := namedDelimiter(asked)
		if !ok {
			return 0, false, &FileError{Code: "delimiter_unknown", Args: map[string]string{"delimiter": clip(asked)}}
		}
		return delim, sep, nil
	}
	if sep {
		if delim, ok := namedDelimiter(declared); ok {
			return delim, true, nil
		}
	}
	best, bestScore := byte(';'), 0.0 // one column: a comma in it is a decimal sign
	for _, d := range delimiters {
		if score := regularity(sample, d, sep); score > bestScore+1e-9 {
			best, bestScore = d, score
		}
	}
	return best, sep, nil
}

func namedDelimiter(s string) (byte, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "tab", `\t`, "tabulador", "tabulator":
		return '\t', true
	case "semicolon", "punto y coma":
		return ';', true
	case "comma", "coma":
		return ',', true
	case "pipe", "barra":
		return '|', true
	}
	if len(s) != 1 || s[0] >= 0x80 || s[0] < ' ' && s[0] != '\t' || s == `"` {
		return 0, false
	}
	return s[0], true
}

// regularity is the share of records that have the most frequent number of cells, 0 if that number is one.
func regularity(sample string, delim byte, sep bool) float64 {
	if delim == ',' && onlyDecimalCommas(sample) {
		return 0
	}
	r := newRecordReader(strings.NewReader(sample), delim)
	widths, records := map[int]int{}, 0
	for records < 50 {
		record, err := r.next()
		if err != nil {
			break // the end, a record cut by the sample's end, or quotes that do not fit this delimiter
		}
		if sep && record.n == 1 || record.blank() {
			continue
		}
		widths[len(record.cells)]++
		records++
	}
	best := 0
	for width, count := range widths {
		if width > 1 {
			best = max(best, count)
		}
	}
	if records == 0 {
		return 0
	}
	return float64(best) / float64(records)
}

// onlyDecimalCommas tells a column of amounts ("5,73") from a comma-separated file: the first line, where the headers
// are, has no comma, and every other comma stands between digits.
func onlyDecimalCommas(sample string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(sample), "\n")
	if strings.Contains(first, ",") {
		return false
	}
	digit := func(i int) bool { return i >= 0 && i < len(sample) && sample[i] >= '0' && sample[i] <= '9' }
	for i := range len(sample) {
		if sample[i] == ',' && (!digit(i-1) || !digit(i+1)) {
			return false
		}
	}
	return true
}

// openCSV decides how to read a text file.
func openCSV(in Input, head []byte, spec Spec) (*csvFile, error) {
	seen, err := takeCensus(in)
	if err != nil {
		return nil, err
	}
	chars, err := charsetOf(seen, head, spec.Encoding)
	if err != nil {
		return nil, err
	}
	f := &csvFile{in: in, chars: chars}
	sample := make([]byte, 128<<10)
	n, err := io.ReadFull(chars.reader(in), sample)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &FileError{Code: "unreadable", Err: err}
	}
	if strings.TrimSpace(string(sample[:n])) == "" && err != nil {
		return nil, &FileError{Code: "empty"}
	}
	f.delim, f.sep, err = sniffDelimiter(string(sample[:n]), spec.Delimiter)
	return f, err
}

func number(name string, n int) map[string]string {
	return map[string]string{name: strconv.Itoa(n)}
}

func numbers(name string, n int, name2 string, n2 int) map[string]string {
	return map[string]string{name: strconv.Itoa(n), name2: strconv.Itoa(n2)}
}
