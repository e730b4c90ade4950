package jobs

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// Format is how results are written.
type Format string

// The formats of an export.
const (
	CSV   Format = "csv"
	XLSX  Format = "xlsx"
	JSONL Format = "jsonl"
)

// Export writes results for people ("es" or "en") or, as JSONL, for programs.
type Export struct {
	Account Account // explains the codes
	Lang    string
	Zone    *time.Location // of the dates; nil = this machine's
}

// Write writes all results in a format, row by row in constant memory.
func (x Export) Write(w io.Writer, format Format, results iter.Seq2[Result, error]) error {
	switch format {
	case CSV:
		return x.csv(w, results)
	case XLSX:
		return x.xlsx(w, results)
	case JSONL:
		return x.jsonl(w, results)
	}
	return fmt.Errorf("format %q is not csv, xlsx or jsonl", format)
}

var headers = map[string][]string{
	"es": {
		"Fila", "Teléfono", "Estado", "Código", "Motivo", "messageId", "Intentos", "Fecha", "Referencia", "Historial",
	},
	"en": {"Row", "Phone", "State", "Code", "Reason", "messageId", "Attempts", "Date", "Reference", "History"},
}

func (x Export) header() []string {
	if x.Lang == "en" {
		return headers["en"]
	}
	return headers["es"]
}

// Reason explains why a row is where it is, in the export's language; "" when its state says it all.
func (x Export) Reason(r Result) string {
	if why := r.Reason(x.Lang); why != "" {
		return why
	}
	return CodeText(x.Account, r.Code, x.Lang)
}

func (x Export) cells(r Result) []string {
	zone := x.Zone
	if zone == nil {
		zone = time.Local
	}
	changed := ""
	if r.ChangedAt != nil {
		changed = r.ChangedAt.In(zone).Format(time.DateTime)
	}
	cells := []string{
		strconv.Itoa(r.Row), r.Phone, StateText(r.State, x.Lang), r.Code, x.Reason(r), r.MessageID,
		strconv.Itoa(r.Attempts), changed, r.Custom, r.Story(x.Lang, zone),
	}
	for i, cell := range cells {
		cells[i] = harmless(cell)
	}
	return cells
}

// harmless keeps a spreadsheet from taking a cell for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// csv writes what a double click opens well: with a byte-order mark, and for Spanish with semicolons.
func (x Export) csv(w io.Writer, results iter.Seq2[Result, error]) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	out := csv.NewWriter(w)
	if x.Lang != "en" {
		out.Comma = ';'
	}
	out.UseCRLF = true
	if err := out.Write(x.header()); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	for r, err := range results {
		if err != nil {
			return err
		}
		if err := out.Write(x.cells(r)); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func (x Export) xlsx(w io.Writer, results iter.Seq2[Result, error]) error {
	book := excelize.NewFile()
	defer func() { _ = book.Close() }()
	sheet, err := book.NewStreamWriter("Sheet1")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	n := 0
	put := func(cells []string) error {
		n++
		row := make([]any, len(cells))
		for i, cell := range cells {
			row[i] = cell // text, so that phones keep their digits
		}
		if err := sheet.SetRow("A"+strconv.Itoa(n), row); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		return nil
	}
	if err := put(x.header()); err != nil {
		return err
	}
	for r, err := range results {
		if err != nil {
			return err
		}
		if err := put(x.cells(r)); err != nil {
			return err
		}
	}
	if err := sheet.Flush(); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := book.Write(w); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func (x Export) jsonl(w io.Writer, results iter.Seq2[Result, error]) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for r, err := range results {
		if err != nil {
			return err
		}
		line := struct {
			Result
			Reason string `json:"reason,omitempty"`
		}{r, x.Reason(r)}
		if err := out.Encode(line); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}
