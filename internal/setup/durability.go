package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// NotDurable says that Redis may forget what it confirmed, or that nobody can tell: a row whose record is forgotten is
// sent again. Its text is for an engineer, with the commands that mend it.
type NotDurable struct {
	Wrong []string // one sentence per setting: what it is, and what it must be
	Mend  []string // shell commands, in their order; none where no setting mends it
}

func (e *NotDurable) Error() string {
	var b strings.Builder
	b.WriteString("redis may forget what it confirmed, and messages could be sent twice")
	for _, w := range e.Wrong {
		b.WriteString("\n  " + w)
	}
	if len(e.Mend) == 0 {
		return b.String()
	}
	b.WriteString("\nmend it with")
	for _, m := range e.Mend {
		b.WriteString("\n  " + m)
	}
	b.WriteString("\nwhere there is no configuration file to rewrite, give redis-server the same options: " +
		"a restart forgets CONFIG SET")
	return b.String()
}

// Durable looks whether Redis keeps what it confirms: *NotDurable says why not. Any other error says nothing about its
// settings, only that they could not be asked for. The Redis in the process is not exempt: it keeps nothing.
func (s *System) Durable(ctx context.Context) error {
	_, err := Durability(ctx, s.Redis)
	return err
}

// Durability does what Durable does, and returns what is good enough and could be better. Of a cluster it looks at
// every master; of what sentinels watch, at the master of the moment.
func Durability(ctx context.Context, rdb redis.UniversalClient) (advice []string, err error) {
	var mu sync.Mutex
	var looks []*look
	one := func(ctx context.Context, server *redis.Client) error {
		l, err := lookAt(ctx, server)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		looks = append(looks, l)
		return nil
	}
	cluster := false
	switch c := rdb.(type) {
	case *redis.Client:
		err = one(ctx, c)
	case *redis.ClusterClient:
		cluster = true
		err = c.ForEachMaster(ctx, one)
	default:
		err = fmt.Errorf("%T is no client whose servers are known", rdb)
	}
	if err == nil && len(looks) == 0 {
		err = errors.New("the cluster has no master")
	}
	slices.SortFunc(looks, func(a, b *look) int { return cmp.Compare(a.addr, b.addr) })
	var found NotDurable
	for _, l := range looks {
		where := ""
		if cluster {
			where = l.addr + ": "
		}
		for _, w := range l.wrong {
			found.Wrong = append(found.Wrong, where+w)
		}
		for _, a := range l.advice {
			advice = append(advice, where+a)
		}
		found.Mend = append(found.Mend, l.mend...)
	}
	switch {
	case len(found.Wrong) > 0: // proven, whatever another master would have said
		return advice, &found
	case err != nil:
		return nil, fmt.Errorf("look at redis's settings: %w", err)
	}
	return advice, nil
}

// look is what was found at one server.
type look struct {
	addr                string
	cli                 string // the command that reaches it
	wrong, mend, advice []string
	silence             error // what CONFIG GET was answered with, if not with values
}

func lookAt(ctx context.Context, server *redis.Client) (*look, error) {
	var info *redis.StringCmd
	asked := make([]*redis.MapStringStringCmd, 0, 3)
	_, _ = server.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		info = p.Info(ctx)
		for _, name := range []string{"maxmemory-policy", "appendonly", "appendfsync"} {
			asked = append(asked, p.ConfigGet(ctx, name))
		}
		return nil
	})
	l := &look{addr: server.Options().Addr, cli: redisCLI(server.Options())}
	if err := info.Err(); err != nil {
		if !withheld(err) {
			return nil, err
		}
		l.wrong = append(l.wrong, fmt.Sprintf("INFO is refused (%v): let this user run INFO and CONFIG GET", err))
	}
	config := make(map[string]string)
	for _, c := range asked {
		if err := c.Err(); err != nil {
			if !withheld(err) {
				return nil, err
			}
			l.silence = err
		}
		for name, value := range c.Val() {
			config[name] = value
		}
	}
	l.judge(config, infoFields(info.Val()))
	return l, nil
}

// judge reads the answers of CONFIG GET and INFO. Those who keep CONFIG to themselves usually let INFO be asked.
func (l *look) judge(config, info map[string]string) {
	l.must("maxmemory-policy", cmp.Or(config["maxmemory-policy"], info["maxmemory_policy"]), "noeviction",
		"any other may throw rows away when memory is full")
	appendonly := cmp.Or(config["appendonly"], map[string]string{"0": "no", "1": "yes"}[info["aof_enabled"]])
	if info["aof_enabled"] == "0" { // what is, before what was asked for
		appendonly = "no"
	}
	l.must("appendonly", appendonly, "yes", "without it a restart forgets")
	switch fsync := config["appendfsync"]; fsync {
	case "always":
	case "everysec":
		l.advice = append(l.advice, "appendfsync is everysec: a power cut may take the last 2 seconds; with always "+
			"it takes nothing ("+l.set("appendfsync", "always")+")")
	case "":
		l.advice = append(l.advice, "appendfsync cannot be read: see that it is always, or at least everysec")
	default:
		l.must("appendfsync", fsync, "always", "a power cut may take what the system had not written; everysec is accepted")
	}
	if len(l.mend) > 0 {
		l.mend = append(l.mend, l.cli+" CONFIG REWRITE")
	}
	if len(info) == 0 {
		return // said already
	}
	if status := info["aof_last_write_status"]; appendonly == "yes" && status != "ok" {
		l.wrong = append(l.wrong, fmt.Sprintf("aof_last_write_status is %q, and must be ok: the append-only file is not "+
			"written; see the disk and the log of Redis", status))
	}
	if info["run_id"] == "" {
		l.wrong = append(l.wrong, "INFO shows no run_id: without it nobody can tell that Redis was restarted")
	}
}

// must demands a value of a setting.
func (l *look) must(name, is, must, why string) {
	switch is {
	case must:
	case "":
		text := name + " cannot be read, and must be " + must
		if l.silence != nil {
			text += fmt.Sprintf(": INFO does not say, and CONFIG GET is refused (%v)", l.silence)
		}
		l.wrong = append(l.wrong, text)
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%s is %s, and must be %s: %s", name, is, must, why))
		l.mend = append(l.mend, l.set(name, must))
	}
}

func (l *look) set(name, value string) string { return l.cli + " CONFIG SET " + name + " " + value }

// redisCLI is the command that reaches a server. redis-cli asks elsewhere for a password: it is not shown.
func redisCLI(o *redis.Options) string {
	command := "redis-cli"
	host, port, err := net.SplitHostPort(o.Addr) // no address: sentinels know it
	if err == nil && (port != "6379" || (host != "localhost" && host != "127.0.0.1")) {
		command += " -h " + host + " -p " + port
	}
	if o.TLSConfig != nil {
		command += " --tls"
	}
	return command
}

// withheld reports whether Redis answered that it will not tell, by its ACL or because somebody took the command away.
// A Redis that is not there, not ready or not ours to ask says nothing about its settings.
func withheld(err error) bool {
	_, answered := errors.AsType[redis.Error](err)
	return answered && !redis.IsLoadingError(err) && !redis.IsMasterDownError(err) && !redis.IsClusterDownError(err) &&
		!redis.IsTryAgainError(err) && !redis.IsMaxClientsError(err) && !redis.IsAuthError(err) &&
		!redis.HasErrorPrefix(err, "BUSY ")
}

// infoFields reads the answer of INFO.
func infoFields(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
