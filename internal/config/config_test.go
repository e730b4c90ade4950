package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pregon/providers"
)

// canary stands for every secret in these tests, and may appear in no output and no complaint.
const canary = "c4n4ry"

var secret = providers.NewSecret

// write puts a file into a directory of the test and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, environ ...string) *Config {
	t.Helper()
	c, err := Load(environ)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestAnEmptyEnvironmentGivesTheDocumentedDefaults(t *testing.T) {
	want := &Config{
		RedisURL: secret("redis://localhost:6379/0"), Accounts: []Account{}, WorkerConcurrency: 256,
		ShutdownTimeout: 75 * time.Second, LogFormat: "auto", Lang: "es",
	}
	if diff := cmp.Diff(want, mustLoad(t)); diff != "" {
		t.Error(diff)
	}
	// Compose passes variables that nobody set as empty ones.
	empty := mustLoad(t, "REDIS_URL=", "SHUTDOWN_TIMEOUT=", "WORKER_CONCURRENCY=", "LOG_FORMAT=",
		"CONTACTOVIRTUAL_RATE=", "MASTER_KEY=", "ACCOUNTS_FILE=")
	if diff := cmp.Diff(want, empty); diff != "" {
		t.Error("set but empty: " + diff)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	key := bytes.Repeat([]byte{7, 200}, 16)
	token := write(t, "token", canary+"\r\n")
	got := mustLoad(t, "REDIS_URL=rediss://user:"+canary+"@redis.example:6380/2", "MASTER_KEY="+hex.EncodeToString(key),
		"WORKER_CONCURRENCY=8", "SHUTDOWN_TIMEOUT=2m", "ADMIN_ADDR=:9091", "JOURNAL_DIR=/var/lib/pregon", "LOG_FORMAT=json", "PREGON_LANG=en",
		"CONTACTOVIRTUAL_URL=http://127.0.0.1:9090/", "CONTACTOVIRTUAL_LOGIN=ana@example.com",
		"CONTACTOVIRTUAL_TOKEN_FILE="+token, "CONTACTOVIRTUAL_RATE=2.5", "CONTACTOVIRTUAL_BURST=3",
		"CONTACTOVIRTUAL_COST=0", "CONTACTOVIRTUAL_ENCODING=multipart")
	want := &Config{
		RedisURL: secret("rediss://user:" + canary + "@redis.example:6380/2"), MasterKey: secret(string(key)),
		WorkerConcurrency: 8, ShutdownTimeout: 2 * time.Minute, AdminAddr: ":9091", JournalDir: "/var/lib/pregon", LogFormat: "json", Lang: "en",
		Accounts: []Account{{
			Name: "contactovirtual", Provider: "contactovirtual", URL: "http://127.0.0.1:9090",
			Login: secret("ana@example.com"), Token: secret(canary), Rate: 2.5, Burst: 3,
			Cost: new(float64), Encoding: "multipart",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAllComplaintsComeAtOnceAndNameTheirVariables(t *testing.T) {
	_, err := Load([]string{
		"REDIS_URL=http://u:" + canary + "@x", "MASTER_KEY=" + canary, "WORKER_CONCURRENCY=many",
		"SHUTDOWN_TIMEOUT=70s", "ADMIN_ADDR=9091", "LOG_FORMAT=xml",
		"ACCOUNTS_FILE=" + filepath.Join(t.TempDir(), "absent.yml"),
		"CONTACTOVIRTUAL_URL=ftp://u:" + canary + "@x", "CONTACTOVIRTUAL_RATE=0", "CONTACTOVIRTUAL_BURST=1.5",
		"CONTACTOVIRTUAL_COST=-1", "CONTACTOVIRTUAL_ENCODING=json",
		"CONTACTOVIRTUAL_TOKEN=" + canary, "CONTACTOVIRTUAL_TOKEN_FILE=/run/secrets/token",
	})
	if err == nil {
		t.Fatal("nothing was refused")
	}
	for _, name := range []string{
		"REDIS_URL", "MASTER_KEY", "WORKER_CONCURRENCY", "SHUTDOWN_TIMEOUT", "ADMIN_ADDR", "LOG_FORMAT",
		"ACCOUNTS_FILE", "CONTACTOVIRTUAL_URL", "CONTACTOVIRTUAL_RATE", "CONTACTOVIRTUAL_BURST", "CONTACTOVIRTUAL_COST",
		"CONTACTOVIRTUAL_ENCODING", "CONTACTOVIRTUAL_TOKEN", "CONTACTOVIRTUAL_LOGIN",
	} {
		if n := strings.Count("\n"+err.Error(), "\n"+name+": "); n != 1 {
			t.Errorf("%s begins %d complaints, want 1", name, n)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Error("a secret is in the complaints")
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	const login = "CONTACTOVIRTUAL_LOGIN=ana@example.com"
	tests := []struct {
		name    string
		environ []string
		want    string // A part of the complaint.
	}{
		{"a shutdown that cuts requests off", []string{"SHUTDOWN_TIMEOUT=1m10s"}, "give more than 1m10s"},
		{"a bare number as a duration", []string{"SHUTDOWN_TIMEOUT=90"}, `SHUTDOWN_TIMEOUT: "90" cannot be read`},
		{"no concurrency", []string{"WORKER_CONCURRENCY=0"}, "from 1 to 10000"},
		{"a login without a token", []string{login}, "CONTACTOVIRTUAL_TOKEN: it is missing"},
		{"a rate alone", []string{"CONTACTOVIRTUAL_RATE=5"}, "CONTACTOVIRTUAL_LOGIN: it is missing"},
		{"a rate above every provider's", []string{"CONTACTOVIRTUAL_RATE=1000.1"}, "up to 1000"},
		{"a rate that is no number", []string{"CONTACTOVIRTUAL_RATE=NaN"}, "CONTACTOVIRTUAL_RATE"},
		{"an infinite price", []string{"CONTACTOVIRTUAL_COST=Inf"}, "CONTACTOVIRTUAL_COST"},
		{"a price with a comma", []string{"CONTACTOVIRTUAL_COST=0,06"}, "decimal point"},
		{"an address with a query", []string{"CONTACTOVIRTUAL_URL=https://x/?token=" + canary}, "plain root"},
		{"a token of two lines", []string{login, "CONTACTOVIRTUAL_TOKEN=" + canary + "\n" + canary}, "one line"},
		{"a token with a space", []string{login, "CONTACTOVIRTUAL_TOKEN= " + canary}, "space"},
		{"a token file that is absent", []string{login, "CONTACTOVIRTUAL_TOKEN_FILE=/absent"}, "TOKEN_FILE"},
		{"a token file that is a directory", []string{login, "CONTACTOVIRTUAL_TOKEN_FILE=/"}, "cannot be read"},
		{"a key that is too short", []string{"MASTER_KEY=00ff"}, "openssl rand"},
		{"two addresses for Redis", []string{"REDIS_URL=embedded", "REDIS_URL_FILE=/x"}, "unset one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(tt.environ)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a complaint with %q", err, tt.want)
			}
			if c != nil {
				t.Error("a Config came with a complaint")
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("a secret is in the complaint: %v", err)
			}
		})
	}
}

func TestACredentialThatWasRefusedIsNotAlsoMissing(t *testing.T) {
	_, err := Load([]string{"CONTACTOVIRTUAL_LOGIN=ana", "CONTACTOVIRTUAL_TOKEN_FILE=/absent"})
	if err == nil || strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v, want the file's complaint alone", err)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	key := strings.Repeat("ab", 32)
	c := mustLoad(t, "MASTER_KEY_FILE="+write(t, "key", key+"\n"), "REDIS_URL_FILE="+write(t, "url", "redis://h/1\n"))
	if got := hex.EncodeToString([]byte(c.MasterKey.Reveal())); got != key {
		t.Errorf("the key is not the file's")
	}
	if got := c.RedisURL.Reveal(); got != "redis://h/1" {
		t.Errorf("Redis is at %q, not where the file says", got)
	}
	if _, err := Load([]string{"MASTER_KEY_FILE=" + write(t, "key", "\n")}); err == nil ||
		!strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty secret file: %v", err)
	}
	if _, err := Load([]string{"MASTER_KEY_FILE=" + write(t, "key", strings.Repeat("x", maxFile+1))}); err == nil ||
		!strings.Contains(err.Error(), "larger") {
		t.Errorf("a huge secret file: %v", err)
	}
}

func TestTheMasterKeyIsReadInEveryCommonSpelling(t *testing.T) {
	key := []byte("\xff\xfe\xfd0123456789abcdefghijklmnop\xfb\xfa\xf9")
	for name, written := range map[string]string{
		"hex":                hex.EncodeToString(key),
		"capital hex":        strings.ToUpper(hex.EncodeToString(key)),
		"base64":             base64.StdEncoding.EncodeToString(key),
		"base64 unpadded":    base64.RawStdEncoding.EncodeToString(key),
		"base64 for URLs":    base64.URLEncoding.EncodeToString(key),
		"the same, unpadded": base64.RawURLEncoding.EncodeToString(key),
	} {
		if c := mustLoad(t, "MASTER_KEY="+written); c.MasterKey.Reveal() != string(key) {
			t.Errorf("%s: another key was read", name)
		}
	}
}

func TestTheLanguageIsSpanishUnlessEnglishIsAskedFor(t *testing.T) {
	for environ, want := range map[string]string{
		"LANG=en_US.UTF-8": "en", "LANG=C.UTF-8": "es", "LANG=POSIX": "es", "LANG=fr_FR": "es",
		"LANG=es_CO.UTF-8": "es", "LC_ALL=C LANG=en_US.UTF-8": "es", "LC_ALL=en_GB LANG=es_CO": "en",
		"PREGON_LANG=es LC_ALL=en_US": "es",
		"PREGON_LANG=EN":              "en", "LC_ALL= LANG=en": "en", "": "es",
	} {
		if c := mustLoad(t, strings.Fields(environ)...); c.Lang != want {
			t.Errorf("%q gives %s, want %s", environ, c.Lang, want)
		}
	}
}

func TestAPrintedConfigShowsNoSecret(t *testing.T) {
	key := canary + strings.Repeat("k", 32-len(canary))
	c := mustLoad(t, "REDIS_URL=redis://:"+canary+"@h", "MASTER_KEY="+hex.EncodeToString([]byte(key)),
		"CONTACTOVIRTUAL_LOGIN="+canary+"@example.com", "CONTACTOVIRTUAL_TOKEN="+canary)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logs, nil), slog.NewTextHandler(&logs, nil)} {
		slog.New(h).Info("configuration", "config", c, "value", *c, "accounts", c.Accounts)
	}
	redis, err := ParseRedisURL(c.RedisURL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		string(asJSON), logs.String(), fmt.Sprint(c, *c, c.Accounts), fmt.Sprintf("%v %+v %#v", c, c, c),
		fmt.Sprintf("%v %+v %#v", *c, *c, *c), fmt.Sprintf("%v %+v %#v", redis, redis, redis),
		fmt.Sprintf("%s %q %x", c.MasterKey, c.RedisURL, c.Accounts[0].Token),
	} {
		for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), "0x63, 0x34, 0x6e"} {
			if strings.Contains(out, form) {
				t.Errorf("a secret is shown: %s", out)
			}
		}
	}
}
