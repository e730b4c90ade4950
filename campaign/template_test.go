package campaign

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestTemplateVariablesAndText(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		vars []int
		in   []string
		want string
	}{
		"OneBrace":   {"Hola *{1}*, con {2}.", []int{1, 2}, []string{"Ana", "Luz"}, "Hola *Ana*, con Luz."},
		"TwoBraces":  {"Hola {{1}} y {{2}}", []int{1, 2}, []string{"Ana", "Luz"}, "Hola Ana y Luz"},
		"Spaces":     {"Hola {{ 1 }}", []int{1}, []string{"Ana"}, "Hola Ana"},
		"SameTwice":  {"{1} {1} {2}", []int{1, 2}, []string{"a", "b"}, "a a b"},
		"OutOfOrder": {"{2} {1}", []int{1, 2}, []string{"a", "b"}, "b a"},
		"Gaps":       {"{3} {1}", []int{1, 3}, []string{"a", "c"}, "c a"},
		"StrayBrace": {"con *{2}* *{\n\nFecha *{3}* *{", []int{2, 3}, []string{"b", "c"},
			"con *b* *{\n\nFecha *c* *{"},
		"MissingValue":    {"{1} {2}", []int{1, 2}, []string{"a"}, "a {2}"},
		"ValueWithBraces": {"{1} {2}", []int{1, 2}, []string{"{2}", "b"}, "{2} b"},
		"Zero":            {"{0} {1}", []int{1}, []string{"a"}, "{0} a"},
		"Words":           {"{nombre} {} {1a}", nil, []string{"a"}, "{nombre} {} {1a}"},
		"None":            {"Hola", nil, nil, "Hola"},
	} {
		t.Run(name, func(t *testing.T) {
			template := Template{Text: c.text}
			if diff := cmp.Diff(c.vars, template.Variables()); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			if got := template.Render(c.in); got != c.want {
				t.Errorf("rendered %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseBinding(t *testing.T) {
	for in, want := range map[string]Binding{
		"1=Nombre":           {N: 1, Column: "Nombre"},
		" 2 = Fecha y hora ": {N: 2, Column: "Fecha y hora"},
		"{{3}}=C":            {N: 3, Column: "C"},
		"2==texto fijo":      {N: 2, Fixed: "texto fijo", IsFixed: true},
		"2===igual":          {N: 2, Fixed: "=igual", IsFixed: true},
		"4=a=b":              {N: 4, Column: "a=b"},
	} {
		if got, err := ParseBinding(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for in, code := range map[string]string{"": "binding", "Nombre": "binding", "0=a": "binding", "-1=a": "binding",
		"+1=a": "binding", "100=a": "binding", "x=a": "binding", "1=": "binding_empty", "1==": "binding_empty",
		"1== \n": "binding_empty"} {
		_, err := ParseBinding(in)
		if e, ok := err.(*FileError); !ok || e.Code != code {
			t.Errorf("%q: %v, want %s", in, err, code)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("Hola {1}, {{2}}", "Ana", "{1}")
	f.Add("{{{{1}}}}{", "}", "{")
	f.Add("{0}{00}{99}{100}", "", "")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		template := Template{Text: text}
		numbers := template.Variables()
		if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
			t.Errorf("variables %v are not sorted and distinct", numbers)
		}
		vars := make([]string, len(numbers))
		for i := range vars {
			vars[i] = []string{a, b}[i%2]
		}
		got := template.Render(vars)
		if len(numbers) == 0 && got != text {
			t.Errorf("text without variables changed: %q", got)
		}
		if utf8.ValidString(text) && utf8.ValidString(a) && utf8.ValidString(b) && !utf8.ValidString(got) {
			t.Errorf("rendered %q is not UTF-8", got)
		}
		marks := make([]string, len(numbers))
		for i := range marks {
			marks[i] = "\x00"
		}
		rest := template.Render(marks)
		for _, n := range numbers {
			if strings.Contains(rest, "{"+strconv.Itoa(n)+"}") {
				t.Errorf("variable %d is still in %q", n, rest)
			}
		}
	})
}

func FuzzBinding(f *testing.F) {
	for _, s := range []string{"1=Nombre", "2==fijo", "{{3}}=C", "=", "==", "99=x", "1=\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBinding(s)
		if err != nil {
			if e, ok := err.(*FileError); !ok || e.Text("es") == "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if b.N < 1 || b.N > maxVariables || b.IsFixed == (b.Column != "") || b.IsFixed != (b.Fixed != "") {
			t.Errorf("%q: %+v", s, b)
		}
	})
}
