package campaign

import (
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// xlsxBook is an open workbook: our own strict reading of it beside excelize's.
type xlsxBook struct {
	strict *workbook
	loose  *excelize.File
}

// xlsxSheet is the source for one sheet. excelize delivers the values; the strict pass has checked the XML before,
// tells the kinds of cells, and is compared with what was delivered.
type xlsxSheet struct {
	book *xlsxBook
	info sheetInfo
	scan *sheetScan
}

// openXLSX checks the container before excelize sees it.
func openXLSX(in Input) (*xlsxBook, error) {
	strict, err := readWorkbook(in)
	if err != nil {
		return nil, err
	}
	return &xlsxBook{strict: strict}, nil
}

// load opens the workbook with excelize, once, after a strict pass over the wanted sheet.
func (b *xlsxBook) load(in Input) error {
	if b.loose != nil {
		return nil
	}
	return guarded(func() (err error) {
		b.loose, err = excelize.OpenReader(io.NewSectionReader(in.R, 0, in.Size), excelize.Options{
			RawCellValue:      true,
			UnzipSizeLimit:    maxUnzipped,
			UnzipXMLSizeLimit: unzipToMemory,
		})
		return err
	})
}

func (b *xlsxBook) close() error {
	if b.loose == nil {
		return nil
	}
	return b.loose.Close()
}

// guarded calls excelize. It has panicked on hostile files before (CVE-2026-107224), and the text of its errors may
// quote a cell, so that only where it happened is kept.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			why := fmt.Sprintf("panic of type %T", p)
			if fault, ok := p.(runtime.Error); ok {
				why = fault.Error()
			}
			err = damaged("workbook", why)
		}
	}()
	if err := call(); err != nil {
		return damaged("workbook", fmt.Sprintf("excelize refused it: %T", err))
	}
	return nil
}

func (s *xlsxSheet) close() error { return s.book.close() }

func (s *xlsxSheet) describe(l *Layout) {
	l.Format, l.Sheet = "xlsx", s.info.name
}

func (s *xlsxSheet) rows() iter.Seq2[*row, error] {
	return func(yield func(*row, error) bool) {
		var rows *excelize.Rows
		err := guarded(func() (err error) {
			rows, err = s.book.loose.Rows(s.info.name)
			return err
		})
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }() // they were only read
		if _, err := s.deliver(rows, yield); err != nil {
			yield(nil, err)
		}
	}
}

// deliver yields row after row up to the last one that the strict pass saw, and then compares the number of values:
// one that got lost on the way is an error, never a shorter list.
func (s *xlsxSheet) deliver(rows *excelize.Rows, yield func(*row, error) bool) (stopped bool, err error) {
	out, filled := &row{}, 0
	for n := 1; n <= s.scan.lastRow; n++ {
		var values []string
		more := false
		err := guarded(func() (err error) {
			if more = rows.Next(); more {
				values, err = rows.Columns()
			}
			return err
		})
		if err != nil {
			return false, err
		}
		if !more {
			return false, s.lost(n)
		}
		out.n = n
		_, out.hidden = slices.BinarySearch(s.scan.hidden, n)
		out.cells = out.cells[:0]
		for i, text := range values {
			if text != "" {
				filled++
			}
			if i >= maxColumns {
				return false, s.lost(n)
			}
			kind := kindText
			if text != "" || s.scan.kinds[i].at(n) == kindUncached {
				kind = s.scan.kinds[i].at(n)
			}
			out.cells = append(out.cells, cell{text: text, kind: kind})
		}
		if !yield(out, nil) {
			return true, nil
		}
	}
	if filled != s.scan.filled {
		return false, s.lost(s.scan.lastRow)
	}
	return false, nil
}

func (s *xlsxSheet) lost(n int) error {
	return &FileError{Code: "xlsx_lost", Args: map[string]string{"row": strconv.Itoa(n)}}
}

// sheetChoice lists the sheets to try: the one asked for, or the visible ones in their order.
func (b *xlsxBook) sheetChoice(asked string) ([]sheetInfo, error) {
	var visible []sheetInfo
	var names []string
	for _, s := range b.strict.sheets {
		if asked != "" && foldHeader(s.name) == foldHeader(asked) {
			return []sheetInfo{s}, nil
		}
		if !s.hidden {
			visible = append(visible, s)
			names = append(names, s.name)
		}
	}
	if asked != "" {
		return nil, &FileError{Code: "sheet_missing", Args: map[string]string{"sheet": clip(asked),
			"sheets": quoted(names)}}
	}
	if len(visible) == 0 {
		return nil, &FileError{Code: "no_sheets"}
	}
	return visible, nil
}
