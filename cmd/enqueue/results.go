package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pregon/internal/setup"
	"pregon/jobs"
)

func (a *app) resultsCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "results CAMPAIGN",
		Short: a.t("Escribe qué pasó con cada fila", "Write what became of each row"),
		Long: a.t("Escribe una línea por fila del archivo, con su estado y el motivo. El formato lo dice la extensión de "+
			"-o: .csv (abre bien en Excel), .xlsx o .jsonl; sin -o, CSV en la salida, o una lista JSON con --json.",
			"Writes one line per row of the file, with its state and the reason. The extension of -o gives the format: .csv, "+
				".xlsx or .jsonl; without -o, CSV on stdout, or one JSON list with --json."),
		Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(_ *setup.System, o *jobs.Operator) error {
				return a.results(c.Context(), o, args[0], out)
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", a.t("archivo .csv, .xlsx o .jsonl", "file .csv, .xlsx or .jsonl"))
	return c
}

func (a *app) results(ctx context.Context, operator *jobs.Operator, id, out string) error {
	s, err := operator.Status(ctx, id)
	if err != nil {
		return err
	}
	export := jobs.Export{Account: a.accountHere(s.Account), Lang: a.lang, Zone: zone()}
	if out == "" || out == "-" {
		if !a.json {
			return export.Write(a.out, jobs.CSV, operator.Results(ctx, id))
		}
		list := &jsonList{w: bufio.NewWriter(a.out)}
		if err := export.Write(list, jobs.JSONL, operator.Results(ctx, id)); err != nil {
			return err // the list stays without its end: nobody takes half of it for the whole
		}
		return list.close()
	}
	format := jobs.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), "."))
	switch format {
	case jobs.CSV, jobs.XLSX, jobs.JSONL:
	default:
		return usage("%s", a.t("-o %s: el nombre debe terminar en .csv, .xlsx o .jsonl", "-o %s: the name must end in .csv, "+
			".xlsx or .jsonl", out))
	}
	err = writeWhole(out, func(w io.Writer) error { return export.Write(w, format, operator.Results(ctx, id)) })
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"campaign": id, "file": out, "rows": s.Total})
	}
	a.say("%s en %s", "%s in %s", a.rows(s.Total), out)
	return nil
}

// jsonList makes one JSON document of JSON lines, as they come.
type jsonList struct {
	w     *bufio.Writer
	lines int
}

func (l *jsonList) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) { // a line comes whole, since each is written at once
		begin := ",\n"
		if l.lines == 0 {
			begin = "[\n"
		}
		l.lines++
		if _, err := l.w.WriteString(begin); err != nil {
			return 0, err
		}
		if _, err := l.w.Write(bytes.TrimRight(line, "\n")); err != nil {
			return 0, err
		}
	}
	return len(lines), nil
}

func (l *jsonList) close() error {
	end := "\n]\n"
	if l.lines == 0 {
		end = "[]\n"
	}
	if _, err := l.w.WriteString(end); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// writeWhole writes a file aside and puts it in place when it is complete: nobody takes half of it for the whole.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".pregon-*")
	if err != nil {
		return usage("%w", err)
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
