package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodAccounts = `# Two cities, one provider.
accounts:
  contactovirtual:
    login: ana@example.com
    token: ${CV_TOKEN}
    rate: 5
  bogota:
    provider: contactovirtual
    url: http://127.0.0.1:9090
    login: ${BOGOTA_LOGIN}
    token_file: tokens/bogota
    rate: 2.5
    burst: 4
    cost: 0.06
    encoding: multipart
    templates: &templates
      990:
        name: Asignación de cita
        text: |-
          ¡Hola *{1}*!
          Fecha y hora: *{3}*
      "0991": {name: Promoción}
  cali:
    provider: contactovirtual
    login: cali
    token: ${CV_TOKEN}
    templates: *templates
`

// accountsDir lays out an accounts file with the token files it names.
func accountsDir(t *testing.T, content string) string {
	t.Helper()
	path := write(t, "accounts.yml", content)
	dir := filepath.Join(filepath.Dir(path), "tokens")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bogota"), []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func goodDrafts() []Account {
	cost := 0.06
	templates := map[string]Template{
		"990":  {Name: "Asignación de cita", Text: "¡Hola *{1}*!\nFecha y hora: *{3}*"},
		"0991": {Name: "Promoción"},
	}
	return []Account{
		{
			Name: "contactovirtual", Provider: "contactovirtual", URL: "https://contacto-virtual.com",
			Login: secret("ana@example.com"), Token: secret(canary), Rate: 5, Burst: 1, Encoding: "form",
		},
		{
			Name: "bogota", Provider: "contactovirtual", URL: "http://127.0.0.1:9090",
			Login: secret("bogota@example.com"), Token: secret(canary), Rate: 2.5, Burst: 4, Cost: &cost,
			Encoding: "multipart", Templates: templates,
		},
		{
			Name: "cali", Provider: "contactovirtual", URL: "https://contacto-virtual.com", Login: secret("cali"),
			Token: secret(canary), Rate: 10, Burst: 1, Encoding: "form", Templates: templates,
		},
	}
}

func TestAnAccountsFileIsRead(t *testing.T) {
	c := mustLoad(t, "ACCOUNTS_FILE="+accountsDir(t, goodAccounts), "CV_TOKEN="+canary,
		"BOGOTA_LOGIN=bogota@example.com")
	if diff := cmp.Diff(goodDrafts(), c.Accounts); diff != "" {
		t.Error(diff)
	}
}

func TestAVariableOfTheFileMayItselfBeAFile(t *testing.T) {
	c := mustLoad(t, "ACCOUNTS_FILE="+accountsDir(t, goodAccounts), "CV_TOKEN_FILE="+write(t, "t", canary+"\n"),
		"BOGOTA_LOGIN=bogota@example.com")
	if diff := cmp.Diff(goodDrafts(), c.Accounts); diff != "" {
		t.Error(diff)
	}
}

func TestAListOfAccountsIsReadLikeAMapping(t *testing.T) {
	path := write(t, "accounts.yml", "accounts:\n"+
		"- name: bogota\n  provider: contactovirtual\n  login: a\n  token: ${T}\n"+
		"- {name: contactovirtual, login: b, token: \"${T}\"}\n")
	c := mustLoad(t, "ACCOUNTS_FILE="+path, "T="+canary)
	if len(c.Accounts) != 2 || c.Accounts[0].Name != "bogota" || c.Accounts[1].Name != "contactovirtual" ||
		c.Accounts[1].Token.Reveal() != canary {
		t.Errorf("read %+v", c.Accounts)
	}
}

func TestTheEnvironmentComesBeforeTheFile(t *testing.T) {
	path := accountsDir(t, goodAccounts)
	c := mustLoad(t, "ACCOUNTS_FILE="+path, "CV_TOKEN="+canary, "BOGOTA_LOGIN=bogota@example.com",
		"CONTACTOVIRTUAL_RATE=7", "CONTACTOVIRTUAL_TOKEN=another", "CONTACTOVIRTUAL_COST=1")
	want := goodDrafts()
	one := 1.0
	want[0].Rate, want[0].Token, want[0].Cost = 7, secret("another"), &one
	if diff := cmp.Diff(want, c.Accounts); diff != "" {
		t.Error(diff)
	}

	path = write(t, "accounts.yml", "accounts: {cali: {provider: contactovirtual, login: a, token_file: "+
		write(t, "t", canary)+"}}")
	c = mustLoad(t, "ACCOUNTS_FILE="+path, "CONTACTOVIRTUAL_LOGIN=b", "CONTACTOVIRTUAL_TOKEN=c")
	if len(c.Accounts) != 2 || c.Accounts[0].Name != "cali" || c.Accounts[1].Name != "contactovirtual" {
		t.Errorf("the environment's account is not beside the file's: %+v", c.Accounts)
	}
}

func TestWhatAnAccountsFileIsRefusedFor(t *testing.T) {
	const head = "accounts:\n  cali:\n    provider: contactovirtual\n    login: a\n"
	tests := []struct{ name, content, want string }{
		{"nothing in it", "", ":1:1: the file must hold one YAML document"},
		{"two documents", "accounts: {}\n---\naccounts: {}\n", "one YAML document"},
		{"broken YAML", "accounts:\n  a: [\n", "the file is not YAML"},
		{"a list at the top", "- a\n", ":1:1: the file must be keys with values"},
		{"another key at the top", "acounts: {}\n", `:1:1: the key "acounts" is not known`},
		{"accounts without content", "accounts:\n", "accounts must be keys with values"},
		{"an account without content", "accounts:\n  cali:\n", `the account "cali" must be keys with values`},
		{"an unknown key", head + "    token: ${T}\n    ratte: 5\n", `:6:5: the key "ratte" is not known; an`},
		{"an unknown key of a template", head + "    templates:\n      9:\n        body: x\n", ":7:9: the key"},
		{"the same key twice", head + "    token: ${T}\n    rate: 5\n    rate: 6\n", ":7:5: "},
		{"the same account twice", "accounts:\n- {name: contactovirtual, login: a, token: \"${T}\"}\n" +
			"- {name: contactovirtual, login: a, token: \"${T}\"}\n", ":3:4: there are two accounts"},
		{"no name in a list", "accounts:\n- {login: a}\n", "has no name"},
		{"a name in a mapping", head + "    token: ${T}\n    name: cali\n", "has its name already"},
		{"a bad name", "accounts:\n  Cali Norte: {provider: contactovirtual}\n", "not an account name"},
		{"an unknown provider", "accounts:\n  cali: {provider: acme, login: a}\n", `"acme" is not known`},
		{"no provider", "accounts:\n  cali: {login: a, token: \"${T}\"}\n", "add provider:"},
		{"no token", head, `:2:3: the account "cali" has no token; add token: ${VARIABLE}`},
		{"a token written out", head + "    token: " + canary + "\n", ":5:12: a token is not written out here"},
		{"a token given twice", head + "    token: ${T}\n    token_file: x\n", ":6:5: the account has both"},
		{"a token that is a list", head + "    token: [a]\n", "token has no value"},
		{"an unset variable", head + "    token: ${UNSET_TOKEN}\n", ":5:12: the variable UNSET_TOKEN is not set"},
		{"an absent token file", head + "    token_file: absent\n", ":5:17: token_file: the file cannot be read"},
		{"a bad rate", head + "    token: ${T}\n    rate: fast\n", `:6:11: rate: "fast" is not a rate`},
		{"a rate of nothing", head + "    token: ${T}\n    rate:\n", ":6:5: rate has no value"},
		{"an alias to nothing", "accounts: *nothing\n", "accounts.yml:1:"},
		{"an alias to itself", "accounts: &a *a\n", "accounts.yml:1:"},
		{"a merge", "accounts:\n  cali: &a {provider: contactovirtual}\n  b:\n    <<: *a\n", "plain word"},
		{"a variable where its value would be shown", head + "    rate: ${T}\n", `"${T}" is not a rate`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load([]string{"ACCOUNTS_FILE=" + write(t, "accounts.yml", tt.content), "T=" + canary})
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant a complaint with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("a secret is in the complaint: %v", err)
			}
		})
	}
}

func TestAllComplaintsAboutAFileComeAtOnce(t *testing.T) {
	_, err := Load([]string{"ACCOUNTS_FILE=" + write(t, "accounts.yml",
		"accounts:\n  cali:\n    provider: acme\n    rate: 0\n    colour: red\n"), "LOG_FORMAT=xml"})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{
		"LOG_FORMAT", ":3:5: the provider", ":4:11: rate", ":5:5: the key", "no login", "no token",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no complaint with %q in:\n%v", want, err)
		}
	}
}

func FuzzAccountsFile(f *testing.F) {
	f.Add(goodAccounts)
	f.Add("accounts:\n- name: a\n  provider: contactovirtual\n  login: x\n  token: ${T}\n")
	f.Add("accounts: &a\n  b: *a\n  ? [c]\n  : !!str d\n  <<: *a\n")
	f.Add("accounts: {contactovirtual: {rate: .inf, burst: 0x10, cost: ~, token: ${T}, login: |\n x}}")
	f.Add("---\n...\n---\n\"accounts\": []\n")
	f.Fuzz(func(t *testing.T, content string) {
		l := loader{
			env:  map[string]string{"T": canary, "CV_TOKEN": canary, "BOGOTA_LOGIN": canary},
			read: func(string) ([]byte, error) { return nil, errors.New("no files here") },
		}
		r := fileReader{loader: &l, path: "accounts.yml"}
		drafts := r.parse([]byte(content))
		names := map[string]bool{}
		for _, d := range drafts {
			l.complete(d)
			if names[d.Name] {
				t.Errorf("%q is there twice", d.Name)
			}
			names[d.Name] = true
		}
		for _, err := range l.errs {
			if !strings.HasPrefix(err.Error(), "accounts.yml:") {
				t.Errorf("a complaint names no line: %v", err)
			}
			if strings.Contains(err.Error(), canary) && !strings.Contains(content, canary) {
				t.Errorf("a complaint shows a secret: %v", err)
			}
		}
		if len(l.errs) > 0 {
			return
		}
		if len(drafts) == 0 && !strings.Contains(content, "{}") && !strings.Contains(content, "[") {
			t.Errorf("a file without accounts is not complained about")
		}
		for _, d := range drafts {
			if d.Login.IsZero() || d.Token.IsZero() || !(d.Rate > 0 && d.Rate <= 1000) || d.Burst < 1 || d.URL == "" ||
				checkAccountName(d.Name) != nil || defaultURLs[d.Provider] == "" {
				t.Errorf("an unfit account was accepted: %+v", d.Account)
			}
		}
	})
}
