package campaign

import (
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// File is an open campaign file whose layout is known. It is not safe for concurrent use.
type File struct {
	src    source
	judge  judge
	layout Layout
}

// Open finds out what the file is, checks that all of it can be read, finds the header and maps the columns. No row
// is judged yet. The input must stay readable, and unchanged, until Close. Errors are *FileError.
func Open(in Input, spec Spec) (*File, error) {
	spec.Country = strings.ToUpper(strings.TrimSpace(spec.Country))
	if spec.Country == "" {
		spec.Country = "CO"
	}
	if !supportedCountry(spec.Country) {
		return nil, &FileError{Code: "country_unknown", Args: map[string]string{"country": clip(spec.Country)}}
	}
	if !utf8.ValidString(spec.Template.Text) {
		return nil, &FileError{Code: "template_text"}
	}
	head, err := readHead(in)
	if err != nil {
		return nil, err
	}
	container, err := sniff(in, head)
	switch {
	case err != nil:
		return nil, err
	case container:
		return openWorkbook(in, spec)
	}
	src, err := openCSV(in, head, spec)
	if err != nil {
		return nil, err
	}
	f, err := layOut(src, spec, false)
	if err != nil {
		return nil, err
	}
	if ext := strings.ToLower(path.Ext(in.Name)); slices.Contains([]string{".xlsx", ".xls", ".xlsm", ".ods"}, ext) {
		f.note("name_mismatch", map[string]string{"extension": ext})
	}
	if src.chars.name == "cp850" || src.chars.name == "macintosh" {
		f.note("encoding_guess", map[string]string{"encoding": src.chars.name})
	}
	return f, nil
}

// openWorkbook tries the visible sheets in their order until one has contacts.
func openWorkbook(in Input, spec Spec) (*File, error) {
	book, err := openXLSX(in)
	if err != nil {
		return nil, err
	}
	sheets, err := book.sheetChoice(spec.Sheet)
	if err != nil {
		return nil, err
	}
	var first error
	for _, info := range sheets {
		f, err := openSheet(in, book, info, spec)
		if err == nil {
			f.noteSheets(sheets, info)
			return f, nil
		}
		if first == nil || !skippable(err) {
			first = err
		}
		if !skippable(err) {
			break
		}
	}
	_ = book.close() // it was only read
	return nil, first
}

func openSheet(in Input, book *xlsxBook, info sheetInfo, spec Spec) (*File, error) {
	scan, err := book.strict.scanSheet(info)
	if err != nil {
		return nil, err
	}
	if err := book.load(in); err != nil {
		return nil, err
	}
	f, err := layOut(&xlsxSheet{book: book, info: info, scan: scan}, spec, book.strict.date1904)
	if err != nil {
		return nil, err
	}
	f.noteHidden(scan)
	f.noteMasked(scan)
	return f, nil
}

// layOut finds the header and the columns of a source.
func layOut(src source, spec Spec, date1904 bool) (*File, error) {
	rows, err := takeSample(src, spec.Header, date1904)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, &FileError{Code: "empty"}
	}
	find := &finder{rows: rows, country: spec.Country}
	at, err := find.find(spec)
	if err != nil {
		return nil, err
	}
	names := find.columns(at.header)
	if at.header < 0 {
		from := slices.IndexFunc(rows, func(r sampleRow) bool { return r.n >= at.first })
		names = names[:min(len(names), max(find.width(from), at.phone+1))]
	}
	if rows[len(rows)-1].n < at.first {
		return nil, &FileError{Code: "no_rows", Args: number("row", rows[len(rows)-1].n)}
	}
	m := &mapper{spec: spec, names: names}
	if err := m.bind(at); err != nil {
		return nil, err
	}
	f := &File{src: src, judge: judge{spec: spec, plan: m.plan, country: spec.Country, date1904: date1904,
		numbers: spec.Template.Variables()}}
	src.describe(&f.layout)
	f.judge.plan.cells = max(find.usualWidth(at.header), at.phone+1)
	f.judge.csv, f.judge.delim = f.layout.Format == "csv", f.layout.Delimiter
	f.layout.Columns, f.layout.Notes = m.columns(), m.notes
	if at.header >= 0 {
		f.layout.HeaderRow = rows[at.header].n
	} else {
		f.note("header_none", number("row", at.first))
	}
	f.noteRivals(at)
	return f, nil
}

func (f *File) note(code string, args map[string]string) {
	f.layout.Notes = append(f.layout.Notes, Problem{Code: code, Level: Warning, Args: args})
}

func (f *File) noteRivals(at place) {
	var rivals []string
	for _, column := range at.rivals {
		rivals = append(rivals, f.judge.plan.names[column].Header)
	}
	if len(rivals) > 0 {
		f.note("phone_choice", map[string]string{"column": f.layout.Columns.Phone.Header, "columns": quoted(rivals)})
	}
}

func (f *File) noteSheets(sheets []sheetInfo, used sheetInfo) {
	var others []string
	for _, s := range sheets {
		if s.name != used.name {
			others = append(others, s.name)
		}
	}
	if len(others) > 0 {
		f.note("sheets_other", map[string]string{"sheet": used.name, "sheets": quoted(others)})
	}
}

// noteHidden says which rows are left out because people do not see them: hidden by hand or by a filter.
func (f *File) noteHidden(scan *sheetScan) {
	i, _ := slices.BinarySearch(scan.hidden, f.judge.plan.first)
	hidden := scan.hidden[i:]
	if len(hidden) == 0 {
		return
	}
	var rows []string
	for _, n := range hidden[:min(len(hidden), 10)] {
		rows = append(rows, strconv.Itoa(n))
	}
	if len(hidden) > 10 {
		rows = append(rows, "…")
	}
	f.note("rows_hidden", map[string]string{"count": strconv.Itoa(len(hidden)), "rows": strings.Join(rows, ", ")})
}

// noteMasked warns of variables whose numbers will be sent as they are stored and not as they look.
func (f *File) noteMasked(scan *sheetScan) {
	var columns []string
	for _, v := range f.judge.plan.vars {
		if v.column >= 0 && scan.masked[v.column] {
			columns = append(columns, f.judge.plan.names[v.column].Header)
		}
	}
	if len(columns) > 0 {
		f.note("numbers_plain", map[string]string{"columns": quoted(columns)})
	}
}

// Layout tells how the file was understood.
func (f *File) Layout() Layout { return f.layout }

// Close gives back temporary files. The File cannot be read afterwards.
func (f *File) Close() error { return f.src.close() }

// Recipients judges the rows one after the other, in the order of the file. It may be called again and then starts
// from the beginning. An error is a *FileError and ends the sequence: the rows so far must not be used.
//
// A single row cannot know that its phone came before; Check marks duplicates.
func (f *File) Recipients() iter.Seq2[Recipient, error] {
	return func(yield func(Recipient, error) bool) {
		for r, err := range f.src.rows() {
			if err != nil {
				yield(Recipient{}, err)
				return
			}
			if r.n < f.judge.plan.first || r.hidden || r.blank() {
				continue
			}
			recipient, err := f.judge.judge(r)
			if !yield(recipient, err) || err != nil {
				return
			}
		}
	}
}
