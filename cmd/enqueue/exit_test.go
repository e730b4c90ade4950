package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pregon/internal/config"
	"pregon/providers/simulator"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	ok := h.file("dos.csv", people(2))
	for name, c := range map[string]struct {
		args   []string
		es, en string
	}{
		"UnknownCommand":  {[]string{"frob"}, `No existe el comando "frob"`, `There is no command "frob"`},
		"MisspeltCommand": {[]string{"statsu"}, "¿Quiso decir status?", "Did you mean status?"},
		"UnknownFlag":     {[]string{"check", ok, "--frob"}, "No existe la opción --frob", "There is no flag --frob"},
		"UnknownLetter":   {[]string{"check", ok, "-q"}, "No existe la opción", "There is no flag"},
		"FlagWithout":     {[]string{"check", ok, "--phone"}, "Falta el valor de la opción --phone", "The flag --phone lacks its value"},
		"FlagOfWrongType": {[]string{"check", ok, "--header", "dos"}, "No sirve el valor \"dos\"", "This value is of no use: \"dos\""},
		"NoFile":          {[]string{"check"}, "Falta un dato. Se usa así: enqueue check FILE", "Something is missing"},
		"TwoFiles":        {[]string{"check", ok, "otro.csv"}, `Sobra "otro.csv"`, `There is no place for "otro.csv"`},
		"ListTakesNone":   {[]string{"list", "x"}, `Sobra "x"`, `There is no place for "x"`},
		"NoName":          {[]string{"run", ok, "--template", "991"}, "--name", "--name"},
		"BlankName":       {[]string{"run", ok, "--template", "991", "--name", "  "}, "--name", "--name"},
		"NoTemplate":      {[]string{"run", ok, "--name", "A"}, "Falta la plantilla", "The template is missing"},
		"BlankTemplate":   {[]string{"run", ok, "--name", "A", "--template", " "}, "Falta la plantilla", "The template is missing"},
		"Purpose":         {launching(ok, "A", "--purpose", "amistad"), "«amistad» no es un propósito", "amistad"},
		"Time":            {launching(ok, "A", "--at", "mañana"), `--at "mañana" no es una fecha con hora`, "is no date"},
		"NegativeRate":    {launching(ok, "A", "--rate", "-1"), "--rate -1: escriba mensajes por segundo", "--rate -1: write"},
		"RateNaN":         {launching(ok, "A", "--rate", "NaN"), "--rate NaN", "--rate NaN"},
		"RateInf":         {launching(ok, "A", "--rate", "Inf"), "--rate +Inf", "--rate +Inf"},
		"TinyRate":        {launching(ok, "A", "--rate", "1e-300"), "--rate 1e-300", "--rate 1e-300"},
		"Duplicates":      {[]string{"check", ok, "--duplicates", "some"}, "drop", "drop (only the first)"},
		"Var":             {[]string{"check", ok, "--var", "Nombre"}, "No entendimos «Nombre»", "We did not understand"},
		"Default":         {[]string{"check", ok, "--default", "x"}, "1=cliente", "1=customer"},
		"Country":         {[]string{"check", ok, "--country", "NARNIA"}, "«NARNIA»", "NARNIA"},
		"NoSuchColumn":    {[]string{"check", ok, "--phone", "Fax"}, "«Nombre»", "Nombre"},
		"Account":         {[]string{"balance", "--account", "otra"}, `No hay una cuenta "otra"`, `There is no account "otra"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := *h
			h.t = t
			h.do(c.args...).exits(exitUsage).silent().says("enqueue: ", c.es)
			h.with("PREGON_LANG=en").do(append([]string{"--json"}, c.args...)...).exits(exitUsage).silent().says("enqueue: ", c.en)
		})
	}
	t.Cleanup(h.untouched)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	h := &house{t: t}
	commands := []string{"check", "run", "status", "list", "pause", "resume", "cancel", "doubt", "retry", "results", "balance", "templates",
		"demo"}
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		h.do(args...).exits(exitOK).shows("nunca dos veces, ninguna perdida", "130 interrumpido").shows(commands...)
		h.with("LANG=en_GB").do(args...).exits(exitOK).shows("never twice, none lost", "130 interrupted").shows(commands...)
	}
	for _, c := range commands {
		h.do(c, "--help").exits(exitOK).shows("enqueue " + c)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	for name, c := range map[string]struct {
		env     []string
		english bool
	}{
		"Colombian":       {[]string{"LANG=es_CO.UTF-8"}, false},
		"NobodyAsks":      {[]string{"LANG="}, false},
		"Container":       {[]string{"LANG=C"}, false},
		"ContainerUTF8":   {[]string{"LANG=C.UTF-8", "LC_ALL=POSIX"}, false},
		"English":         {[]string{"LANG=en_US.UTF-8"}, true},
		"OursComesFirst":  {[]string{"LANG=es_CO.UTF-8", "LC_ALL=es_CO.UTF-8", "PREGON_LANG=en"}, true},
		"OursIsSpanish":   {[]string{"LANG=en_US.UTF-8", "PREGON_LANG=es"}, false},
		"AllBeforeLang":   {[]string{"LANG=es_CO.UTF-8", "LC_ALL=en_US.UTF-8"}, true},
		"AnotherLanguage": {[]string{"LANG=fr_FR.UTF-8"}, false},
	} {
		want, other := "No hay campañas.", "There are no campaigns."
		if c.english {
			want, other = other, want
		}
		h := *h
		h.t = t
		o := h.with(c.env...).do("list").exits(exitOK)
		if !strings.Contains(o.out, want) || strings.Contains(o.out, other) {
			t.Errorf("%s: %q, want %q", name, o.out, want)
		}
	}
}

func TestNoRedis(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{}).with("REDIS_URL=redis://:" + password + "@127.0.0.1:1/0")
	path := h.file("dos.csv", people(2))
	for _, args := range [][]string{
		{"list"}, {"status"}, {"status", "x", "--follow"}, {"pause", "x"}, {"resume", "x", "--json"}, {"cancel", "x"}, {"results", "x"},
		{"doubt", "x"}, {"doubt", "x", "--rows", "all", "--decide", "sent", "--yes"}, {"retry", "x"}, {"status", "x", "--row", "2"},
		launching(path, "A", "--json"), {"list", "--json"},
	} {
		h.do(args...).exits(exitUnavailable).silent().says("No hay conexión con Redis (127.0.0.1:1)", "REDIS_URL", "enqueue demo")
	}
	o := h.with("PREGON_LANG=en").do(launching(path, "A")...).exits(exitUnavailable)
	o.says("Redis cannot be reached (127.0.0.1:1)", "connection refused")
	if strings.Count(o.err, "\n") > 2 {
		t.Errorf("more than the person needs:\n%s", o.err)
	}
	h.sent(0)
}

func TestRedisThatRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.redis.RequireAuth(password)
	h.do("list").exits(exitUnavailable).silent().says("NOAUTH")
	wrong := h.with("REDIS_URL=redis://:" + password + "x@" + h.redis.Addr())
	wrong.do("list").exits(exitUnavailable).silent()
	h.with("REDIS_URL=redis://:" + password + "@" + h.redis.Addr()).do("list").exits(exitOK)
}

func TestConfigurationIsRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{}).with(
		"REDIS_URL=http://x:"+password+"@y", "CONTACTOVIRTUAL_RATE=many", "CONTACTOVIRTUAL_TOKEN=", "MASTER_KEY=canary", "LOG_FORMAT=xml")
	for _, args := range [][]string{{"list"}, {"balance"}, {"check", promo}, launching(promo, "A")} {
		o := h.do(args...).exits(exitUsage).silent()
		o.says("REDIS_URL", "CONTACTOVIRTUAL_RATE", "CONTACTOVIRTUAL_TOKEN", "MASTER_KEY", "LOG_FORMAT")
	}
	h.untouched()
	nobody := newHouse(t, simulator.Options{})
	nobody.env = nobody.env[:4]
	nobody.do(launching(promo, "A")...).exits(exitUsage).silent().says("No hay ninguna cuenta configurada", "CONTACTOVIRTUAL_LOGIN")
	nobody.do("balance").exits(exitUsage).silent().says("No hay ninguna cuenta configurada")
	nobody.do("list").exits(exitOK)
}

func TestMasterKeyIsAskedForElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{}).with("REDIS_URL=redis://192.0.2.1:6379") // nobody has this address
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	h.doWith(ctx, strings.NewReader(""), "list").exits(exitUsage).silent().says("MASTER_KEY", "openssl rand -hex 32")
}

func TestDamagedMasterKeyIsUsage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	dir := setupDir(h)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.do(launching(h.file("dos.csv", people(2)), "A")...).exits(exitUsage).says("master.key", "restore it")
	h.untouched()
}

// setupDir is where the house keeps its master key.
func setupDir(h *house) string {
	for _, e := range h.env {
		if dir, ok := strings.CutPrefix(e, "XDG_CONFIG_HOME="); ok {
			return filepath.Join(dir, "pregon")
		}
	}
	h.t.Fatal("no XDG_CONFIG_HOME")
	return ""
}

func TestWhatIsDamagedInRedisIsUnexpected(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	id := h.launched(h.file("dos.csv", people(2)), "Rota")
	h.redis.HSet("pregon:{"+id+"}:counts", "queued", "garbage")
	h.do("status", id).exits(exitUnexpected).silent().says("damaged")
	h.do("list", "--json").exits(exitUnexpected).silent()
}

func TestInterruptedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"balance"}, {"templates", "--json"}, {"list"}, {"status", "x"}, {"check", promo}, launching(promo, "A"), launching(promo, "A", "--dry-run"),
		{"demo"},
	} {
		h.doWith(over, strings.NewReader(""), args...).exits(exitInterrupted).says("Interrumpido")
	}
	h.untouched()
}

func TestOutsideContactHours(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	h.work()
	path := h.file("dos.csv", people(2))
	doc := checkShape(h.do("run", path, "--name", "Horario", "--template", "991", "--json").exits(exitOK), runNames)
	h.eventually("the worker looks at the hours", func() bool {
		s := statusOf(h.do("status", doc.Campaign, "--json"))
		return s.State == "finished" || (s.State == "paused" && s.Reason == "window")
	})
	s := statusOf(h.do("status", doc.Campaign, "--json"))
	now := time.Now()
	if s.State == "paused" {
		h.do("status", doc.Campaign).exits(exitOK).shows("fuera del horario permitido; sigue sola", "Sigue el 20", "(hora de Colombia)")
		if doc.Plan.FinishesAt == nil || doc.Plan.FinishesAt.Before(now) {
			t.Errorf("the plan ends at %v although nobody may be contacted", doc.Plan.FinishesAt)
		}
		h.sent(0)
		return
	}
	h.sent(2)
}

// eventually looks every few milliseconds until something holds.
func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			h.t.Fatalf("not in %s: %s", deadline, what)
		case <-tick.C:
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v      float64
		es, en string
	}{
		{0, "0", "0"}, {1, "1", "1"}, {999, "999", "999"}, {1000, "1.000", "1,000"}, {1e6, "1.000.000", "1,000,000"},
		{123456.5, "123.456,5", "123,456.5"}, {0.06 * 54, "3,24", "3.24"}, {-1234, "-1.234", "-1,234"}, {-12, "-12", "-12"},
		{1e15, "1.000.000.000.000.000", "1,000,000,000,000,000"}, {0.00001, "0", "0"}, {-0.00001, "0", "0"},
	} {
		if got := (&app{lang: "es"}).amount(c.v); got != c.es {
			t.Errorf("%g in Spanish is %q, want %q", c.v, got, c.es)
		}
		if got := (&app{lang: "en"}).amount(c.v); got != c.en {
			t.Errorf("%g in English is %q, want %q", c.v, got, c.en)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"http://127.0.0.1:9090": true, "http://localhost": true, "http://[::1]:80": true, "http://127.9.9.9": true, "http://LOCALHOST": true,
		"https://contacto-virtual.com": false, "http://127.0.0.1.example.com": false, "http://localhost.example.com": false,
		"http://0.0.0.0": false, "http://10.0.0.1": false, "http://example.com/127.0.0.1": false, "::": false,
	} {
		if got := loopback(url); got != want {
			t.Errorf("loopback(%q) = %v", url, got)
		}
	}
	if _, err := config.Load(nil); err != nil {
		t.Errorf("nothing configured is refused: %v", err)
	}
}
