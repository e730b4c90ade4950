package campaign

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a workbook before anything in it is believed. A sheet of a million rows and eight columns has about
// 450 MB of XML; deflate cannot honestly shrink a sheet two hundredfold.
const (
	maxUnzipped   = 512 << 20
	maxSideParts  = 128 << 20 // everything that excelize holds in memory: pictures, styles, theme
	maxPartRatio  = 200
	ratioMatters  = 16 << 20
	maxParts      = 10_000
	maxXMLDepth   = 100
	unzipToMemory = 1 << 20 // larger sheets and shared strings are unpacked to the temporary directory
)

// workbook is what our own strict reading of an .xlsx file knows, before excelize is asked.
type workbook struct {
	parts    map[string]*zip.File
	sheets   []sheetInfo
	styles   []cellKind // kind of a number by style index
	strings  sharedStrings
	date1904 bool
}

type sheetInfo struct {
	name, part string
	hidden     bool
}

func damaged(part, why string) error {
	return &FileError{Code: "xlsx_damaged", Args: map[string]string{"part": part}, Err: errors.New(why)}
}

// readWorkbook checks the container and reads everything except the sheets themselves.
func readWorkbook(in Input) (*workbook, error) {
	if in.Size > maxXLSX {
		return nil, &FileError{Code: "xlsx_big", Args: number("max", maxXLSX>>20)}
	}
	z, err := zip.NewReader(in.R, in.Size)
	if err != nil {
		return nil, &FileError{Code: "xlsx_cut", Err: err}
	}
	if code := containerKind(z); code != "" {
		return nil, &FileError{Code: code}
	}
	w := &workbook{parts: map[string]*zip.File{}}
	for _, step := range []func() error{
		func() error { return w.takeParts(z, in.Size) },
		w.readSheetList,
		w.readStyles,
		w.readStrings,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// takeParts checks what every part declares of itself: an entry may claim 2^63 bytes, share its bytes with another
// one, or expand without end.
func (w *workbook) takeParts(z *zip.Reader, size int64) error {
	if len(z.File) > maxParts {
		return &FileError{Code: "xlsx_bomb"}
	}
	var total, packed, side uint64
	for _, f := range z.File {
		name := partName(f.Name)
		if _, twice := w.parts[name]; twice {
			return damaged("zip", "two parts of the same name")
		}
		w.parts[name] = f
		if f.Flags&1 != 0 {
			return &FileError{Code: "password"}
		}
		if f.Method != zip.Store && f.Method != zip.Deflate {
			return damaged("zip", "unknown compression method")
		}
		big := f.UncompressedSize64 > maxUnzipped || f.CompressedSize64 > uint64(size)
		if big || f.UncompressedSize64 > ratioMatters && f.UncompressedSize64/maxPartRatio > f.CompressedSize64 {
			return &FileError{Code: "xlsx_bomb"}
		}
		total, packed = total+f.UncompressedSize64, packed+f.CompressedSize64
		if !strings.HasPrefix(name, "xl/worksheets/sheet") && name != "xl/sharedstrings.xml" {
			side += f.UncompressedSize64
		}
	}
	if total > maxUnzipped || side > maxSideParts || packed > uint64(size) {
		return &FileError{Code: "xlsx_bomb"}
	}
	return nil
}

// xmlWalker is what to do at each element and text of a part; the root element has depth 1.
type xmlWalker struct {
	start func(depth int, e xml.StartElement) error
	end   func(depth int, name string) error
	text  func(depth int, b []byte) error
}

// walk reads a whole part strictly, to its last byte, so that its checksum and length are checked too. A DOCTYPE is
// refused: no spreadsheet program writes one, and entities are how small files become large.
func (w *workbook) walk(name, label string, v xmlWalker) error {
	f := w.parts[name]
	if f == nil {
		return damaged(label, "part is missing")
	}
	r, err := f.Open()
	if err != nil {
		return &FileError{Code: "xlsx_damaged", Args: map[string]string{"part": label}, Err: err}
	}
	defer r.Close()
	d := xml.NewDecoder(r)
	for depth, roots := 0, 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 && roots == 1 {
			return nil
		}
		if err == nil {
			err = step(token, &depth, &roots, v)
		}
		if err != nil {
			return brokenXML(err, label, d)
		}
	}
}

var (
	errDoctype  = errors.New("DOCTYPE in a spreadsheet")
	errTwoRoots = errors.New("more than one root element")
	errDeep     = errors.New("elements nested too deep")
)

func step(token xml.Token, depth, roots *int, v xmlWalker) error {
	switch t := token.(type) {
	case xml.Directive:
		return errDoctype
	case xml.StartElement:
		if *depth++; *depth == 1 {
			*roots++
		}
		if *roots > 1 {
			return errTwoRoots
		}
		if *depth > maxXMLDepth {
			return errDeep
		}
		return v.start(*depth, t)
	case xml.EndElement:
		*depth--
		if v.end != nil {
			return v.end(*depth+1, t.Name.Local)
		}
	case xml.CharData:
		if v.text != nil {
			return v.text(*depth, t)
		}
	}
	return nil
}

// brokenXML keeps a FileError as it is. The text of an XML error can quote the file, so only its line is kept.
func brokenXML(err error, label string, d *xml.Decoder) error {
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	line, _ := d.InputPos()
	why := "malformed XML"
	if errors.Is(err, errDoctype) || errors.Is(err, errTwoRoots) || errors.Is(err, errDeep) ||
		errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		why = err.Error()
	}
	return damaged(label, fmt.Sprintf("%s at line %d", why, line))
}

func attr(e xml.StartElement, local string) string {
	for _, a := range e.Attr {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// relations reads a .rels part: target by id, the types' last path segment by id.
func (w *workbook) relations(name string) (targets, types map[string]string, err error) {
	targets, types = map[string]string{}, map[string]string{}
	err = w.walk(name, "relationships", xmlWalker{start: func(_ int, e xml.StartElement) error {
		if e.Name.Local != "Relationship" {
			return nil
		}
		id := attr(e, "Id")
		if _, twice := targets[id]; twice {
			return damaged("relationships", "one id twice")
		}
		targets[id], types[id] = attr(e, "Target"), path.Base(attr(e, "Type"))
		return nil
	}})
	return targets, types, err
}

func (w *workbook) readSheetList() error {
	targets, types, err := w.relations("_rels/.rels")
	if err != nil {
		return err
	}
	main := ""
	for id, kind := range types {
		if kind == "officeDocument" {
			main = partName(targets[id])
		}
	}
	if main == "" {
		return damaged("relationships", "no workbook")
	}
	dir := path.Dir(main)
	targets, types, err = w.relations(path.Join(dir, "_rels", path.Base(main)+".rels"))
	if err != nil {
		return err
	}
	names := map[string]bool{}
	return w.walk(main, "workbook", xmlWalker{start: func(_ int, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			w.date1904 = isTrue(attr(e, "date1904"))
		case "sheet":
			s := sheetInfo{name: attr(e, "name"), hidden: attr(e, "state") != "" && attr(e, "state") != "visible"}
			if names[strings.ToLower(s.name)] {
				return damaged("workbook", "two sheets of the same name")
			}
			names[strings.ToLower(s.name)] = true
			id := attr(e, "id")
			if s.part = sheetPart(dir, targets[id]); types[id] == "worksheet" && w.parts[s.part] != nil {
				w.sheets = append(w.sheets, s)
			}
		}
		return nil
	}})
}

func sheetPart(dir, target string) string {
	if strings.HasPrefix(target, "/") {
		return partName(target)
	}
	return partName(path.Join(dir, strings.ReplaceAll(target, `\`, "/")))
}

func isTrue(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

// readStyles finds out which styles show a number as something else. A workbook without styles has none.
func (w *workbook) readStyles() error {
	if w.parts["xl/styles.xml"] == nil {
		return nil
	}
	codes, inside := map[int]string{}, ""
	var ids []int
	err := w.walk("xl/styles.xml", "styles", xmlWalker{start: func(depth int, e xml.StartElement) error {
		if depth == 2 {
			inside = e.Name.Local
		}
		id, _ := strconv.Atoi(attr(e, "numFmtId"))
		switch {
		case depth == 3 && inside == "numFmts" && e.Name.Local == "numFmt":
			codes[id] = attr(e, "formatCode")
		case depth == 3 && inside == "cellXfs" && e.Name.Local == "xf":
			ids = append(ids, id)
		}
		return nil
	}})
	for _, id := range ids {
		w.styles = append(w.styles, formatKind(id, codes[id]))
	}
	return err
}

// sharedStrings is how many there are, and which are empty, one bit each.
type sharedStrings struct {
	count int
	empty []uint64
}

func (s *sharedStrings) add(empty bool) {
	if s.count%64 == 0 {
		s.empty = append(s.empty, 0)
	}
	if empty {
		s.empty[s.count/64] |= 1 << (s.count % 64)
	}
	s.count++
}

func (s *sharedStrings) isEmpty(i int) bool { return s.empty[i/64]&(1<<(i%64)) != 0 }

// readStrings counts the shared strings, so that a cell that points outside them is noticed.
func (w *workbook) readStrings() error {
	const name = "xl/sharedstrings.xml"
	if w.parts[name] == nil {
		return nil
	}
	text := itemText{base: 2}
	return w.walk(name, "sharedStrings", xmlWalker{
		start: func(depth int, e xml.StartElement) error {
			if depth == 2 && e.Name.Local == "si" {
				text.reset()
			} else if e.Name.Local == "si" {
				return damaged("sharedStrings", "si in an unexpected place")
			}
			text.start(depth, e.Name.Local)
			return nil
		},
		end: func(depth int, local string) error {
			text.end(depth)
			if depth != 2 || local != "si" {
				return nil
			}
			w.strings.add(text.bytes == 0)
			return text.check("sharedStrings")
		},
		text: func(_ int, b []byte) error { text.add(b); return nil },
	})
}

// itemText measures the text of a string item: its <t> and those of its runs, without phonetic guides.
type itemText struct {
	base         int // depth of the item
	run          bool
	inText       bool
	bytes, runes int
}

func (t *itemText) reset() { t.bytes, t.runes, t.run, t.inText = 0, 0, false, false }

func (t *itemText) start(depth int, local string) {
	switch {
	case depth == t.base+1:
		t.run = local == "r"
		t.inText = local == "t"
	case depth == t.base+2 && t.run:
		t.inText = local == "t"
	default:
		t.inText = false
	}
}

func (t *itemText) end(depth int) {
	if depth > t.base {
		t.inText = false
	}
}

func (t *itemText) add(b []byte) {
	if t.inText {
		t.bytes += len(b)
		t.runes += utf8.RuneCount(b)
	}
}

func (t *itemText) check(part string) error {
	if t.runes > maxCellRunes {
		return &FileError{Code: "cell_long", Args: map[string]string{"part": part, "max": strconv.Itoa(maxCellRunes)}}
	}
	return nil
}
