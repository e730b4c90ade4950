package setup

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"pregon/internal/redistest"
)

// verdict checks what was found wrong (a part of each sentence, in order) and which commands mend it, up to the address.
func verdict(t *testing.T, err error, wrong, mend []string) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("a secret is in the error: %v", err)
	}
	if len(wrong) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	found, ok := errors.AsType[*NotDurable](err)
	if !ok {
		t.Fatalf("%v, want a refusal for %q", err, wrong)
	}
	if !slices.EqualFunc(found.Wrong, wrong, strings.Contains) {
		t.Errorf("wrong is %q,\nwant %q", found.Wrong, wrong)
	}
	if !slices.EqualFunc(found.Mend, mend, strings.Contains) {
		t.Errorf("mended by %q,\nwant %q", found.Mend, mend)
	}
	for _, line := range slices.Concat(found.Wrong, found.Mend) {
		if !strings.Contains(err.Error(), "\n  "+line) {
			t.Errorf("the error does not say %q:\n%v", line, err)
		}
	}
}

func TestRedisMustKeepWhatItConfirmed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args                []string
		wrong, mend, advice []string
	}{
		"Always":    {args: []string{"--appendfsync", "always"}},
		"EverySec":  {advice: []string{"appendfsync is everysec"}},
		"Limit":     {args: []string{"--maxmemory", "100mb"}, advice: []string{"everysec"}},
		"NoAOF":     {args: []string{"--appendonly", "no"}, wrong: []string{"appendonly is no, and must be yes"}, mend: []string{" CONFIG SET appendonly yes", "CONFIG REWRITE"}, advice: []string{"everysec"}},
		"Evicts":    {args: []string{"--maxmemory-policy", "allkeys-lru"}, wrong: []string{"maxmemory-policy is allkeys-lru, and must be noeviction"}, mend: []string{" CONFIG SET maxmemory-policy noeviction", "CONFIG REWRITE"}, advice: []string{"everysec"}},
		"Volatile":  {args: []string{"--maxmemory-policy", "volatile-ttl"}, wrong: []string{"maxmemory-policy is volatile-ttl"}, mend: []string{"noeviction", "REWRITE"}, advice: []string{"everysec"}},
		"NeverSync": {args: []string{"--appendfsync", "no"}, wrong: []string{"appendfsync is no, and must be always"}, mend: []string{" CONFIG SET appendfsync always", "REWRITE"}},
		"AllWrong":  {args: []string{"--appendonly", "no", "--appendfsync", "no", "--maxmemory-policy", "allkeys-random"}, wrong: []string{"maxmemory-policy", "appendonly", "appendfsync"}, mend: []string{"maxmemory-policy", "appendonly", "appendfsync", "REWRITE"}},
		"NoCONFIG":  {args: []string{"--rename-command", "CONFIG", ""}, advice: []string{"appendfsync cannot be read"}},
		"NoCONFIGNoAOF": {args: []string{"--rename-command", "CONFIG", "", "--appendonly", "no", "--maxmemory-policy", "allkeys-lfu"},
			wrong: []string{"maxmemory-policy is allkeys-lfu", "appendonly is no"}, mend: []string{"maxmemory-policy", "appendonly", "REWRITE"}, advice: []string{"appendfsync cannot be read"}},
		"NoINFO": {args: []string{"--rename-command", "INFO", ""}, wrong: []string{"INFO is refused"}, advice: []string{"everysec"}},
		"Neither": {args: []string{"--rename-command", "INFO", "", "--rename-command", "CONFIG", ""},
			wrong: []string{"INFO is refused", "maxmemory-policy cannot be read", "appendonly cannot be read"}, advice: []string{"appendfsync cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redistest.Client(t, redistest.Start(t, c.args...))
			advice, err := Durability(t.Context(), rdb)
			verdict(t, err, c.wrong, c.mend)
			if !slices.EqualFunc(advice, c.advice, strings.Contains) {
				t.Errorf("advice %q, want %q", advice, c.advice)
			}
			if name == "AllWrong" { // the lines are what mends it
				mend(t, rdb, err)
			}
		})
	}
}

// mend does what a person would do with the commands of a refusal, and looks again.
func mend(t *testing.T, rdb redis.UniversalClient, refusal error) {
	t.Helper()
	found, _ := errors.AsType[*NotDurable](refusal)
	for _, line := range found.Mend {
		_, set, ok := strings.Cut(line, " CONFIG SET ")
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(set, " ")
		if err := rdb.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if advice, err := Durability(t.Context(), rdb); err != nil || len(advice) > 0 {
		t.Errorf("after %q: %v, %q", found.Mend, err, advice)
	}
}

// TestAUserWhoMayNotAskForSettings connects as people do who were given a Redis and not its keys.
func TestAUserWhoMayNotAskForSettings(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t)
	admin := redistest.Client(t, addr)
	for name, c := range map[string]struct {
		user          string
		rules         []any
		wrong, advice []string
	}{
		"MayAsk":   {"a", []any{"+@all"}, nil, []string{"everysec"}},
		"NoCONFIG": {"b", []any{"+@all", "-config"}, nil, []string{"appendfsync cannot be read"}},
		"NoINFO":   {"c", []any{"+@all", "-info"}, []string{"INFO is refused"}, []string{"everysec"}},
		"Neither":  {"d", []any{"+@all", "-config", "-info"}, []string{"INFO is refused", "maxmemory-policy cannot be read", "appendonly cannot be read"}, []string{"appendfsync cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := append([]any{"ACL", "SETUSER", c.user, "on", ">" + canary, "~*", "&*"}, c.rules...)
			if err := admin.Do(t.Context(), set...).Err(); err != nil {
				t.Fatal(err)
			}
			s, err := open(t, load(t, "MASTER_KEY="+key32, "REDIS_URL=redis://"+c.user+":"+canary+"@"+addr), Options{})
			if err != nil {
				t.Fatal(err)
			}
			verdict(t, s.Durable(t.Context()), c.wrong, nil)
			if advice, _ := Durability(t.Context(), s.Redis); !slices.EqualFunc(advice, c.advice, strings.Contains) {
				t.Errorf("advice %q, want %q", advice, c.advice)
			}
		})
	}
}

// fake is a Redis that answers INFO and CONFIG GET, and nothing else, as a real one does at bad moments.
func fake(t *testing.T, info, config string) *redis.Client {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	answer := func(text string, ok func(*server.Peer, []string)) server.Cmd {
		return func(p *server.Peer, _ string, args []string) {
			if refusal, isError := strings.CutPrefix(text, "-"); isError {
				p.WriteError(refusal)
				return
			}
			ok(p, args)
		}
	}
	err = errors.Join(
		s.Register("INFO", answer(info, func(p *server.Peer, _ []string) { p.WriteBulk(info) })),
		s.Register("CONFIG", answer(config, func(p *server.Peer, args []string) {
			for entry := range strings.FieldsSeq(config) {
				if name, value, _ := strings.Cut(entry, ":"); name == args[len(args)-1] {
					p.WriteMapLen(1)
					p.WriteBulk(name)
					p.WriteBulk(value)
					return
				}
			}
			p.WriteMapLen(0)
		})),
	)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr().String(), MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func TestWhatRedisSaysOfItself(t *testing.T) {
	t.Parallel()
	const (
		info   = "# Server\r\nrun_id:5e2f\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\naof_last_write_status:ok\r\n"
		config = "maxmemory-policy:noeviction appendonly:yes appendfsync:always"
	)
	for name, c := range map[string]struct {
		info, config string
		wrong, mend  []string
		unknown      bool // nothing was learnt
	}{
		"Good":              {info: info, config: config},
		"ConfigGone":        {info: info, config: "-ERR unknown command 'CONFIG'"},
		"ConfigEmpty":       {info: info},
		"ConfigOtherwise":   {info: info, config: "-unsupported command"}, // a proxy
		"DiskFull":          {info: strings.Replace(info, "write_status:ok", "write_status:err", 1), config: config, wrong: []string{`aof_last_write_status is "err"`}},
		"NoWriteStatus":     {info: strings.Replace(info, "aof_last", "other", 1), config: config, wrong: []string{"aof_last_write_status"}},
		"SaysYesAndDoesNot": {info: strings.Replace(info, "aof_enabled:1", "aof_enabled:0", 1), config: config, wrong: []string{"appendonly is no"}, mend: []string{"appendonly yes", "REWRITE"}},
		"NoRunID":           {info: strings.Replace(info, "run_id", "redis_id", 1), config: config, wrong: []string{"run_id"}},
		"EmptyRunID":        {info: strings.Replace(info, "5e2f", "", 1), config: config, wrong: []string{"run_id"}},
		"NothingKnown":      {info: "# Clients\r\nconnected_clients:1\r\n", config: "-ERR unknown command", wrong: []string{"maxmemory-policy cannot be read", "appendonly cannot be read", "run_id"}},
		"Loading":           {info: "-LOADING Redis is loading the dataset in memory", config: config, unknown: true},
		"Busy":              {info: info, config: "-BUSY Redis is busy running a script", unknown: true},
		"Full":              {info: "-ERR max number of clients reached", config: "-ERR max number of clients reached", unknown: true},
		"NoPassword":        {info: "-NOAUTH Authentication required.", config: "-NOAUTH Authentication required.", unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Durability(t.Context(), fake(t, c.info, c.config))
			if c.unknown {
				if _, refused := errors.AsType[*NotDurable](err); refused || err == nil {
					t.Errorf("%v, want an error that says nothing about settings", err)
				}
				return
			}
			verdict(t, err, c.wrong, c.mend)
		})
	}
}

func TestARedisThatCannotBeAskedIsNotCalledWrong(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Password: canary, MaxRetries: -1})
	defer func() { _ = gone.Close() }()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, look := range map[string]func() error{
		"Gone":    func() error { _, err := Durability(t.Context(), gone); return err },
		"Stopped": func() error { _, err := Durability(stopped, gone); return err },
	} {
		err := look()
		if _, refused := errors.AsType[*NotDurable](err); refused || err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheRedisInTheProcessKeepsNothing(t *testing.T) {
	t.Parallel()
	verdict(t, (&System{Redis: redistest.Client(t, miniredis.RunT(t).Addr())}).Durable(t.Context()),
		[]string{"maxmemory-policy cannot be read", "appendonly cannot be read", "run_id"}, nil)
}

// TestEveryMasterOfAClusterMustKeep: the slots are spread over plain servers, which the client does not notice.
func TestEveryMasterOfAClusterMustKeep(t *testing.T) {
	t.Parallel()
	// By name: in a list of slots, the client takes 127.0.0.1 for the machine that gave it the list.
	named := func(addr string) string { return strings.Replace(addr, "127.0.0.1", "localhost", 1) }
	good := named(redistest.Start(t, "--appendfsync", "always"))
	bad := named(redistest.Start(t, "--appendonly", "no", "--appendfsync", "always"))
	spread := func(addrs ...string) redis.UniversalClient {
		slots := make([]redis.ClusterSlot, len(addrs))
		share := 16384 / len(addrs)
		for i, addr := range addrs {
			slots[i] = redis.ClusterSlot{Start: i * share, End: (i+1)*share - 1, Nodes: []redis.ClusterNode{{Addr: addr}}}
		}
		rdb := redis.NewClusterClient(&redis.ClusterOptions{
			MaxRedirects: -1, MaxRetries: -1,
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return slots, nil },
		})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	for name, c := range map[string]struct {
		addrs []string
		wrong []string
	}{
		"AllKeep":       {addrs: []string{good}},
		"OneDoesNot":    {[]string{good, bad}, []string{bad + ": appendonly is no"}},
		"OneIsNotThere": {[]string{bad, "localhost:1"}, []string{bad + ": appendonly is no"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, port, _ := net.SplitHostPort(bad)
			_, err := Durability(t.Context(), spread(c.addrs...))
			verdict(t, err, c.wrong, []string{"redis-cli -h localhost -p " + port + " CONFIG SET appendonly yes", "REWRITE"})
		})
	}
	if _, err := Durability(t.Context(), spread(good, "localhost:1")); err == nil {
		t.Error("a master that did not answer is taken for a good one")
	}
}

func TestTheMasterIsLookedAtThroughSentinels(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t, "--appendonly", "no")
	host, port, _ := net.SplitHostPort(addr)
	sentinel, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sentinel.Close)
	err = sentinel.Register("SENTINEL", func(p *server.Peer, _ string, args []string) {
		if args[0] == "get-master-addr-by-name" {
			p.WriteStrings([]string{host, port})
			return
		}
		p.WriteLen(0)
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := load(t, "MASTER_KEY="+key32, "REDIS_URL=redis-sentinel://"+sentinel.Addr().String()+"?master=m")
	s, err := open(t, cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	verdict(t, s.Durable(t.Context()), []string{"appendonly is no"},
		[]string{"redis-cli CONFIG SET appendonly yes", "redis-cli CONFIG REWRITE"})
}

func TestTheCommandThatMends(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"localhost:6379": "redis-cli", "127.0.0.1:6379": "redis-cli", "FailoverClient": "redis-cli",
		"localhost:6380": "redis-cli -h localhost -p 6380", "redis:6379": "redis-cli -h redis -p 6379",
		"[::1]:7000": "redis-cli -h ::1 -p 7000",
	} {
		if got := redisCLI(&redis.Options{Addr: addr, Username: canary, Password: canary}); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	tls := &System{Config: load(t, "REDIS_URL=rediss://redis.example.com")}
	if err := tls.connect(); err != nil {
		t.Fatal(err)
	}
	defer tls.Close()
	client, _ := tls.Redis.(*redis.Client)
	if got := redisCLI(client.Options()); got != "redis-cli -h redis.example.com -p 6379 --tls" {
		t.Errorf("%q", got)
	}
}
