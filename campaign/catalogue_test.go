package campaign

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var codeShape = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// codesInSource finds every string literal that is used as a code: a Code field, an argument of note and add, and
// what goes into the small tables of codes.
func codesInSource(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	literal := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s := strings.Trim(l.Value, `"`); s != "" {
				used[s] = true
			}
		}
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Code" || key.Name == "code") {
					literal(n.Value)
				}
			case *ast.CallExpr:
				switch called := n.Fun.(type) {
				case *ast.SelectorExpr:
					if called.Sel.Name == "note" {
						literal(n.Args[0])
					}
					if called.Sel.Name == "add" && len(n.Args) == 6 {
						literal(n.Args[2])
					}
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					name := ""
					switch left := left.(type) {
					case *ast.Ident:
						name = left.Name
					case *ast.SelectorExpr:
						name = left.Sel.Name
					}
					if name == "code" && len(n.Rhs) == len(n.Lhs) {
						literal(n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	for _, m := range magics {
		used[m.code] = true
	}
	return used
}

func TestEveryCodeHasItsSentences(t *testing.T) {
	used := codesInSource(t)
	if len(used) < 60 {
		t.Fatalf("only %d codes found in the source", len(used))
	}
	for code := range used {
		if !codeShape.MatchString(code) {
			t.Errorf("%q is no snake_case", code)
		}
		s, ok := catalogue()[code]
		if !ok {
			t.Errorf("%s has no sentences", code)
			continue
		}
		for _, lang := range []string{"es", "en"} {
			if s.reason[lang] == "" || s.fix[lang] == "" {
				t.Errorf("%s lacks a sentence in %s", code, lang)
			}
		}
	}
}

func TestSentencesNameTheSameThingsInBothLanguages(t *testing.T) {
	name := regexp.MustCompile(`\{([a-z]+)\}`)
	names := func(s string) []string {
		found := name.FindAllString(s, -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	for code, s := range catalogue() {
		if !slices.Equal(names(s.reason["es"]), names(s.reason["en"])) || !slices.Equal(names(s.fix["es"]),
			names(s.fix["en"])) {
			t.Errorf("%s: the two languages are filled with different things", code)
		}
		for _, text := range []string{s.reason["es"], s.reason["en"], s.fix["es"], s.fix["en"]} {
			if text != strings.TrimSpace(text) ||
				!regexp.MustCompile(`[.…"”)]$|\.jpg$|\{columns\}\.?$`).MatchString(text) {
				t.Errorf("%s: %q does not end like a sentence", code, text)
			}
		}
	}
}

func TestTextsAreFilledOnceAndInTheLanguageAskedFor(t *testing.T) {
	p := Problem{Code: "phone_letters", Column: "Celular", Value: "{column}"}
	if got := p.Reason(""); !strings.HasPrefix(got, "«{column}» tiene letras") {
		t.Errorf("Reason = %q", got)
	}
	if got := p.Fix("en-US"); !strings.HasPrefix(got, "Leave only") {
		t.Errorf("Fix = %q", got)
	}
	if got := p.Fix("pt"); !strings.HasPrefix(got, "Deje solo") {
		t.Errorf("Fix = %q", got)
	}
	e := &FileError{Code: "var_unknown", Args: map[string]string{"n": "4", "vars": "{1}, {2}"}}
	if got := e.Text("es"); !strings.Contains(got, "la variable {4}. Tiene: {1}, {2}.") {
		t.Errorf("Text = %q", got)
	}
}

func TestWordsOfStatusesAndLevels(t *testing.T) {
	got := []string{Status(0).String(), Valid.String(), Skipped.String(), Level(0).String(), Warning.String(),
		Skip.String()}
	if want := []string{"invalid", "valid", "skipped", "error", "warning", "skip"}; !slices.Equal(got, want) {
		t.Errorf("words = %v", got)
	}
}
