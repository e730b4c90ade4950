package campaign

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// judge makes Recipients of rows.
type judge struct {
	spec     Spec
	plan     plan
	country  string
	date1904 bool
	csv      bool
	delim    string
	numbers  []int // the template's variables
}

// judge reads one row. What is wrong with it becomes Problems; a FileError means that the rows cannot be trusted.
func (j *judge) judge(r *row) (Recipient, error) {
	if r.folded {
		if err := j.swallowed(r); err != nil {
			return Recipient{}, err
		}
	}
	out := Recipient{Row: r.n, Status: Valid}
	j.phone(&out, r)
	j.vars(&out, r)
	j.media(&out, r)
	j.custom(&out, r)
	j.body(&out)
	if j.csv {
		for i := j.plan.cells; i < len(r.cells); i++ {
			if strings.TrimSpace(r.cells[i].text) != "" {
				j.add(&out, Error, "row_long", -1, r.cells[i].text, number("columns", j.plan.cells))
				break
			}
		}
	}
	for _, p := range out.Problems {
		if p.Level == Error {
			out.Status = Invalid
		}
	}
	return out, nil
}

// swallowed refuses a file in which a quoted cell holds what looks like whole contacts: somewhere a quote is missing
// and another one, rows later, closed the cell by chance.
func (j *judge) swallowed(r *row) error {
	for _, c := range r.cells {
		lines := strings.Split(c.text, "\n")
		for i := 1; i < len(lines)-1; i++ {
			fields := strings.Split(lines[i], j.delim)
			if len(fields) != j.plan.width || j.plan.width < 2 {
				continue
			}
			if p := parsePhone(fields[j.plan.phone], j.country); p.digits != "" {
				return &FileError{Code: "csv_quote_open", Args: number("line", r.line)}
			}
		}
	}
	return nil
}

func (j *judge) add(out *Recipient, level Level, code string, column int, value string, args map[string]string) {
	p := Problem{Row: out.Row, Code: code, Level: level, Value: clip(value), Args: args}
	if column >= 0 && column < len(j.plan.names) {
		p.Column = j.plan.names[column].Header
	}
	out.Problems = append(out.Problems, p)
}

func (j *judge) phone(out *Recipient, r *row) {
	c := r.cell(j.plan.phone)
	text, code := c.display(j.date1904)
	if code != "" {
		j.add(out, Error, code, j.plan.phone, text, nil)
		return
	}
	p := parsePhone(text, j.country)
	if p.code == "phone_missing" && j.csv && len(r.cells) <= j.plan.phone {
		j.add(out, Error, "row_short", j.plan.phone, "", numbers("cells", len(r.cells), "columns", j.plan.width))
		return
	}
	rules := j.spec.Rules
	if p.digits != "" && (!strings.HasPrefix(p.digits, rules.Prefix) || rules.Digits > 0 &&
		len(p.digits) != rules.Digits) {
		p = phone{code: "phone_country", digits: p.digits, country: p.country}
	}
	out.Phone, out.Country = p.digits, p.country
	if p.code != "" {
		j.add(out, p.level, p.code, j.plan.phone, text, map[string]string{
			"country": p.country, "prefix": rules.Prefix, "digits": strconv.Itoa(rules.Digits)})
	}
}

func (j *judge) vars(out *Recipient, r *row) {
	if len(j.plan.vars) == 0 {
		return
	}
	out.Vars = make([]string, len(j.plan.vars))
	for i, v := range j.plan.vars {
		if v.column < 0 {
			out.Vars[i] = v.fixed
			continue
		}
		out.Vars[i] = j.variable(out, v, r.cell(v.column))
	}
}

func (j *judge) variable(out *Recipient, v planVar, c cell) string {
	text, code := c.display(j.date1904)
	if code != "" && code != "formula_empty" {
		j.add(out, Error, code, v.column, cmpText(text, c.text), nil)
		return ""
	}
	if len(text) > maxCellRunes && utf8.RuneCountInString(text) > maxCellRunes {
		j.add(out, Error, "value_long", v.column, text, number("max", maxCellRunes))
		return ""
	}
	value := cleanValue(text, j.spec.Rules.NoBrackets)
	if value.text == "" {
		if fallback := cleanValue(j.spec.Defaults[v.n], j.spec.Rules.NoBrackets).text; fallback != "" {
			return fallback
		}
		if code == "" {
			code = "var_missing"
		}
		j.add(out, Error, code, v.column, text, number("n", v.n))
		return ""
	}
	j.changes(out, v.column, text, value)
	return value.text
}

func cmpText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// changes tells what was done to a value, so that nobody is surprised by what people receive.
func (j *judge) changes(out *Recipient, column int, text string, value cleaned) {
	if value.damaged {
		j.add(out, Error, "value_damaged", column, text, nil)
	}
	if value.garbled {
		j.add(out, Warning, "value_garbled", column, text, nil)
	}
	if value.spaces {
		j.add(out, Warning, "value_spaces", column, text, nil)
	}
	if value.brackets {
		j.add(out, Warning, "value_brackets", column, text, nil)
	}
}

func (j *judge) media(out *Recipient, r *row) {
	if j.plan.media < 0 {
		out.Media = j.plan.link
		return
	}
	text, code := r.cell(j.plan.media).display(j.date1904)
	text = strings.TrimSpace(text)
	switch {
	case code != "":
		j.add(out, Error, code, j.plan.media, text, nil)
		return
	case text == "":
		j.add(out, Warning, "media_missing", j.plan.media, "", nil)
		return
	}
	out.Media = text
	if code := checkLink(text, j.spec.Rules.MediaTypes); code != "" {
		j.add(out, Error, code, j.plan.media, text, map[string]string{
			"types": strings.Join(j.spec.Rules.MediaTypes, ", ")})
	}
}

func (j *judge) custom(out *Recipient, r *row) {
	if j.plan.custom < 0 {
		return
	}
	text, code := r.cell(j.plan.custom).display(j.date1904)
	if code != "" {
		j.add(out, Error, code, j.plan.custom, cmpText(text, r.cell(j.plan.custom).text), nil)
		return
	}
	value := cleanValue(text, false)
	j.changes(out, j.plan.custom, text, value)
	out.CustomField = value.text
	limit := j.spec.Rules.MaxCustom
	if limit > 0 && utf8.RuneCountInString(value.text) > limit {
		out.CustomField = string([]rune(value.text)[:limit])
		j.add(out, Warning, "custom_long", j.plan.custom, value.text, number("max", limit))
	}
}

// body checks the length of the whole message. Without the template's text, only values that are too long by
// themselves are known to be.
func (j *judge) body(out *Recipient) {
	limit := j.spec.Rules.MaxBody
	if limit <= 0 {
		return
	}
	length := 0
	if j.spec.Template.Text != "" {
		length = utf8.RuneCountInString(render(j.spec.Template.Text, j.numbers, out.Vars))
	} else {
		for _, v := range out.Vars {
			length += utf8.RuneCountInString(v)
		}
	}
	if length > limit {
		args := numbers("length", length, "max", limit)
		column := j.longest(out.Vars)
		if column < 0 {
			args["column"] = "–"
		}
		j.add(out, Error, "body_long", column, "", args)
	}
}

// longest returns the column that gives the longest value, or -1 if no value comes from a column.
func (j *judge) longest(vars []string) int {
	column, most := -1, -1
	for i, v := range j.plan.vars {
		if v.column >= 0 && len(vars[i]) > most {
			column, most = v.column, len(vars[i])
		}
	}
	return column
}
