package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pregon/providers"
)

// Account is what one set of credentials at a provider needs to send, and may do.
type Account struct {
	// Name is how people and campaigns call the account; one set up from the environment has its provider's name.
	Name string
	// Provider is "contactovirtual".
	Provider string
	// URL is the root to which the provider's documented paths are appended, without a slash at its end.
	URL string
	// Login and Token are the credentials. The login names a person or a company, so it is kept out of logs too.
	Login, Token providers.Secret
	// Rate is the limit in messages per second, and Burst how many may go out back to back.
	Rate  float64
	Burst int
	// Cost is the price of a message in the unit of the provider's balance; nil means that nobody said.
	Cost *float64
	// Encoding is how the request body is written: "form" or "multipart".
	Encoding string
	// Templates gives the names and texts of templates by id; the provider's own list has no ids (contacto-virtual
	// document, template endpoint).
	Templates map[string]Template
}

// Template is what the accounts file tells of a template. An empty Text means that it is not known.
type Template struct {
	Name string
	Text string
}

// ContactoVirtual is the name of the provider contacto-virtual, and of its account in the environment.
const ContactoVirtual = "contactovirtual"

// DefaultRate is an account's messages per second when nobody says otherwise.
const DefaultRate = 10

// defaultURLs holds every provider that can be configured, with the root of its API.
var defaultURLs = map[string]string{
	ContactoVirtual: "https://contacto-virtual.com",
}

// accountVars are the variables of the account that is set up in the environment, behind the provider's prefix.
type accountVars struct {
	URL       string `env:"URL"`
	Login     string `env:"LOGIN"`
	LoginFile string `env:"LOGIN_FILE"`
	Token     string `env:"TOKEN"`
	TokenFile string `env:"TOKEN_FILE"`
	Rate      string `env:"RATE"`
	Burst     string `env:"BURST"`
	Cost      string `env:"COST"`
	Encoding  string `env:"ENCODING"`
}

// accountFields are the settings with a value that is no secret, and how each is checked and kept. The accounts file
// calls them so; the environment does in capitals, behind a prefix.
var accountFields = map[string]func(a *Account, value string) error{
	"url": setURL, "rate": setRate, "burst": setBurst, "cost": setCost, "encoding": setEncoding,
}

// draft is an account that is still being put together.
type draft struct {
	Account
	// where is the line of the accounts file that declares it; empty for an account of the environment alone.
	where string
	// loginGiven and tokenGiven hold also when what was given was refused, which is complaint enough.
	loginGiven, tokenGiven bool
}

func newDraft(name, provider string) *draft {
	return &draft{Account: Account{
		Name: name, Provider: provider, URL: defaultURLs[provider], Rate: DefaultRate, Burst: 1, Encoding: "form",
	}}
}

// accounts reads the file first and lays the environment over it.
func (l *loader) accounts(raw environment) []Account {
	var drafts []*draft
	if raw.AccountsFile != "" {
		drafts = l.accountsFile(raw.AccountsFile)
	}
	drafts = l.overlay(drafts, ContactoVirtual, raw.ContactoVirtual)
	accounts := make([]Account, 0, len(drafts))
	for _, d := range drafts {
		l.complete(d)
		accounts = append(accounts, d.Account)
	}
	return accounts
}

// overlay applies the variables of a provider to the account that has the provider's name, or to a new one.
func (l *loader) overlay(drafts []*draft, provider string, vars accountVars) []*draft {
	if vars == (accountVars{}) {
		return drafts
	}
	prefix := strings.ToUpper(provider) + "_"
	i := slices.IndexFunc(drafts, func(d *draft) bool { return d.Name == provider })
	if i < 0 {
		i, drafts = len(drafts), append(drafts, newDraft(provider, provider))
	}
	d := drafts[i]
	for _, v := range []struct{ field, value string }{
		{"url", vars.URL}, {"rate", vars.Rate}, {"burst", vars.Burst}, {"cost", vars.Cost}, {"encoding", vars.Encoding},
	} {
		if v.value == "" {
			continue
		}
		if err := accountFields[v.field](&d.Account, v.value); err != nil {
			l.fail(prefix+strings.ToUpper(v.field), "%w", err)
		}
	}
	l.credential(&d.Login, &d.loginGiven, prefix+"LOGIN", vars.Login, vars.LoginFile)
	l.credential(&d.Token, &d.tokenGiven, prefix+"TOKEN", vars.Token, vars.TokenFile)
	return drafts
}

// credential replaces a login or token if the environment has one.
func (l *loader) credential(to *providers.Secret, given *bool, name, value, file string) {
	if value == "" && file == "" {
		return
	}
	*given = true
	s, err := l.secret(name, value, file)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	*to = s
}

// complete complains about an account that nobody could log in with: a part of it was configured, so all of it was
// meant to be.
func (l *loader) complete(d *draft) {
	for _, need := range []struct {
		field string
		given bool
	}{{"login", d.loginGiven}, {"token", d.tokenGiven}} {
		if need.given {
			continue
		}
		prefix := strings.ToUpper(d.Provider) + "_"
		variable := prefix + strings.ToUpper(need.field)
		if d.where == "" {
			l.fail(variable, "it is missing, while other %s variables are set; set it or %s_FILE, "+
				"or unset the others to have no such account", prefix, variable)
			continue
		}
		l.fail(d.where, "the account %s has no %s; add %s: ${VARIABLE}, or %s_file: PATH",
			shown(d.Name), need.field, need.field, need.field)
	}
}

// accountName is what fits keys, addresses and command lines without quoting.
var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

func checkAccountName(name string) error {
	if !accountName.MatchString(name) {
		return fmt.Errorf("%s is not an account name; use up to 32 of a-z, 0-9, - and _, "+
			"beginning with a letter or digit", shown(name))
	}
	return nil
}

// setURL keeps the root of a provider's API. What it refuses is not shown: it may hold a password.
func setURL(a *Account, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("it is not a web address; give one such as https://contacto-virtual.com")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("it must be a plain root; remove any user, password, ? and # from it")
	}
	a.URL = strings.TrimRight(value, "/")
	return nil
}

func setRate(a *Account, value string) error {
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil || !(rate > 0 && rate <= 1000) { // Written so that NaN is refused.
		return fmt.Errorf("%s is not a rate; give messages per second above 0 and up to 1000, such as 10", shown(value))
	}
	a.Rate = rate
	return nil
}

func setBurst(a *Account, value string) error {
	burst, err := strconv.Atoi(value)
	if err != nil || burst < 1 || burst > 1000 {
		return fmt.Errorf("%s is not a burst; give a whole number of messages from 1 to 1000", shown(value))
	}
	a.Burst = burst
	return nil
}

func setCost(a *Account, value string) error {
	cost, err := strconv.ParseFloat(value, 64)
	if err != nil || !(cost >= 0) || math.IsInf(cost, 0) {
		return fmt.Errorf("%s is not a price; give what a message costs with a decimal point, such as 0.06, "+
			"or nothing if you do not know", shown(value))
	}
	a.Cost = &cost
	return nil
}

func setEncoding(a *Account, value string) error {
	if value != "form" && value != "multipart" {
		return fmt.Errorf("%s is not an encoding; give form or multipart", shown(value))
	}
	a.Encoding = value
	return nil
}

// checkListenAddr accepts what net.Listen does: host:port or :port. Empty means that nothing is served.
func checkListenAddr(addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s is not an address to listen on; give HOST:PORT or :PORT, such as :9091", shown(addr))
	}
	return nil
}

// shown quotes a value for a complaint, cut so that a wrong file pasted into a variable does not fill the screen.
func shown(value string) string {
	if runes := []rune(value); len(runes) > 40 {
		value = string(runes[:40]) + "…"
	}
	return strconv.Quote(value)
}
