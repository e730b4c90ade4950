package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"pregon/campaign"
	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/providers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is every secret of these tests: it must never be in an error.
const canary = "canary-secret-81c4"

// key32 is a configured master key.
const key32 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func load(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	cfg, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func open(t *testing.T, cfg *config.Config, o Options) (*System, error) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Open(ctx, cfg, o)
	if err == nil {
		t.Cleanup(s.Close)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("a secret is in the error: %v", err)
	}
	return s, err
}

func TestMasterKeyByWhereRedisIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env      []string
		embedded bool
		file     bool // the key comes from a file on this machine
		err      error
	}{
		"Loopback":           {env: []string{"REDIS_URL=redis://127.0.0.1:6379"}, file: true},
		"LoopbackByName":     {env: []string{"REDIS_URL=redis://localhost/3"}, file: true},
		"LoopbackV6":         {env: []string{"REDIS_URL=redis://[::1]:6379"}, file: true},
		"Default":            {file: true},
		"Elsewhere":          {env: []string{"REDIS_URL=redis://redis:6379"}, err: ErrNoMasterKey},
		"ElsewhereTLS":       {env: []string{"REDIS_URL=rediss://:" + canary + "@redis.example.com"}, err: ErrNoMasterKey},
		"Sentinel":           {env: []string{"REDIS_URL=redis-sentinel://127.0.0.1:26379,10.0.0.1:26379"}, err: ErrNoMasterKey},
		"Cluster":            {env: []string{"REDIS_URL=redis-cluster://10.0.0.1,10.0.0.2"}, err: ErrNoMasterKey},
		"ElsewhereWithKey":   {env: []string{"REDIS_URL=redis://redis:6379", "MASTER_KEY=" + key32}},
		"LoopbackWithKey":    {env: []string{"MASTER_KEY=" + key32}},
		"Embedded":           {env: []string{"REDIS_URL=embedded"}, embedded: true},
		"EmbeddedByFlag":     {env: []string{"REDIS_URL=redis://redis:6379"}, embedded: true},
		"EmbeddedWithKey":    {env: []string{"REDIS_URL=embedded", "MASTER_KEY=" + key32}, embedded: true},
		"LooksLikeLoopback":  {env: []string{"REDIS_URL=redis://127.0.0.1.example.com"}, err: ErrNoMasterKey},
		"AllAddressesIsNone": {env: []string{"REDIS_URL=redis://0.0.0.0:6379"}, err: ErrNoMasterKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cfg := load(t, c.env...)
			key, err := masterKey(cfg, c.embedded, dir)
			if !errors.Is(err, c.err) || (err == nil && len(key) != ledger.KeySize) {
				t.Fatalf("key of %d bytes, error %v, want %v", len(key), err, c.err)
			}
			again, _ := masterKey(cfg, c.embedded, dir)
			own := c.embedded && cfg.MasterKey.IsZero()
			if err == nil && bytes.Equal(key, again) == own {
				t.Errorf("asked twice, the keys are equal: %v", !own)
			}
			if !cfg.MasterKey.IsZero() && key[31] != 0x1f {
				t.Error("the configured key is not used")
			}
			info, statErr := os.Stat(filepath.Join(dir, "pregon", "master.key"))
			if (statErr == nil) != c.file {
				t.Errorf("key file: %v", statErr)
			}
			if statErr == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("the key file has mode %v", info.Mode())
			}
		})
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	path := filepath.Join(dir, "pregon", "master.key")
	const together = 32
	keys := make([][]byte, together)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range together {
		wg.Go(func() {
			<-start
			key, err := keyFile(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	close(start)
	wg.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) {
			t.Fatal("two programs that start at once have different keys")
		}
	}
	for place, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Stat(place); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v (%v), want %v", place, info.Mode(), err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%d files are left (%v)", len(left), err)
	}
}

func TestKeyFileThatIsNoKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Empty": "", "Cut": key32[:60], "TooLong": key32 + "00", "NotHex": strings.Repeat("x", 64), "Secret": canary,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "pregon", "master.key")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, load(t, "REDIS_URL=redis://127.0.0.1:1"), Options{UserConfigDir: dir})
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore it") {
				t.Errorf("error %v", err)
			}
			if kept, _ := os.ReadFile(path); string(kept) != text {
				t.Error("the damaged key was overwritten: it may be all there is")
			}
		})
	}
	t.Run("WithANewline", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, []byte(key32+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := keyFile(path); err != nil || key[1] != 1 {
			t.Errorf("%v", err)
		}
	})
}

func TestKeyFileThatCannotBe(t *testing.T) {
	t.Parallel()
	cfg := load(t)
	if _, err := masterKey(cfg, false, "some/where"); err == nil || !strings.Contains(err.Error(), "not an absolute path") {
		t.Errorf("a relative directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := masterKey(cfg, false, file); err == nil {
		t.Error("a file for a directory is taken")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "pregon", "master.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := masterKey(cfg, false, dir); err == nil {
		t.Error("a directory for a key is taken")
	}
}

func TestUserConfigDir(t *testing.T) {
	t.Parallel()
	if got := UserConfigDir([]string{"A=1", "XDG_CONFIG_HOME=/a", "XDG_CONFIG_HOME=/b"}); got != "/b" {
		t.Errorf("%q: the last one counts", got)
	}
	if got := UserConfigDir([]string{"HOME=/a", "MY_XDG_CONFIG_HOME=/b"}); got != "" {
		t.Errorf("%q", got)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.RequireUserAuth("ana", canary)
	at := func(auth string) string { return "REDIS_URL=redis://" + auth + m.Addr() + "/0" }
	for name, c := range map[string]struct {
		env []string
		err error
	}{
		"Works":         {[]string{at("ana:" + canary + "@")}, nil},
		"NoPassword":    {[]string{at("")}, ErrUnavailable},
		"WrongPassword": {[]string{at("ana:" + canary + "x@")}, ErrUnavailable},
		"Nobody":        {[]string{"REDIS_URL=redis://:" + canary + "@127.0.0.1:1"}, ErrUnavailable},
		"NotRedisTLS":   {[]string{"REDIS_URL=rediss://ana:" + canary + "@" + m.Addr()}, ErrUnavailable},
		"NoKey":         {[]string{"REDIS_URL=redis://:" + canary + "@192.0.2.1"}, ErrNoMasterKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := open(t, load(t, c.env...), Options{UserConfigDir: t.TempDir()})
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if err := s.Ledger.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if text := fmt.Sprintf("%+v %#v", s.Config, s.Config); strings.Contains(text, canary) {
				t.Errorf("the configuration shows its secrets: %s", text)
			}
		})
	}
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, load(t), Options{UserConfigDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestDatabaseNumber(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	s, err := open(t, load(t, "REDIS_URL=redis://"+m.Addr()+"/5"), Options{UserConfigDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Redis.Set(t.Context(), "here", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := m.DB(5).Get("here"); err != nil || got != "1" {
		t.Errorf("not in database 5: %v", err)
	}
}

func TestEmbeddedKeysExpire(t *testing.T) {
	t.Parallel()
	s, err := open(t, load(t, "REDIS_URL=redis://redis.example.com"), Options{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Embedded {
		t.Error("it does not say that it is embedded")
	}
	ctx := t.Context()
	began := time.Now()
	for key, life := range map[string]time.Duration{"short": 700 * time.Millisecond, "long": time.Hour} {
		if err := s.Redis.Set(ctx, key, "1", life).Err(); err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.Redis.Exists(ctx, "short").Val() == 1 {
		<-tick.C
		if time.Since(began) > 20*time.Second {
			t.Fatal("the key does not expire")
		}
	}
	// A tick may have been on its way when the key was set; no more than that.
	if lived := time.Since(began); lived < 700*time.Millisecond-2*embeddedTick {
		t.Errorf("it expired after %s", lived)
	}
	left, err := s.Redis.TTL(ctx, "long").Result()
	if passed := time.Since(began); err != nil || left > time.Hour || left < time.Hour-passed-2*embeddedTick-time.Second {
		t.Errorf("%s left of an hour after %s (%v)", left, passed, err)
	}
}

func TestEmbeddedRedisesAreApart(t *testing.T) {
	t.Parallel()
	cfg := load(t, "REDIS_URL=embedded")
	one, err := open(t, cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := open(t, cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Redis.Set(t.Context(), "k", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if two.Redis.Exists(t.Context(), "k").Val() != 0 {
		t.Error("two processes' worth of Redis are one")
	}
	one.Close()
	one.Close() // again, as a deferred call would
	if one.Redis.Ping(t.Context()).Err() == nil {
		t.Error("it answers after Close")
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "accounts.yaml")
	text := "accounts:\n  - name: norte\n    provider: contactovirtual\n    login: ${L}\n    token: ${T}\n    rate: 2.5\n    burst: 3\n" +
		"    cost: 0.06\n    templates:\n      \"990\": {name: Cita, text: \"Hola {1}\"}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, "ACCOUNTS_FILE="+path, "L="+canary, "T="+canary, "CONTACTOVIRTUAL_LOGIN="+canary, "CONTACTOVIRTUAL_TOKEN="+canary)
	accounts, err := Accounts(cfg)
	if err != nil || len(accounts) != 2 {
		t.Fatalf("%d accounts: %v", len(accounts), err)
	}
	a := accounts[0]
	if a.Name != "norte" || a.Rate != 2.5 || a.Burst != 3 || a.Cost == nil || *a.Cost != 0.06 || a.Provider.Name() != "contactovirtual" {
		t.Errorf("%+v", a)
	}
	if got, want := a.Templates["990"], (campaign.Template{ID: "990", Name: "Cita", Text: "Hola {1}"}); got != want {
		t.Errorf("template %+v", got)
	}
	if b := accounts[1]; b.Name != "contactovirtual" || b.Rate != config.DefaultRate || b.Burst != 1 || b.Cost != nil {
		t.Errorf("%+v", b)
	}
	if shown := fmt.Sprintf("%v %+v %#v", accounts, a, a.Provider); strings.Contains(shown, canary) {
		t.Errorf("a printed account shows its secrets: %s", shown)
	}
}

func TestAccountsRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]config.Account{
		"Provider": {Name: "x", Provider: "pigeon"},
		"NoLogin":  {Name: "x", Provider: config.ContactoVirtual, URL: "https://example.com", Token: providers.NewSecret(canary)},
		"URL": {Name: "x", Provider: config.ContactoVirtual, URL: "ftp://" + canary, Login: providers.NewSecret("a"),
			Token: providers.NewSecret(canary)},
	} {
		_, err := Accounts(&config.Config{Accounts: []config.Account{a}, WorkerConcurrency: 1})
		if err == nil || !strings.Contains(err.Error(), `account "x"`) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for format, begin := range map[string]string{"json": `{"time"`, "auto": `{"time"`, "text": ""} {
		var b strings.Builder
		log := Logger(&b, format, slog.LevelInfo)
		log.DebugContext(t.Context(), "not this")
		log.InfoContext(t.Context(), "this", "row", 3)
		if got := b.String(); !strings.HasPrefix(got, begin) || strings.Contains(got, "not this") || !strings.Contains(got, "this") ||
			strings.Contains(got, "\x1b") {
			t.Errorf("%s: %q", format, got)
		}
		if text := b.String(); format == "text" && strings.HasPrefix(text, "{") {
			t.Errorf("text is %q", text)
		}
	}
}
