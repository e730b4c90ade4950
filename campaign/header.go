package campaign

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	sampleRows    = 200 // rows that are looked at to find the header and the phone column
	headerSearch  = 50  // a header is among these first rows
	sampleReserve = 50  // rows that are looked at beyond a header given by number
)

// sampleRow is a row kept while the layout is found out.
type sampleRow struct {
	n     int
	texts []string
}

func (r *sampleRow) text(i int) string {
	if i < 0 || i >= len(r.texts) {
		return ""
	}
	return r.texts[i]
}

func (r *sampleRow) filled() (n int) {
	for _, t := range r.texts {
		if t != "" {
			n++
		}
	}
	return n
}

// takeSample reads the first rows that are neither blank nor hidden.
func takeSample(src source, header int, date1904 bool) (rows []sampleRow, err error) {
	for r, err := range src.rows() {
		if err != nil {
			return nil, err
		}
		if len(rows) >= sampleRows && r.n > header+sampleReserve || len(rows) >= 5_000 {
			break
		}
		if r.hidden || r.blank() {
			continue
		}
		s := sampleRow{n: r.n}
		for _, c := range r.cells {
			text, _ := c.display(date1904)
			s.texts = append(s.texts, strings.Clone(cleanValue(text, false).text))
		}
		rows = append(rows, s)
	}
	return rows, nil
}

// finder looks for the header and the phone column in a sample.
type finder struct {
	rows    []sampleRow
	country string
}

// place is where the contacts are.
type place struct {
	header int // index of the header in the sample; -1 = none
	first  int // row number of the first contact
	phone  int // column
	rivals []int
}

// find uses what was asked for and finds out the rest.
func (f *finder) find(spec Spec) (place, error) {
	if spec.Header > 0 {
		return f.underHeader(spec)
	}
	if spec.Phone != "" {
		return f.byName(spec.Phone)
	}
	for i := range f.rows[:min(len(f.rows), headerSearch)] {
		if p, ok := f.bySynonym(i); ok {
			return p, nil
		}
	}
	column, rivals := f.byContent(0)
	if column < 0 {
		return place{}, f.noPhone(f.likelyHeader())
	}
	p := f.above(column)
	p.rivals = rivals
	return p, nil
}

func (f *finder) underHeader(spec Spec) (place, error) {
	i := slices.IndexFunc(f.rows, func(r sampleRow) bool { return r.n == spec.Header })
	if i < 0 {
		return place{}, &FileError{Code: "header_missing", Args: number("row", spec.Header)}
	}
	p := place{header: i, first: spec.Header + 1}
	if spec.Phone != "" {
		column, err := f.columns(i).resolve(spec.Phone)
		p.phone = column
		return p, err
	}
	if found, ok := f.bySynonym(i); ok {
		return found, nil
	}
	if p.phone, p.rivals = f.byContent(i + 1); p.phone < 0 {
		return place{}, f.noPhone(i)
	}
	return p, nil
}

// byName finds the header as the row that holds the wanted column's name; a letter needs no header.
func (f *finder) byName(name string) (place, error) {
	for i, r := range f.rows[:min(len(f.rows), headerSearch)] {
		for column, text := range r.texts {
			if text != "" && foldHeader(text) == foldHeader(name) && !f.hasPhone(i) {
				p := place{header: i, first: r.n + 1, phone: column}
				_, err := f.columns(i).resolve(name)
				return p, err
			}
		}
	}
	if column, ok := letterIndex(strings.TrimSpace(name)); ok && column < f.width(0) {
		return f.above(column), nil
	}
	likely := f.likelyHeader()
	_, err := f.columns(likely).resolve(name)
	return place{}, cmp.Or(err, f.noPhone(likely))
}

// bySynonym reports whether row i is a header that names a phone column. A row with a phone in it is a contact,
// whatever words it holds.
func (f *finder) bySynonym(i int) (place, bool) {
	r := f.rows[i]
	if f.hasPhone(i) || r.filled() == 1 && f.width(i+1) > 1 {
		return place{}, false
	}
	type candidate struct {
		column, score int
		share         float64
	}
	var found []candidate
	for column, text := range r.texts {
		share := f.share(column, i+1)
		score := phoneScore(foldHeader(text))
		if score > weakName || score == weakName && share >= 0.5 {
			found = append(found, candidate{column, score, share})
		}
	}
	if len(found) == 0 {
		return place{}, false
	}
	best := slices.MaxFunc(found, func(a, b candidate) int {
		// A column of another meaning ("Celular" for a model) has no phones in it.
		return cmp.Or(boolCompare(a.share > 0, b.share > 0), cmp.Compare(a.score, b.score), -cmp.Compare(a.column,
			b.column))
	})
	p := place{header: i, first: r.n + 1, phone: best.column}
	if best.share == 0 {
		if column, _ := f.byContent(i + 1); column >= 0 {
			p.phone = column
		}
	}
	for _, c := range found {
		if c.column != p.phone && c.share >= 0.5 {
			p.rivals = append(p.rivals, c.column)
		}
	}
	return p, true
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// byContent returns the column with the largest share of phones from sample row i on, at least half, or -1.
func (f *finder) byContent(i int) (best int, rivals []int) {
	best, bestShare := -1, 0.0
	for column := range f.width(i) {
		share := f.share(column, i)
		if share < 0.5 {
			continue
		}
		if share > bestShare {
			if best >= 0 {
				rivals = append(rivals, best)
			}
			best, bestShare = column, share
		} else {
			rivals = append(rivals, column)
		}
	}
	return best, rivals
}

// above finds the header of a phone column known by its content: the row just above the first contact. Without one,
// the file has no header.
func (f *finder) above(column int) place {
	first := slices.IndexFunc(f.rows, func(r sampleRow) bool { return f.isPhone(r.text(column)) })
	if first < 0 {
		first = min(len(f.rows)-1, 1)
	}
	for first > 0 && digitCount(f.rows[first-1].text(column)) >= 5 {
		first-- // a contact whose number is wrong
	}
	p := place{header: -1, first: f.rows[max(first, 0)].n, phone: column}
	if first < 1 {
		return p
	}
	head := f.rows[first-1]
	if head.text(column) != "" || head.filled() > 1 {
		p.header = first - 1
	}
	return p
}

func (f *finder) isPhone(text string) bool {
	if digitCount(text) < 7 {
		return false
	}
	p := parsePhone(text, f.country)
	return p.digits != "" && p.code != "phone_unverified" || p.code == "phone_scientific" || p.code == "phone_two"
}

func digitCount(text string) (n int) {
	for _, r := range text {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

func (f *finder) hasPhone(i int) bool {
	return slices.ContainsFunc(f.rows[i].texts, f.isPhone)
}

// share is the part of a column's filled cells, from sample row i on, that are phones.
func (f *finder) share(column, i int) float64 {
	filled, phones := 0, 0
	for _, r := range f.rows[min(i, len(f.rows)):] {
		if r.text(column) == "" {
			continue
		}
		filled++
		if f.isPhone(r.text(column)) {
			phones++
		}
	}
	return float64(phones) / float64(max(filled, 1))
}

// width is how many columns hold anything from sample row i on.
func (f *finder) width(i int) (n int) {
	for _, r := range f.rows[min(i, len(f.rows)):] {
		for column, text := range r.texts {
			if text != "" {
				n = max(n, column+1)
			}
		}
	}
	return n
}

// usualWidth is how many cells a row below the header may have: as many as the header, or as most rows where they
// have more. Without a header, every row of the sample may be right.
func (f *finder) usualWidth(header int) int {
	if header < 0 {
		return f.width(0)
	}
	rows, best := map[int]int{}, 0
	for i := range f.rows[header+1:] {
		one := finder{rows: f.rows[header+1+i : header+2+i]}
		rows[one.width(0)]++
	}
	for width, count := range rows {
		if 2*count > len(f.rows)-header-1 {
			best = width
		}
	}
	return max(best, len(f.rows[header].texts))
}

// likelyHeader is the first of the rows that fill the most columns.
func (f *finder) likelyHeader() int {
	best := 0
	for i := range f.rows[:min(len(f.rows), headerSearch)] {
		if f.rows[i].filled() > f.rows[best].filled() {
			best = i
		}
	}
	return best
}

func (f *finder) noPhone(header int) error {
	return &FileError{Code: "no_phone_column", Args: map[string]string{"columns": f.columns(header).list()}}
}

// columns names the columns by the header; header -1 names them by letter.
func (f *finder) columns(header int) columnList {
	list := make(columnList, f.width(max(header, 0)))
	for i := range list {
		list[i] = namedColumn{Column: Column{Letter: letter(i), Header: letter(i)}}
		if header < 0 {
			list[i].named = true
		} else if text := f.rows[header].text(i); text != "" {
			list[i].Header, list[i].named = clip(text), true
		}
	}
	return list
}

type namedColumn struct {
	Column
	named bool
}

type columnList []namedColumn

// resolve finds a column by its header text or else its letter.
func (l columnList) resolve(ref string) (int, error) {
	var found []int
	for i, c := range l {
		if c.named && foldHeader(c.Header) == foldHeader(ref) && foldHeader(ref) != "" {
			found = append(found, i)
		}
	}
	if len(found) > 1 {
		letters := make([]string, len(found))
		for i, column := range found {
			letters[i] = letter(column)
		}
		return 0, &FileError{Code: "column_ambiguous",
			Args: map[string]string{"column": clip(ref), "letters": strings.Join(letters, ", ")}}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if i, ok := letterIndex(strings.TrimSpace(ref)); ok && i < len(l) {
		return i, nil
	}
	return 0, &FileError{Code: "column_missing", Args: map[string]string{"column": clip(ref), "columns": l.list()}}
}

func (l columnList) list() string {
	var names []string
	for _, c := range l {
		if c.named {
			names = append(names, c.Header)
		}
	}
	return quoted(names)
}

// quoted lists names for a sentence, the first twenty of them.
func quoted(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == 20 {
			b.WriteString(", … (+" + strconv.Itoa(len(names)-i) + ")")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("«" + name + "»")
	}
	return b.String()
}

// skippable reports an error that only says that a sheet is not the one with the contacts.
func skippable(err error) bool {
	e, ok := errors.AsType[*FileError](err)
	return ok && slices.Contains([]string{"no_phone_column", "no_rows", "empty", "column_missing"}, e.Code)
}
