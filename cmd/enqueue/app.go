package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
	"pregon/providers/contactovirtual"
)

// app is one run of the program.
type app struct {
	environ []string
	in      io.Reader
	out     io.Writer
	err     io.Writer
	lang    string
	json    bool
	// patience is how long a check waits for the provider, which it can do without.
	patience time.Duration
	asks     func() bool // whether there is a person to ask

	cfg         *config.Config
	accountName string // of the command that runs, for explaining errors
}

func newApp(environ []string, in io.Reader, out, err io.Writer) *app {
	return &app{
		environ: environ, in: in, out: out, err: err, lang: config.Language(environ), patience: 10 * time.Second,
		asks: func() bool { return terminal(in) && terminal(err) },
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "enqueue",
		Short: a.t("Revisa, lanza y acompaña campañas de WhatsApp", "Check, launch and follow WhatsApp campaigns"),
		Long: a.t(`Pregón envía una plantilla de WhatsApp a cada fila de su archivo: nunca dos veces, ninguna perdida.

Para empezar sin credenciales ni Redis:   enqueue demo
Con sus datos:                            enqueue check archivo.xlsx, después enqueue run archivo.xlsx --name "…"

Estados de salida: 0 bien · 1 inesperado · 2 uso, configuración o archivo ilegible · 3 filas rechazadas ·
4 credenciales · 5 saldo · 6 Redis o proveedor no disponible · 7 terminó con filas fallidas o en duda ·
130 interrumpido`,
			`Pregón sends one WhatsApp template to each row of your file: never twice, none lost.

To begin without credentials or Redis:    enqueue demo
With your own data:                       enqueue check file.xlsx, then enqueue run file.xlsx --name "…"

Exit statuses: 0 ok · 1 unexpected · 2 usage, configuration or unreadable file · 3 rows rejected · 4 credentials ·
5 balance · 6 Redis or provider unavailable · 7 finished with failed or in-doubt rows · 130 interrupted`),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return a.misspelt(c, args[0])
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return a.badFlag(c, err)
	})
	root.PersistentFlags().BoolVar(&a.json, "json", false,
		a.t("un documento JSON en la salida; lo demás va a stderr", "one JSON document on stdout; the rest goes to stderr"))
	root.AddCommand(
		a.checkCommand(), a.runCommand(), a.statusCommand(), a.listCommand(), a.pauseCommand(), a.resumeCommand(),
		a.cancelCommand(), a.doubtCommand(), a.retryCommand(), a.resultsCommand(), a.balanceCommand(),
		a.templatesCommand(), a.demoCommand(),
	)
	return root
}

// misspelt says that there is no such command, and which one may have been meant.
func (a *app) misspelt(root *cobra.Command, word string) error {
	text := a.t("No existe el comando %q.", "There is no command %q.", word)
	root.SuggestionsMinimumDistance = 2
	if like := root.SuggestionsFor(word); len(like) > 0 {
		text += a.t(" ¿Quiso decir %s?", " Did you mean %s?", strings.Join(like, ", "))
	}
	return usage("%s %s", text, a.t("Véalos con: enqueue --help", "See them with: enqueue --help"))
}

// badFlag says in the person's language what cobra says of a wrong flag in English.
func (a *app) badFlag(c *cobra.Command, err error) error {
	text := err.Error()
	for _, p := range []struct{ begin, es, en string }{
		{"unknown flag: ", "No existe la opción %s", "There is no flag %s"},
		{"unknown shorthand flag: ", "No existe la opción %s", "There is no flag %s"},
		{"flag needs an argument: ", "Falta el valor de la opción %s", "The flag %s lacks its value"},
		{"invalid argument ", "No sirve el valor %s", "This value is of no use: %s"},
	} {
		if rest, ok := strings.CutPrefix(text, p.begin); ok {
			text = a.t(p.es, p.en, rest)
			break
		}
	}
	return usage("%s", a.t("%s. Vea las opciones con: %s --help", "%s. See the flags with: %s --help", text,
		c.CommandPath()))
}

// arguments accepts between least and most arguments.
func (a *app) arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		problem := a.t("Sobra %q", "There is no place for %q", strings.Join(args[min(most, len(args)):], " "))
		if len(args) < least {
			problem = a.t("Falta un dato", "Something is missing")
		}
		return usage("%s", a.t("%s. Se usa así: %s", "%s. Use it like this: %s", problem, c.UseLine()))
	}
}

// say writes a line for the person: on stdout, or on stderr when stdout is for a program.
func (a *app) say(es, en string, args ...any) {
	w := a.out
	if a.json {
		w = a.err
	}
	_, _ = fmt.Fprintln(w, a.t(es, en, args...)) // a closed terminal cannot be told
}

func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.err, "enqueue: "+format+"\n", args...)
}

func (a *app) printJSON(v any) error {
	out := json.NewEncoder(a.out)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(v); err != nil {
		return fmt.Errorf("write json: %w", err)
	}
	return nil
}

// config reads the configuration once; what is wrong with it is all said together.
func (a *app) config() (*config.Config, error) {
	if a.cfg != nil {
		return a.cfg, nil
	}
	cfg, err := config.Load(a.environ)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	a.cfg = cfg
	return cfg, nil
}

// account finds an account: the named one; without a name the only one, or contacto-virtual's.
func (a *app) account(name string) (jobs.Account, error) {
	cfg, err := a.config()
	if err != nil {
		return jobs.Account{}, err
	}
	accounts, err := setup.Accounts(cfg)
	if err != nil {
		return jobs.Account{}, &exitError{exitUsage, err}
	}
	if name == "" && len(accounts) == 1 {
		return accounts[0], nil
	}
	if name == "" {
		name = config.ContactoVirtual
	}
	names := make([]string, 0, len(accounts))
	for _, acc := range accounts {
		if acc.Name == name {
			return acc, nil
		}
		names = append(names, acc.Name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return jobs.Account{}, usage("%s", a.t("No hay ninguna cuenta configurada: ponga CONTACTOVIRTUAL_LOGIN y "+
			"CONTACTOVIRTUAL_TOKEN, o ACCOUNTS_FILE", "No account is configured: set CONTACTOVIRTUAL_LOGIN and "+
			"CONTACTOVIRTUAL_TOKEN, or ACCOUNTS_FILE"))
	}
	return jobs.Account{}, usage("%s", a.t("No hay una cuenta %q; hay: %s", "There is no account %q; there are: %s", name,
		strings.Join(names, ", ")))
}

// accountOrRules is the account if there is one, and otherwise the default provider's rules alone, so that a file can
// be checked before anything is configured.
func (a *app) accountOrRules(name string) (acc jobs.Account, configured bool, err error) {
	cfg, err := a.config()
	if err != nil {
		return jobs.Account{}, false, err
	}
	if name == "" && len(cfg.Accounts) == 0 {
		return jobs.Account{Name: config.ContactoVirtual, Provider: new(contactovirtual.Client), Rate: config.DefaultRate,
			Burst: 1}, false, nil
	}
	acc, err = a.account(name)
	return acc, err == nil, err
}

// accountHere is the account of a campaign, to explain its codes. One that is not configured here explains nothing.
func (a *app) accountHere(name string) jobs.Account {
	acc, _, err := a.accountOrRules(name)
	if err != nil {
		return jobs.Account{}
	}
	return acc
}

// open connects to Redis and the rest.
func (a *app) open(ctx context.Context, embedded bool) (*setup.System, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	s, err := setup.Open(ctx, cfg, setup.Options{
		Embedded: embedded, Log: a.logger(), UserConfigDir: setup.UserConfigDir(a.environ),
	})
	_, refused := errors.AsType[interface {
		error
		RedisError()
	}](err)
	if err == nil || refused || errors.Is(err, setup.ErrUnavailable) || errors.Is(err, ledger.ErrMasterKey) {
		return s, err
	}
	return nil, &exitError{exitUsage, err}
}

func (a *app) logger() *slog.Logger {
	return setup.Logger(a.err, "text", slog.LevelWarn)
}

func (a *app) env(name string) string {
	for _, entry := range slices.Backward(a.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// redisName is where Redis is, without its password.
func (a *app) redisName() string {
	if a.cfg == nil {
		return "REDIS_URL"
	}
	url, err := config.ParseRedisURL(a.cfg.RedisURL.Reveal())
	if err != nil {
		return "REDIS_URL"
	}
	return strings.Join(url.Hosts, ",")
}

// connectionLost recognises a Redis that went away in the middle.
func connectionLost(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, io.EOF) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

// terminal reports whether a stream is one that a person looks at.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}
