package simulator

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVariables(t *testing.T) {
	tests := []struct {
		name, field string
		want        []string
	}{
		{"absent", "", nil},
		{"the document's example", `[Carlos] [\$100] [miércoles]`, []string{"Carlos", `\$100`, "miércoles"}},
		{"without spaces between", "[a][b]", []string{"a", "b"}},
		{"spaces inside stay", "[ a ] [b c]", []string{" a ", "b c"}},
		{"an empty value counts", "[a] []", []string{"a", ""}},
		{"text outside is ignored", "x [a] y, [b] z", []string{"a", "b"}},
		{"a bracket that opens belongs to the value", "[a [1] [b]", []string{"a [1", "b"}},
		{"a bracket that closes ends the value", "[a] 1] [b]", []string{"a", "b"}},
		{"brackets in a value make another variable", "[a] [b] [c]", []string{"a", "b", "c"}},
		{"never closed", "[a] [b", []string{"a"}},
		{"never opened", "a] b]", nil},
		{"line breaks", "[a\nb]\n[c]", []string{"a\nb", "c"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parseVariables(test.field)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseVariables(f *testing.F) {
	f.Add(`[Carlos] [\$100] [miércoles]`, "a", "b")
	f.Add("[[]]", "", " ")
	f.Add("] [ ][", "[", "]")
	f.Fuzz(func(t *testing.T, field, first, second string) {
		values := parseVariables(field)
		if n := min(strings.Count(field, "["), strings.Count(field, "]")); len(values) > n {
			t.Fatalf("%d values out of %d pairs of brackets", len(values), n)
		}
		rest := field
		for _, v := range values {
			if strings.Contains(v, "]") {
				t.Fatalf("value %q contains its end", v)
			}
			_, after, found := strings.Cut(rest, "["+v+"]")
			if !found {
				t.Fatalf("value %q is not in what is left, %q", v, rest)
			}
			rest = after
		}
		if strings.ContainsAny(first+second, "[]") {
			return
		}
		want := []string{first, second}
		if diff := cmp.Diff(want, parseVariables("["+first+"] ["+second+"]")); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
	})
}

func TestTemplateVariablesAreCountedOnce(t *testing.T) {
	for text, want := range map[string]int{
		"":                          0,
		"Hola":                      0,
		"Hola {1}":                  1,
		"{{1}} y {{2}} y {1}":       2,
		"{{ 1 }} {3}":               2,
		"{nombre} {} { } {1a} 1}":   0,
		"*{1}*! *{2}* *{\n\n *{3}*": 3,
	} {
		if got := (Template{Text: text}).variables(); got != want {
			t.Errorf("%q has %d variables, want %d", text, got, want)
		}
	}
	for i, want := range []int{3, 2, 0} {
		if got := DefaultTemplates()[i].variables(); got != want {
			t.Errorf("default template %d has %d variables, want %d", i, got, want)
		}
	}
}
