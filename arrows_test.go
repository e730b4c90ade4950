package pregon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is the path that every package of the project begins with.
const module = "pregon"

// goPackage is what go list tells of a package, without its tests.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string // Everything that is linked with it.
}

// within reports whether a package is one of dirs, given from the module's root, or below one.
func within(importPath string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		full := path.Join(module, dir)
		return importPath == full || strings.HasPrefix(importPath, full+"/")
	})
}

// own returns the imports that are packages of this module, relative to its root.
func (p goPackage) own() []string {
	var own []string
	for _, i := range p.Imports {
		if rest, ok := strings.CutPrefix(i, module+"/"); ok {
			own = append(own, rest)
		}
	}
	return own
}

// has reports whether the list holds the package or module lib, or a package of it.
func has(list []string, lib string) bool {
	return slices.ContainsFunc(list, func(i string) bool { return i == lib || strings.HasPrefix(i, lib+"/") })
}

// loadPackages asks the go command once for all tests.
var loadPackages = sync.OnceValues(func() ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := loadPackages()
	if err != nil {
		t.Fatalf("go list ./...: %v", err)
	}
	if len(all) < 2 {
		t.Fatalf("go list found %d packages: the rules would hold of nothing", len(all))
	}
	return all
}

// arrow says what the packages in from may import of this module. A package is held by the first arrow it is in, and
// what lies below a package is in it too.
type arrow struct {
	from    string
	to      []string // "a/*" stands for what is directly below a; "*" for everything but cmd.
	because string
}

var arrows = []arrow{
	{"providers/simulator", nil, "it is written from the providers' documents alone, " +
		"so that a misreading must be made twice to hide"},
	{"providers/*", []string{"providers"}, "a provider's client is judged by its document, " +
		"and must not know where its messages come from or what becomes of them"},
	{"providers", nil, "it is a leaf: it says what a provider is, to those who send and to those who are sent through"},
	{"campaign", []string{"campaign/*"}, "it is a leaf: a file can be checked without knowing who will send it, " +
		"or that there is a Redis"},
	{"internal/ledger", []string{"internal/crash", "internal/ledger/*"}, "it is a leaf: rows and their states mean the " +
		"same whatever is sent and whoever sends it"},
	{"internal/crash", nil, "it only names moments"},
	{"internal/redistest", nil, "any package's tests may use it"},
	{"internal/config", []string{"providers"}, "it only reads settings; what they are for is internal/setup's to know"},
	{"jobs", []string{"campaign", "internal/crash", "internal/ledger", "providers", "jobs/*"}, "it works with any provider: " +
		"which there are, and how they are set up, is decided above it"},
	{"internal/setup", []string{"campaign", "internal/config", "internal/ledger", "jobs", "jobs/*", "providers",
		"providers/*"},
		"it wires configuration into a Redis client, a ledger and accounts, for the commands and the console above it"},
	{"internal/console", []string{"*"}, "arrows point down, and commands are at the top"},
	{"cmd", []string{"*"}, "a command is a program: what another needs of it belongs into a package"},
	{"chaos", []string{"providers/simulator", "chaos/*"}, "it judges the programs from outside: what it shared with " +
		"them, it would be blind to"},
	{"samples", nil, "they are files"},
}

func (a arrow) holds(importPath string) bool {
	if parent, ok := strings.CutSuffix(a.from, "*"); ok {
		return strings.HasPrefix(importPath, module+"/"+parent)
	}
	return within(importPath, a.from)
}

func (a arrow) allows(imported string) bool {
	return slices.ContainsFunc(a.to, func(to string) bool {
		if to == "*" {
			return !within(path.Join(module, imported), "cmd")
		}
		if parent, ok := strings.CutSuffix(to, "/*"); ok {
			return path.Dir(imported) == parent
		}
		return imported == to
	})
}

// pointUp returns a complaint for each import that no arrow allows.
func pointUp(all []goPackage) []string {
	var complaints []string
	for _, p := range all {
		if p.ImportPath == module {
			continue // Nothing but tests.
		}
		i := slices.IndexFunc(arrows, func(a arrow) bool { return a.holds(p.ImportPath) })
		if i < 0 {
			complaints = append(complaints, p.ImportPath+" has no arrows: a new package needs a reason; "+
				"write it into arrows_test.go, with what the package may import")
			continue
		}
		a := arrows[i]
		for _, imported := range p.own() {
			if !a.allows(imported) {
				complaints = append(complaints, fmt.Sprintf("%s imports %s, but %s may import "+
					"only [%s] of this module: %s", p.ImportPath, imported, a.from, strings.Join(a.to, " "), a.because))
			}
		}
	}
	return complaints
}

// libraryRules say which packages may import a library.
var libraryRules = []struct {
	library string
	in      []string
	because string
}{
	{"github.com/hibiken/asynq", []string{"jobs", "chaos/plain"},
		"asynq carries hints only; nobody else may depend on their form, or take a queue for the truth"},
	{"github.com/hibiken/asynqmon", []string{"internal/console"}, "the dashboard is mounted in one place"},
	{"github.com/redis/go-redis/v9", []string{"internal/ledger", "internal/redistest", "internal/setup", "jobs", "chaos"},
		"state is changed by the ledger's scripts alone; beside it only the limiter speaks to Redis, " +
			"setup makes the client, and chaos breaks the server"},
}

func knownElsewhere(all []goPackage) []string {
	var complaints []string
	for _, r := range libraryRules {
		for _, p := range all {
			if has(p.Imports, r.library) && !within(p.ImportPath, r.in...) {
				complaints = append(complaints, fmt.Sprintf("%s imports %s, which only %s may: %s",
					p.ImportPath, r.library, strings.Join(r.in, ", "), r.because))
			}
		}
	}
	return complaints
}

// linkRules say what a program or package must not contain, however it would get there.
var linkRules = []struct {
	from    string
	library string
	because string
}{
	{"cmd", "testing", "it adds its flags to the program; look for a test helper that is not in a _test.go file"},
	{"cmd", module + "/internal/redistest", "it is for tests"},
	{"cmd", module + "/providers/providertest", "it is for tests"},
	{"providers/simulator", "testing", "it is part of programs"},
	{"cmd/worker", "github.com/hibiken/asynqmon", "it more than doubles the program of which most are started"},
	{"cmd/enqueue", "github.com/hibiken/asynqmon", "it more than doubles the program that people download"},
	{"campaign", "github.com/redis/go-redis/v9", "checking a file needs no Redis"},
	{"campaign", "github.com/hibiken/asynq", "checking a file needs no queue"},
	{"internal/ledger", "github.com/hibiken/asynq", "the ledger is the truth, and must not need what carries hints"},
}

func linkedWrongly(all []goPackage) []string {
	var complaints []string
	for _, r := range linkRules {
		for _, p := range all {
			if within(p.ImportPath, r.from) && has(p.Deps, r.library) {
				complaints = append(complaints, fmt.Sprintf("%s is linked with %s: %s",
					p.ImportPath, r.library, r.because))
			}
		}
	}
	return complaints
}

// impure returns a complaint for each import by which campaign would reach out of its process. It needs the time zone
// data and files' bytes, and is given both.
func impure(all []goPackage) []string {
	var complaints []string
	for _, p := range all {
		for _, library := range []string{"net", "net/http", "os/exec", "log", "log/slog"} {
			if within(p.ImportPath, "campaign") && slices.Contains(p.Imports, library) {
				complaints = append(complaints, fmt.Sprintf("%s imports %s: the same file must give the same result "+
					"anywhere, so it knows no network, no other program and no log", p.ImportPath, library))
			}
		}
	}
	return complaints
}

// vague returns a complaint for each package whose name would fit anything.
func vague(all []goPackage) []string {
	var complaints []string
	for _, p := range all {
		switch base := path.Base(p.ImportPath); base {
		case "util", "utils", "common", "models", "model", "service", "services", "helpers", "misc", "types", "shared":
			complaints = append(complaints, fmt.Sprintf("%s: %q names no thing of this project; put its parts "+
				"where they are used, or name the package after what it holds", p.ImportPath, base))
		}
	}
	return complaints
}

// rules are all that is held of every package.
var rules = map[string]func([]goPackage) []string{
	"arrows point down":                        pointUp,
	"only some packages know a library":        knownElsewhere,
	"programs contain no more than they need":  linkedWrongly,
	"campaign is pure":                         impure,
	"packages are named after what is in them": vague,
}

func TestArrows(t *testing.T) {
	all := packages(t)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, complaint := range rule(all) {
				t.Error(complaint)
			}
		})
	}
}

// TestTheRulesCatchWhatTheyForbid gives each rule what it is there for: a rule that finds nothing would pass for ever.
func TestTheRulesCatchWhatTheyForbid(t *testing.T) {
	const asynq, redis = "github.com/hibiken/asynq", "github.com/redis/go-redis/v9"
	forbidden := []struct{ from, imports string }{
		{"campaign", "pregon/providers"}, {"campaign", "pregon/internal/ledger"}, {"campaign", redis},
		{"campaign", "net/http"},
		{"internal/ledger", "pregon/campaign"}, {"internal/ledger", asynq}, {"internal/ledger", "pregon/jobs"},
		{"providers", "pregon/campaign"}, {"providers", "pregon/providers/contactovirtual"}, {"providers", redis},
		{"providers/contactovirtual", "pregon/providers/simulator"}, {"providers/contactovirtual", "pregon/campaign"},
		{"providers/heynow", "pregon/providers/contactovirtual"},
		{"providers/providertest", "pregon/providers/simulator"},
		{"providers/simulator", "pregon/providers"}, {"providers/simulator", "testing"},
		{"internal/config", "pregon/campaign"}, {"internal/config", redis}, {"internal/config", asynq + "/x/rate"},
		{"jobs", "pregon/internal/setup"}, {"jobs", "pregon/internal/config"},
		{"jobs", "pregon/providers/contactovirtual"},
		{"internal/setup", "pregon/internal/console"}, {"internal/setup", asynq}, {"internal/console", redis},
		{"internal/console", "pregon/cmd/worker"}, {"cmd/enqueue", "pregon/cmd/worker"}, {"cmd/worker", asynq},
		{"cmd/worker", "testing"}, {"cmd/worker", "github.com/hibiken/asynqmon"},
		{"cmd/enqueue", "pregon/internal/redistest"},
		{"chaos", "pregon/internal/ledger"}, {"chaos", "pregon/jobs"}, {"chaos", asynq},
		{"internal/utils", "strings"}, {"internal/metrics", "strings"},
	}
	for _, f := range forbidden {
		p := goPackage{ImportPath: path.Join(module, f.from), Imports: []string{f.imports}, Deps: []string{f.imports}}
		var complaints []string
		for _, rule := range rules {
			complaints = append(complaints, rule([]goPackage{p})...)
		}
		if len(complaints) == 0 {
			t.Errorf("%s may import %s", f.from, f.imports)
		}
	}
	allowed := []struct{ from, imports string }{
		{"cmd/enqueue", "pregon/internal/setup"}, {"internal/setup", "pregon/providers/contactovirtual"},
		{"internal/setup", redis}, {"jobs", redis}, {"jobs", asynq}, {"jobs/limiter", redis},
		{"jobs", "pregon/campaign"},
		{"internal/console", "pregon/jobs"}, {"internal/console", "github.com/hibiken/asynqmon"},
		{"providers/heyy", "pregon/providers"}, {"internal/config", "pregon/providers"},
		{"chaos", "pregon/providers/simulator"}, {"chaos", "pregon/chaos/plain"}, {"chaos", redis}, {"chaos/plain", asynq},
	}
	for _, a := range allowed {
		p := goPackage{ImportPath: path.Join(module, a.from), Imports: []string{a.imports}, Deps: []string{a.imports}}
		for _, rule := range rules {
			for _, complaint := range rule([]goPackage{p}) {
				t.Errorf("%s may not import %s: %s", a.from, a.imports, complaint)
			}
		}
	}
}
