package pregon_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestEveryDependencyHasAReason compares go.mod's direct requirements with the page that gives the reason for each.
func TestEveryDependencyHasAReason(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit -json: %v", err)
	}
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/decisions/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !strings.Contains(string(page), "| "+r.Path+" | "+r.Version+" |") {
			t.Errorf("docs/decisions/dependencies.md has no line for %s %s: say what it is for, why this one, and its licence",
				r.Path, r.Version)
		}
	}
}
