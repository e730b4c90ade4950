package main

import (
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
	f.StringVar(&m.Country, "country", "CO", a.t("país de los números sin indicativo", "country of numbers without a code"))
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
func (m mapping) spec(acc jobs.Account, template campaign.Template) (campaign.Spec, error) {
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
		return spec, usage("--duplicates %q: drop | keep", m.Duplicates)
	}
	for _, v := range m.Vars {
		b, err := campaign.ParseBinding(v)
		if err != nil {
			return spec, usage("--var %q: %w", v, err)
		}
		spec.Vars = append(spec.Vars, b)
	}
	for _, d := range m.Defaults {
		n, text, ok := strings.Cut(d, "=")
		number, err := strconv.Atoi(n)
		if !ok || err != nil || number < 1 {
			return spec, usage("--default %q: 1=text", d)
		}
		spec.Defaults[number] = text
	}
	return spec, nil
}

// file is a campaign file on disk, or what came on standard input.
type file struct {
	name  string
	f     *os.File
	size  int64
	spool bool
	hash  string
}

// openFile opens FILE; "-" is standard input, kept in a temporary file because a check reads it more than once.
func (a *app) openFile(path string) (*file, error) {
	if path == "-" {
		return a.spool()
	}
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("%s", a.t("No existe el archivo %s", "There is no file %s", path))
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	return a.sized(&file{name: filepath.Base(path), f: f})
}

func (a *app) spool() (*file, error) {
	f, err := os.CreateTemp("", "pregon-*")
	if err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	spooled := &file{name: "stdin", f: f, spool: true}
	if _, err := io.Copy(f, a.in); err != nil {
		spooled.close()
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	return a.sized(spooled)
}

func (a *app) sized(f *file) (*file, error) {
	info, err := f.f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = usage("%s", a.t("%s no es un archivo", "%s is not a file", f.name))
	}
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
	_ = f.f.Close() // it was only read
	if f.spool {
		_ = os.Remove(f.f.Name())
	}
}

// input is the file for package campaign.
func (f *file) input() campaign.Input {
	return campaign.Input{Name: f.name, R: f.f, Size: f.size}
}
