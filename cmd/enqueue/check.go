package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pregon/campaign"
	"pregon/jobs"
	"pregon/providers"
)

// choices are the flags that check and run share beside the mapping.
type choices struct {
	mapping  mapping
	account  string
	template string
	purpose  string
	anyHour  bool
	rate     float64
	at       string
}

func (a *app) choiceFlags(c *cobra.Command, o *choices) {
	a.mappingFlags(c, &o.mapping)
	f := c.Flags()
	f.StringVar(&o.account, "account", "", a.t("cuenta con la que se envía", "account to send through"))
	f.StringVar(&o.template, "template", "", a.t("id de la plantilla (contacto-virtual lo muestra al crearla)",
		"template id (contacto-virtual shows it when the template is made)"))
	f.StringVar(&o.purpose, "purpose", "marketing", "marketing | collections | transactional")
	f.BoolVar(&o.anyHour, "any-hour", false, a.t("enviar también fuera del horario permitido; queda registrado",
		"send outside contact hours too; it is put on record"))
	f.Float64Var(&o.rate, "rate", 0, a.t("mensajes por segundo, por debajo de los de la cuenta",
		"messages per second, below the account's"))
	f.StringVar(&o.at, "at", "", a.t("hora de inicio: 2026-11-23T08:00 (hora de Colombia) o RFC 3339",
		"start: 2026-11-23T08:00 (Colombian time) or RFC 3339"))
}

// launch turns the choices into a launch; the file's part is added by the caller.
func (o choices) launch(acc jobs.Account) (jobs.Launch, error) {
	purpose, err := campaign.ParsePurpose(o.purpose)
	if err != nil {
		return jobs.Launch{}, usage("--purpose: %w", err)
	}
	at, err := parseTime(o.at)
	if err != nil {
		return jobs.Launch{}, err
	}
	if o.rate < 0 {
		return jobs.Launch{}, usage("--rate %g: > 0", o.rate)
	}
	return jobs.Launch{
		Account: acc.Name, Template: campaign.Template{ID: o.template}, Purpose: purpose, AnyHour: o.anyHour, Rate: o.rate, At: at,
		Mapping: o.mapping.canonical(),
	}, nil
}

// bogota is where times without a zone are meant.
const bogota = "America/Bogota"

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	zone, err := time.LoadLocation(bogota)
	if err != nil {
		return time.Time{}, fmt.Errorf("load time zone: %w", err)
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--at %q: 2026-11-23T08:00", text)
}

func (a *app) checkCommand() *cobra.Command {
	var o choices
	c := &cobra.Command{
		Use:   "check FILE",
		Short: a.t("Lee un archivo y dice qué se enviaría; no envía ni guarda nada", "Read a file and report; sends and stores nothing"),
		Example: `  enqueue check citas.xlsx
  enqueue check promo.csv --phone Celular --var 1=Nombre --var "2==15 %"
  cat promo.csv | enqueue check - --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.check(c.Context(), args[0], o) },
	}
	a.choiceFlags(c, &o)
	return c
}

func (a *app) check(ctx context.Context, path string, o choices) error {
	a.accountName = o.account
	acc, configured, err := a.accountOrRules(o.account)
	if err != nil {
		return err
	}
	launch, err := o.launch(acc)
	if err != nil {
		return err
	}
	if configured {
		launch.Template = acc.Known(ctx, launch.Template)
	}
	checked, err := a.read(ctx, path, o.mapping, acc, launch.Template)
	if err != nil {
		return err
	}
	defer checked.close()
	var plan jobs.Plan
	if configured {
		plan, err = acc.Plan(ctx, launch, checked.report)
		if providers.ClassOf(err) == providers.Blocked { // a check sends nothing: it only says so
			a.complain("%s", a.t("La cuenta no autentica: %v", "The account does not authenticate: %v", err))
		}
	} else {
		plan = jobs.Plan{Messages: checked.report.Valid}
	}
	if err := a.report(checked, plan, nil); err != nil {
		return err
	}
	return status(rejected(checked.report))
}

func rejected(r campaign.Report) int {
	if r.Invalid > 0 {
		return exitRejected
	}
	return exitOK
}

// checked is a file that was read to its end once.
type checked struct {
	file   *file
	parsed *campaign.File
	report campaign.Report
}

func (c *checked) close() {
	_ = c.parsed.Close() // it was only read
	c.file.close()
}

// read checks a file. The caller closes the result.
func (a *app) read(ctx context.Context, path string, m mapping, acc jobs.Account, t campaign.Template) (*checked, error) {
	spec, err := m.spec(acc, t)
	if err != nil {
		return nil, err
	}
	f, err := a.openFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := campaign.Open(f.input(), spec)
	if err != nil {
		f.close()
		return nil, err
	}
	c := &checked{file: f, parsed: parsed}
	c.report, err = campaign.Check(parsed, func(*campaign.Recipient) error { return ctx.Err() })
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// document is what check and run --dry-run print as JSON; run adds the campaign, and its final status when it waits.
type document struct {
	File            string            `json:"file"`
	Format          string            `json:"format"`
	Encoding        string            `json:"encoding"`
	Delimiter       string            `json:"delimiter"`
	Sheet           string            `json:"sheet"`
	HeaderRow       int               `json:"header_row"`
	Rows            int               `json:"rows"`
	Valid           int               `json:"valid"`
	Invalid         int               `json:"invalid"`
	Skipped         int               `json:"skipped"`
	Warnings        int               `json:"warnings"`
	Columns         documentColumns   `json:"columns"`
	Problems        []documentProblem `json:"problems"`
	ProblemsOmitted int               `json:"problems_omitted"`
	ProblemCodes    map[string]int    `json:"problem_codes"`
	Notes           []documentProblem `json:"notes"`
	Plan            jobs.Plan         `json:"plan"`
	Campaign        string            `json:"campaign,omitempty"`
	Existing        bool              `json:"existing,omitempty"`
	SameContent     []string          `json:"same_content,omitempty"`
	Status          *jobs.Status      `json:"status,omitempty"`
}

type documentColumns struct {
	Phone       string   `json:"phone"`
	Vars        []string `json:"vars"`
	Media       string   `json:"media,omitempty"`
	CustomField string   `json:"custom_field,omitempty"`
	Unused      []string `json:"unused,omitempty"`
}

type documentProblem struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Value  string `json:"value"`
	Code   string `json:"code"`
	Level  string `json:"level"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

func (a *app) document(c *checked, plan jobs.Plan) document {
	r, l := c.report, c.report.Layout
	d := document{
		File: c.file.name, Format: l.Format, Encoding: l.Encoding, Delimiter: l.Delimiter, Sheet: l.Sheet,
		HeaderRow: l.HeaderRow, Rows: r.Rows, Valid: r.Valid, Invalid: r.Invalid, Skipped: r.Skipped,
		Warnings: r.Warnings, Problems: a.problems(r.Problems), ProblemsOmitted: r.ProblemsOmitted,
		ProblemCodes: r.Codes, Notes: a.problems(l.Notes), Plan: plan,
		Columns: documentColumns{Phone: l.Columns.Phone.Header, Vars: []string{}},
	}
	for _, v := range l.Columns.Vars {
		d.Columns.Vars = append(d.Columns.Vars, bound(v))
	}
	if l.Columns.Media != nil {
		d.Columns.Media = l.Columns.Media.Header
	}
	if l.Columns.CustomField != nil {
		d.Columns.CustomField = l.Columns.CustomField.Header
	}
	for _, u := range l.Columns.Unused {
		d.Columns.Unused = append(d.Columns.Unused, u.Header)
	}
	return d
}

func bound(v campaign.BoundVar) string {
	if v.Column == nil {
		return "=" + v.Fixed
	}
	return v.Column.Header
}

func (a *app) problems(list []campaign.Problem) []documentProblem {
	out := make([]documentProblem, 0, len(list))
	for _, p := range list {
		out = append(out, documentProblem{
			Row: p.Row, Column: p.Column, Value: p.Value, Code: p.Code, Level: p.Level.String(),
			Reason: p.Reason(a.lang), Fix: p.Fix(a.lang),
		})
	}
	return out
}

// report prints what was understood of a file. more may add to the JSON document.
func (a *app) report(c *checked, plan jobs.Plan, more func(*document)) error {
	if a.json {
		d := a.document(c, plan)
		if more != nil {
			more(&d)
		}
		return a.printJSON(d)
	}
	a.describe(a.out, c, plan)
	return nil
}

// shownProblems is how many problems a terminal shows; --json has them all.
const shownProblems = 15

func (a *app) describe(w io.Writer, c *checked, plan jobs.Plan) {
	r, l := c.report, c.report.Layout
	p := func(es, en string, args ...any) { _, _ = fmt.Fprintln(w, a.t(es, en, args...)) }
	form := strings.Join(nonEmpty(l.Format, l.Encoding, quoted(l.Delimiter), l.Sheet), ", ")
	p("%s (%s), títulos en la fila %d", "%s (%s), headers in row %d", c.file.name, form, l.HeaderRow)
	vars := make([]string, 0, len(l.Columns.Vars))
	for _, v := range l.Columns.Vars {
		vars = append(vars, fmt.Sprintf("{%d} = %s", v.N, bound(v)))
	}
	p("Teléfono: %s   Variables: %s", "Phone: %s   Variables: %s", l.Columns.Phone.Header, strings.Join(vars, ", "))
	p("%d filas: %d se envían, %d rechazadas, %d omitidas, %d avisos", "%d rows: %d to be sent, %d rejected, %d skipped, "+
		"%d warnings", r.Rows, r.Valid, r.Invalid, r.Skipped, r.Warnings)
	for _, n := range l.Notes {
		_, _ = fmt.Fprintf(w, "  · %s\n", strings.TrimSpace(n.Reason(a.lang)+" "+n.Fix(a.lang)))
	}
	for i, problem := range r.Problems {
		if i == shownProblems {
			p("  … y %d más: véalos con --json", "  … and %d more: see them with --json",
				len(r.Problems)+r.ProblemsOmitted-i)
			break
		}
		p("  Fila %d, %s: %s %s", "  Row %d, %s: %s %s", problem.Row, problem.Column, problem.Reason(a.lang),
			problem.Fix(a.lang))
	}
	a.describePlan(w, plan)
}

func (a *app) describePlan(w io.Writer, plan jobs.Plan) {
	parts := []string{a.t("Plan: %d mensajes", "Plan: %d messages", plan.Messages)}
	if plan.Cost != nil {
		parts = append(parts, a.t("costo %g", "cost %g", *plan.Cost))
	}
	if plan.Balance != nil {
		parts = append(parts, a.t("saldo %g", "balance %g", *plan.Balance))
	}
	if plan.FinishesAt != nil {
		parts = append(parts, a.t("termina %s", "ends %s", a.clock(*plan.FinishesAt)))
	}
	_, _ = fmt.Fprintln(w, strings.Join(parts, ", "))
}

func (a *app) clock(t time.Time) string {
	if zone, err := time.LoadLocation(bogota); err == nil {
		t = t.In(zone)
	}
	return t.Format("2006-01-02 15:04:05")
}

func quoted(s string) string {
	switch s {
	case "":
		return ""
	case "\t":
		return `"tab"`
	}
	return `"` + s + `"`
}

func nonEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// byCount lists codes, the most frequent first.
func byCount(codes map[string]int) []string {
	list := make([]string, 0, len(codes))
	for code := range codes {
		list = append(list, code)
	}
	sort.Slice(list, func(i, j int) bool {
		if codes[list[i]] != codes[list[j]] {
			return codes[list[i]] > codes[list[j]]
		}
		return list[i] < list[j]
	})
	return list
}
