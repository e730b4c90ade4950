package campaign

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plan is the mapping in the form that judging a row needs.
type plan struct {
	first  int // row number of the first contact
	width  int // columns that the header or the sample has
	cells  int // cells that a CSV row may have: the header's, or those of most rows where these have more
	phone  int
	media  int // column, -1 = none
	custom int // column, -1 = none
	link   string
	vars   []planVar
	names  columnList
}

type planVar struct {
	n      int
	column int // -1 = the fixed value
	fixed  string
}

// Names, folded, of columns that are no variables.
var (
	mediaNames = []string{"imagen", "archivo", "media", "multimedia", "url", "image", "file", "adjunto", "url imagen",
		"imagen url", "url archivo", "url media", "media url", "url multimedia", "enlace imagen", "link imagen",
		"image url"}
	customNames = []string{"referencia", "id", "custom field", "customfield", "campo personalizado", "reference", "ref"}
	// variableName is a column named after its variable: {1}, {{1}}, var1, "variable 1", 1.
	variableName = regexp.MustCompile(`^(?:var|variable|v|param|parametro|parameter)? ?([0-9]{1,2})$`)
)

// mapper binds columns. Notes collects what a person should know about it.
type mapper struct {
	spec  Spec
	names columnList
	taken map[int]bool
	plan  plan
	notes []Problem
}

func (m *mapper) note(code string, args map[string]string) {
	m.notes = append(m.notes, Problem{Code: code, Level: Warning, Args: args})
}

func (m *mapper) bind(at place) error {
	m.taken = map[int]bool{at.phone: true}
	m.plan = plan{first: at.first, width: len(m.names), phone: at.phone, media: -1, custom: -1, names: m.names}
	for _, step := range []func() error{m.explicitVars, m.bindMedia, m.bindCustom, m.bindRest} {
		if err := step(); err != nil {
			return err
		}
	}
	slices.SortFunc(m.plan.vars, func(a, b planVar) int { return a.n - b.n })
	return nil
}

// explicitVars comes first, so that a column that was asked for is never taken for something else.
func (m *mapper) explicitVars() error {
	if len(m.spec.Vars) > 0 && m.spec.NoVars {
		return &FileError{Code: "no_vars"}
	}
	wanted := m.spec.Template.Variables()
	for _, b := range m.spec.Vars {
		switch {
		case b.N < 1 || b.N > maxVariables:
			return &FileError{Code: "binding", Args: number("binding", b.N)}
		case m.bound(b.N):
			return &FileError{Code: "var_twice", Args: number("n", b.N)}
		case m.spec.Template.Text != "" && !slices.Contains(wanted, b.N):
			return &FileError{Code: "var_unknown", Args: map[string]string{
				"n": strconv.Itoa(b.N), "vars": variableList(wanted)}}
		}
		if b.IsFixed {
			m.bindFixed(b.N, b.Fixed)
			continue
		}
		column, err := m.names.resolve(b.Column)
		if err != nil {
			return err
		}
		m.bindColumn(b.N, column)
	}
	return nil
}

func (m *mapper) bound(n int) bool {
	return slices.ContainsFunc(m.plan.vars, func(v planVar) bool { return v.n == n })
}

func (m *mapper) bindColumn(n, column int) {
	m.taken[column] = true
	m.plan.vars = append(m.plan.vars, planVar{n: n, column: column})
}

func (m *mapper) bindFixed(n int, text string) {
	value := cleanValue(text, m.spec.Rules.NoBrackets)
	if value.brackets {
		m.note("fixed_brackets", number("n", n))
	}
	m.plan.vars = append(m.plan.vars, planVar{n: n, column: -1, fixed: value.text})
}

func (m *mapper) bindMedia() (err error) {
	ref := strings.TrimSpace(m.spec.Media)
	lower := strings.ToLower(ref)
	if strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") {
		m.plan.link = ref
		if code := checkLink(ref, m.spec.Rules.MediaTypes); code != "" {
			return &FileError{Code: "fixed_" + code, Args: map[string]string{"value": clip(ref),
				"types": strings.Join(m.spec.Rules.MediaTypes, ", ")}}
		}
		return nil
	}
	m.plan.media, err = m.special(ref, mediaNames)
	return err
}

func (m *mapper) bindCustom() (err error) {
	m.plan.custom, err = m.special(m.spec.CustomField, customNames)
	return err
}

// special takes the column asked for, or one that is named clearly enough and not yet taken.
func (m *mapper) special(ref string, known []string) (int, error) {
	if strings.TrimSpace(ref) != "" {
		column, err := m.names.resolve(ref)
		if err == nil {
			m.taken[column] = true
		}
		return column, err
	}
	for i, c := range m.names {
		if !m.taken[i] && c.named && slices.Contains(known, foldHeader(c.Header)) {
			m.taken[i] = true
			return i, nil
		}
	}
	return -1, nil
}

// bindRest gives the remaining columns to the variables that have none: those named after a variable first, the
// others in the order of the file.
func (m *mapper) bindRest() error {
	if m.spec.NoVars {
		m.noteUnused()
		return nil
	}
	var rest []int
	for i, c := range m.names {
		if !m.taken[i] && c.named {
			rest = append(rest, i)
		}
	}
	wanted := m.wantedVars(len(rest))
	rest = slices.DeleteFunc(rest, func(column int) bool {
		found := variableName.FindStringSubmatch(foldHeader(m.names[column].Header))
		if found == nil {
			return false
		}
		n, _ := strconv.Atoi(found[1])
		if m.bound(n) || !slices.Contains(wanted, n) {
			return false
		}
		m.bindColumn(n, column)
		return true
	})
	var missing []int
	for _, n := range wanted {
		if m.bound(n) {
			continue
		}
		fallback, hasDefault := m.spec.Defaults[n]
		switch {
		case len(rest) > 0:
			m.bindColumn(n, rest[0])
			rest = rest[1:]
		case hasDefault && cleanValue(fallback, false).text != "":
			m.bindFixed(n, fallback)
		default:
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		return &FileError{Code: "vars_missing", Args: map[string]string{
			"vars": variableList(missing), "columns": m.names.list()}}
	}
	if m.spec.Template.Text == "" && len(m.plan.vars) > 0 {
		m.note("vars_unverified", number("count", len(m.plan.vars)))
	}
	m.noteUnused()
	return nil
}

// wantedVars is which variables need a value: the template's, or without its text as many as there are columns. Who
// binds some of an unknown template by hand means those, and only the gaps between them are filled.
func (m *mapper) wantedVars(columns int) (wanted []int) {
	if m.spec.Template.Text != "" {
		return m.spec.Template.Variables()
	}
	last := min(columns, maxVariables)
	if len(m.plan.vars) > 0 {
		last = 0
		for _, v := range m.plan.vars {
			last = max(last, v.n)
		}
	}
	for n := 1; n <= last; n++ {
		wanted = append(wanted, n)
	}
	if len(m.plan.vars) > 0 {
		return wanted
	}
	return m.namedBeyond(wanted)
}

// namedBeyond keeps the numbers of columns named after variables: a file with {1}, {2} and a column "Nota" has
// variables 1 and 2, and Nota becomes the third.
func (m *mapper) namedBeyond(wanted []int) []int {
	highest := len(wanted)
	for i, c := range m.names {
		if found := variableName.FindStringSubmatch(foldHeader(c.Header)); found != nil && c.named && !m.taken[i] {
			n, _ := strconv.Atoi(found[1])
			highest = max(highest, n)
		}
	}
	for n := len(wanted) + 1; n <= highest; n++ {
		wanted = append(wanted, n)
	}
	return wanted
}

func (m *mapper) noteUnused() {
	var unused []string
	for _, c := range m.unused() {
		unused = append(unused, c.Header)
	}
	if len(unused) > 0 {
		m.note("columns_unused", map[string]string{"columns": quoted(unused)})
	}
}

func (m *mapper) unused() (list []Column) {
	for i, c := range m.names {
		if !m.taken[i] {
			list = append(list, c.Column)
		}
	}
	return list
}

// columns is the mapping in its public form.
func (m *mapper) columns() Columns {
	at := func(i int) *Column {
		if i < 0 {
			return nil
		}
		c := m.names[i].Column
		return &c
	}
	out := Columns{Phone: *at(m.plan.phone), Media: at(m.plan.media), CustomField: at(m.plan.custom),
		Unused: m.unused()}
	for _, v := range m.plan.vars {
		out.Vars = append(out.Vars, BoundVar{N: v.n, Column: at(v.column), Fixed: v.fixed})
	}
	return out
}

func variableList(numbers []int) string {
	if len(numbers) == 0 {
		return "–"
	}
	var b strings.Builder
	for i, n := range numbers {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("{" + strconv.Itoa(n) + "}")
	}
	return b.String()
}

// checkLink returns "" for a web address that the provider can fetch, else the code of what is wrong with it. The
// type is taken from the path and not from the query (contacto-virtual document, section 1, Formatos).
func checkLink(link string, types []string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(link,
		" \t\n") {
		return "media_url"
	}
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(u.Path), "."))
	if types != nil && !slices.Contains(types, ext) {
		return "media_type"
	}
	return ""
}
