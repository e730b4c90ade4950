package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pregon/campaign"
	"pregon/jobs"
)

// mapping is how a file is read, as the flags say it.
type mapping struct {
	Sheet       string   `json:"sheet,omitempty"`
	Header      int      `json:"header,omitempty"`
	Phone       string   `json:"phone,omitempty"`
	Vars        []string `json:"vars,omitempty"`
	Defaults    []string `json:"defaults,omitempty"`
	Media       string   `json:"media,omitempty"`
	CustomField string   `json:"custom_field,omitempty"`
	Country     string   `json:"country,omitempty"`
	Encoding    string   `json:"encoding,omitempty"`
	Delimiter   string   `json:"delimiter,omitempty"`
	Duplicates  string   `json:"duplicates,omitempty"`
}

func (a *app) mappingFlags(c *cobra.Command, m *mapping) {
	f := c.Flags()
	f.StringVar(&m.Sheet, "sheet", "", a.t("hoja del libro", "sheet of the workbook"))
	f.IntVar(&m.Header, "header", 0, a.t("fila de los títulos; 0 = encontrarla", "row of the headers; 0 = find it"))
	f.StringVar(&m.Phone, "phone", "", a.t("columna del teléfono: título o letra", "phone column: header or letter"))
	f.StringArrayVar(&m.Vars, "var", nil, a.t("variable: 1=COLUMNA, o 1==texto fijo (repetible)",
		"variable: 1=COLUMN, or 1==fixed text (repeatable)"))
	f.StringArrayVar(&m.Defaults, "default", nil, a.t("valor si la celda está vacía: 1=texto (repetible)",
		"value for an empty cell: 1=text (repeatable)"))
	f.StringVar(&m.Media, "media", "", a.t("columna o URL del archivo adjunto", "column or URL of the attached file"))
	f.StringVar(&m.CustomField, "custom-field", "", a.t("columna de su propia referencia", "column of your own reference"))
	f.StringVar(&m.Country, "country", "CO", a.t("país de los números sin indicativo",
		"country of numbers without a code"))
	f.StringVar(&m.Encoding, "encoding", "", a.t("codificación del CSV; vacío = encontrarla", "encoding; empty = find it"))
	f.StringVar(&m.Delimiter, "delimiter", "", a.t("separador del CSV; vacío = encontrarlo", "delimiter; empty = find it"))
	f.StringVar(&m.Duplicates, "duplicates", "drop", a.t("números repetidos: drop (solo el primero) o keep",
		"repeated numbers: drop (only the first) or keep"))
}

// canonical is the mapping as text, so that the same command names the same campaign.
func (m mapping) canonical() string {
	text, err := json.Marshal(m)
	if err != nil { // strings and numbers always encode
		return fmt.Sprint(m)
	}
	return string(text)
}

// spec joins the flags with what the account's provider accepts.
func (a *app) spec(m mapping, acc jobs.Account, template campaign.Template) (campaign.Spec, error) {
	rules, noVars := acc.Rules()
	spec := campaign.Spec{
		Sheet: m.Sheet, Encoding: m.Encoding, Delimiter: m.Delimiter, Header: m.Header, Phone: m.Phone, Media: m.Media,
		CustomField: m.CustomField, Country: m.Country, Template: template, NoVars: noVars, Rules: rules,
		Defaults: make(map[int]string),
	}
	switch m.Duplicates {
	case "drop":
	case "keep":
		spec.KeepDuplicates = true
	default:
		return spec, usage("%s", a.t("--duplicates %q: escriba drop (solo el primero) o keep (todos)",
			"--duplicates %q: write drop (only the first) or keep (all)", m.Duplicates))
	}
	for _, v := range m.Vars {
		b, err := campaign.ParseBinding(v)
		if err != nil {
			return spec, err
		}
		spec.Vars = append(spec.Vars, b)
	}
	for _, d := range m.Defaults {
		n, text, ok := strings.Cut(d, "=")
		number, err := strconv.Atoi(n)
		if !ok || err != nil || number < 1 {
			return spec, usage("%s", a.t("--default %q: escriba el número de la variable y su texto, como 1=cliente",
				"--default %q: write the variable's number and its text, such as 1=customer", d))
		}
		spec.Defaults[number] = text
	}
	return spec, nil
}

// file is this program's own copy of a campaign file, or of what came on standard input.
type file struct {
	name string
	f    *os.File
	size int64
	hash string
}

// openFile copies FILE into a temporary file, because it is read more than once; "-" is standard input.
func (a *app) openFile(ctx context.Context, path string) (*file, error) {
	if path == "-" {
		return a.spool(ctx, "stdin", a.in)
	}
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("%s", a.t("No existe el archivo %s", "There is no file %s", path))
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	name := filepath.Base(path)
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 {
		return nil, usage("%s", a.t("%s no es un archivo", "%s is not a file", name))
	}
	// A copy, whatever it is: a file that somebody saves between its check and its launch would otherwise leave pages of
	// one content in a campaign of another.
	return a.spool(ctx, name, f)
}

func (a *app) spool(ctx context.Context, name string, from io.Reader) (*file, error) {
	f, err := os.CreateTemp("", "pregon-*")
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	spooled := &file{name: name, f: f}
	// Nobody else can open it any more, and a program that is killed leaves no people behind. Windows refuses this; there
	// close removes it.
	_ = os.Remove(f.Name())
	err = interruptible(ctx, func() error {
		_, err := io.Copy(f, from)
		return err
	})
	if err != nil {
		spooled.close()
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	return a.sized(spooled)
}

// interruptible does what cannot be interrupted itself, such as reading from a terminal, until ctx ends. What is still
// being done then is left to end with the program.
func interruptible(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		return err
	}
}

func (a *app) sized(f *file) (*file, error) {
	info, err := f.f.Stat()
	if err == nil {
		f.size = info.Size()
		f.hash, err = jobs.HashFile(io.NewSectionReader(f.f, 0, f.size))
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *file) close() {
	_ = f.f.Close()           // it was only read
	_ = os.Remove(f.f.Name()) //nolint:gosec // made by this program; gone already where that is possible
}

// input is the file for package campaign.
func (f *file) input() campaign.Input {
	return campaign.Input{Name: f.name, R: f.f, Size: f.size}
}
