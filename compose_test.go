package pregon_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"pregon/internal/config"
	"pregon/internal/redistest"
)

// composeFile is the part of docker-compose.yml that holds promises.
type composeFile struct {
	Services map[string]composeService
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type composeService struct {
	Image       string
	Command     []string
	Entrypoint  []string
	Environment map[string]string
	Ports       []string
	Networks    []string
	Volumes     []string
	Secrets     []string
	Profiles    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	Deploy      struct{ Replicas int }
	StopGrace   string `yaml:"stop_grace_period"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	data, err := os.ReadFile("docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c composeFile) service(t *testing.T, name string) composeService {
	t.Helper()
	s, ok := c.Services[name]
	if !ok {
		t.Fatalf("docker-compose.yml has no service %s", name)
	}
	return s
}

// resolve does what compose does with ${NAME:-default} when nothing is set.
func resolve(value string) string {
	if inner, ok := strings.CutPrefix(value, "${"); ok {
		_, value, _ = strings.Cut(strings.TrimSuffix(inner, "}"), ":-")
	}
	return value
}

func TestComposeRedisKeepsEverything(t *testing.T) {
	redis := compose(t).service(t, "redis")
	if len(redis.Ports) > 0 {
		t.Errorf("Redis is published on %v: it holds people and asks for no password", redis.Ports)
	}
	if !slices.ContainsFunc(redis.Volumes, func(v string) bool { return strings.HasSuffix(v, ":/data") }) {
		t.Errorf("Redis writes its file into the container, which is thrown away: volumes are %v", redis.Volumes)
	}
	if !slices.Contains(redis.Healthcheck.Test, "ping") {
		t.Error("nobody knows when Redis has read its file: it has no health check")
	}
	if len(redis.Command) == 0 || redis.Command[0] != "redis-server" {
		t.Fatalf("the command is %q, want redis-server first", redis.Command)
	}
	for option, want := range promisedOptions {
		if got := argument(redis.Command, "--"+option); got != want {
			t.Errorf("redis-server is started with %s %q, want %q", option, got, want)
		}
	}
}

// promisedOptions are the settings of Redis without which rows could be lost, or would take several times their memory.
var promisedOptions = map[string]string{
	"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction",
	"hash-max-listpack-entries": "256", "hash-max-listpack-value": "128",
}

func argument(command []string, option string) string {
	if i := slices.Index(command, option); i >= 0 && i+1 < len(command) {
		return command[i+1]
	}
	return ""
}

// TestARealRedisTakesComposesOptions starts one as compose would, and asks it.
func TestARealRedisTakesComposesOptions(t *testing.T) {
	rdb := redistest.Client(t, redistest.Start(t, compose(t).service(t, "redis").Command[1:]...))
	for option, want := range promisedOptions {
		got, err := rdb.ConfigGet(t.Context(), option).Result()
		if err != nil {
			t.Fatal(err)
		}
		if got[option] != want {
			t.Errorf("%s is %q, want %q", option, got[option], want)
		}
	}
}

func TestComposeStopsWorkersGently(t *testing.T) {
	worker := compose(t).service(t, "worker")
	shutdown, err := time.ParseDuration(resolve(worker.Environment["SHUTDOWN_TIMEOUT"]))
	if err != nil {
		t.Fatal(err)
	}
	grace, err := time.ParseDuration(worker.StopGrace)
	if err != nil {
		t.Fatal(err)
	}
	if grace <= shutdown {
		t.Errorf("a worker may take %s to stop, and is killed after %s: what it was sending would end in doubt",
			shutdown, grace)
	}
	if worker.Deploy.Replicas < 2 {
		t.Errorf("there are %d workers: one that dies must leave another", worker.Deploy.Replicas)
	}
	if got := worker.DependsOn["redis"].Condition; got != "service_healthy" {
		t.Errorf("a worker waits for Redis to be %q, want service_healthy", got)
	}
}

func TestComposeShowsTheQueuesReadOnly(t *testing.T) {
	mon := compose(t).service(t, "asynqmon")
	if !slices.Contains(mon.Command, "--read-only") {
		t.Errorf("asynqmon can archive and delete hints: its command is %v", mon.Command)
	}
	for _, p := range mon.Ports {
		if !strings.HasPrefix(p, "127.0.0.1:") {
			t.Errorf("asynqmon asks nobody who they are, and is published on %s", p)
		}
	}
	for name, profile := range map[string]string{"asynqmon": "dashboard", "simulator": "simulator"} {
		if got := compose(t).service(t, name).Profiles; !slices.Equal(got, []string{profile}) {
			t.Errorf("%s starts with the profiles %v, want %s only", name, got, profile)
		}
	}
}

func TestComposeKeepsRedisOnANetworkWithoutAWayOut(t *testing.T) {
	c := compose(t)
	for _, network := range c.service(t, "redis").Networks {
		if !c.Networks[network].Internal {
			t.Errorf("Redis is on the network %s, which is not internal", network)
		}
	}
	if len(c.service(t, "redis").Networks) == 0 {
		t.Error("Redis is on the default network, which is not internal")
	}
}

// TestComposeConfiguresItsPrograms loads what compose would give each program, its secrets as files.
func TestComposeConfiguresItsPrograms(t *testing.T) {
	c := compose(t)
	for _, name := range []string{"worker", "enqueue"} {
		s := c.service(t, name)
		secrets := t.TempDir()
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s: the secret %s is not defined", name, secret)
			}
			// 64 hex digits will do for any of them.
			content := []byte(strings.Repeat("a1", 32) + "\n")
			if err := os.WriteFile(filepath.Join(secrets, secret), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var environ []string
		for variable, value := range s.Environment {
			value = resolve(value)
			for _, word := range []string{"TOKEN", "MASTER_KEY", "PASSWORD", "LOGIN"} {
				if strings.HasSuffix(variable, word) {
					t.Errorf("%s: %s is in the environment, where docker inspect shows it; use a file", name, variable)
				}
			}
			environ = append(environ, variable+"="+strings.Replace(value, "/run/secrets", secrets, 1))
		}
		cfg, err := config.Load(environ)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cfg.MasterKey.IsZero() || len(cfg.Accounts) != 1 {
			t.Errorf("%s has no master key or not one account: %+v", name, cfg)
		}
	}
}
