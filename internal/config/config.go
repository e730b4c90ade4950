// Package config turns the environment and the accounts file into one checked [Config].
//
// Everything that is wrong is reported at once, so that nobody mends one variable only to be told of the next. Each
// complaint is one line that names the variable, or the file with its line and column, and says what to do. Neither
// a complaint nor a printed Config shows a secret.
//
// An account's settings come from the environment before the accounts file, and from the file before the defaults.
// Command-line flags come before all of them and belong to the commands.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"pregon/providers"
)

// HTTPBudget is the longest that one request to a provider may take, answer included.
const HTTPBudget = 60 * time.Second

// ShutdownMargin is what a worker needs beside the request in flight to record its result before it stops.
const ShutdownMargin = 10 * time.Second

// Config is what a process may know about its surroundings. The zero Config is not valid: use [Load].
type Config struct {
	// RedisURL says where the ledger is, as [ParseRedisURL] reads it. It may carry a password, hence a Secret.
	RedisURL providers.Secret
	// MasterKey is 32 raw bytes (decoded from the hex or base64 of MASTER_KEY), or empty when none is configured.
	MasterKey providers.Secret
	// Accounts holds those of the file in the file's order, then those of the environment. It may be empty.
	Accounts []Account
	// WorkerConcurrency is the number of sends in flight per process, over all campaigns.
	WorkerConcurrency int
	// ShutdownTimeout is how long a worker may take to finish what it has begun. It exceeds
	// HTTPBudget+ShutdownMargin.
	ShutdownTimeout time.Duration
	// AdminAddr is the host:port on which health and metrics are served; empty means that they are not.
	AdminAddr string
	// JournalDir is where a worker keeps what it did lately, for a Redis that forgets; empty means in memory only.
	JournalDir string
	// LogFormat is "json", "text" or "auto" (text on a terminal, JSON elsewhere).
	LogFormat string
	// Lang is the language for people: "es" or "en".
	Lang string
}

// environment is what is read from the environment, before it is checked. The want tag ends the complaint about a
// value that does not parse.
type environment struct {
	RedisURL          string        `env:"REDIS_URL" envDefault:"redis://localhost:6379/0"`
	RedisURLFile      string        `env:"REDIS_URL_FILE"`
	MasterKey         string        `env:"MASTER_KEY"`
	MasterKeyFile     string        `env:"MASTER_KEY_FILE"`
	AccountsFile      string        `env:"ACCOUNTS_FILE"`
	WorkerConcurrency int           `env:"WORKER_CONCURRENCY" envDefault:"256" want:"a whole number, such as 256"`
	ShutdownTimeout   time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"75s" want:"a duration, such as 75s or 2m"`
	AdminAddr         string        `env:"ADMIN_ADDR"`
	JournalDir        string        `env:"JOURNAL_DIR"`
	LogFormat         string        `env:"LOG_FORMAT" envDefault:"auto"`
	PregonLang        string        `env:"PREGON_LANG"`
	LCAll             string        `env:"LC_ALL"`
	Lang              string        `env:"LANG"`
	ContactoVirtual   accountVars   `envPrefix:"CONTACTOVIRTUAL_"`
}

// Load reads a configuration from environ, which has the form of os.Environ(), and from the files it names. The
// error, if any, joins every complaint there is; no Config comes with it.
func Load(environ []string) (*Config, error) {
	l := loader{env: env.ToMap(environ), read: readFile}
	c := l.load()
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return c, nil
}

// loader collects complaints while a Config is put together.
type loader struct {
	env  map[string]string
	read func(path string) ([]byte, error)
	errs []error
}

// fail adds a complaint about what is named: a variable, or a place in a file.
func (l *loader) fail(name, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

func (l *loader) load() *Config {
	var raw environment
	// A variable that does not parse leaves its field zero: known, so that it is not complained about a second time.
	unread := l.complain(env.ParseWithOptions(&raw, env.Options{Environment: l.env}))

	c := &Config{
		WorkerConcurrency: raw.WorkerConcurrency,
		ShutdownTimeout:   raw.ShutdownTimeout,
		AdminAddr:         raw.AdminAddr,
		JournalDir:        raw.JournalDir,
		LogFormat:         raw.LogFormat,
		Lang:              language(raw.PregonLang, raw.LCAll, raw.Lang),
	}
	if l.env["REDIS_URL"] == "" && raw.RedisURLFile != "" {
		raw.RedisURL = "" // The default must not compete with the file.
	}
	c.RedisURL = l.redisURL(raw)
	c.MasterKey = l.masterKey(raw)
	if n := c.WorkerConcurrency; !unread["WORKER_CONCURRENCY"] && (n < 1 || n > 10_000) {
		l.fail("WORKER_CONCURRENCY", "%d is out of range; give the sends in flight per process, from 1 to 10000", n)
	}
	if least := HTTPBudget + ShutdownMargin; !unread["SHUTDOWN_TIMEOUT"] && c.ShutdownTimeout <= least {
		l.fail("SHUTDOWN_TIMEOUT", "%s is too short: a request may take %s and its result %s more; give more than %s",
			c.ShutdownTimeout, HTTPBudget, ShutdownMargin, least)
	}
	if err := checkListenAddr(c.AdminAddr); err != nil {
		l.fail("ADMIN_ADDR", "%w", err)
	}
	switch c.LogFormat {
	case "json", "text", "auto":
	default:
		l.fail("LOG_FORMAT", "%s is not a log format; give json, text or auto", shown(c.LogFormat))
	}
	c.Accounts = l.accounts(raw)
	return c
}

// complain rewrites what the env package says about fields into words about variables, and returns the variables that
// could not be read.
func (l *loader) complain(err error) map[string]bool {
	unread := map[string]bool{}
	if err == nil {
		return unread
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		l.errs = append(l.errs, fmt.Errorf("read the environment: %w", err))
		return unread
	}
	for _, err := range all.Errors {
		var parse env.ParseError
		field, ok := reflect.StructField{}, false
		if errors.As(err, &parse) {
			field, ok = reflect.TypeFor[environment]().FieldByName(parse.Name)
		}
		if !ok {
			l.errs = append(l.errs, fmt.Errorf("read the environment: %w", err))
			continue
		}
		name := field.Tag.Get("env")
		unread[name] = true
		l.fail(name, "%s cannot be read; give %s", shown(l.env[name]), field.Tag.Get("want"))
	}
	return unread
}

func (l *loader) redisURL(raw environment) providers.Secret {
	url, err := l.secret("REDIS_URL", raw.RedisURL, raw.RedisURLFile)
	if err != nil {
		l.errs = append(l.errs, err)
		return url
	}
	if _, err := ParseRedisURL(url.Reveal()); err != nil {
		l.fail("REDIS_URL", "%w", err)
	}
	return url
}

func (l *loader) masterKey(raw environment) providers.Secret {
	written, err := l.secret("MASTER_KEY", raw.MasterKey, raw.MasterKeyFile)
	if err != nil {
		l.errs = append(l.errs, err)
		return providers.Secret{}
	}
	if written.IsZero() {
		return providers.Secret{}
	}
	key, err := decodeKey(written.Reveal())
	if err != nil {
		l.fail("MASTER_KEY", "%w", err)
	}
	return key
}

// Language is the language for people ("es" or "en") that environ asks for. It is known even when nothing else in
// environ is fit to be loaded, so that the complaints can be in it.
func Language(environ []string) string {
	m := env.ToMap(environ)
	return language(m["PREGON_LANG"], m["LC_ALL"], m["LANG"])
}

// language chooses the language for people from the first of the given settings that says anything. It is Spanish
// unless English is asked for: the C and POSIX locales of servers and containers say nothing about who reads.
func language(settings ...string) string {
	for _, s := range settings {
		if s = strings.ToLower(strings.TrimSpace(s)); s == "" {
			continue
		}
		if strings.HasPrefix(s, "en") {
			return "en"
		}
		return "es"
	}
	return "es"
}

// readFile reads a small file, or the start of something that never ends (such as a device named by mistake).
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // Nothing was written: there is nothing to lose.
	return readSmall(f)
}
