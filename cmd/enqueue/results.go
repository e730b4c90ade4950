package main

import (
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
		Long: a.t("Escribe una línea por fila del archivo, con su estado y el motivo. El formato lo dice la extensión de -o: "+
			".csv (abre bien en Excel), .xlsx o .jsonl; sin -o, CSV en la salida, o JSONL con --json.",
			"Writes one line per row of the file, with its state and the reason. The extension of -o gives the format: .csv, "+
				".xlsx or .jsonl; without -o, CSV on stdout, or JSONL with --json."),
		Args: cobra.ExactArgs(1),
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
	acc, _, err := a.accountOrRules(s.Account)
	if err != nil {
		acc = jobs.Account{} // not configured here: the codes are written without their meaning
	}
	export := jobs.Export{Account: acc, Lang: a.lang}
	if out == "" || out == "-" {
		format := jobs.CSV
		if a.json {
			format = jobs.JSONL
		}
		return export.Write(a.out, format, operator.Results(ctx, id))
	}
	format := jobs.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), "."))
	switch format {
	case jobs.CSV, jobs.XLSX, jobs.JSONL:
	default:
		return usage("-o %s: .csv | .xlsx | .jsonl", out)
	}
	err = writeWhole(out, func(w io.Writer) error { return export.Write(w, format, operator.Results(ctx, id)) })
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"campaign": id, "file": out, "rows": s.Total})
	}
	a.say("%d filas en %s", "%d rows in %s", s.Total, out)
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
