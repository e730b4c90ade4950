package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"pregon/providers"
)

// Embedded is the REDIS_URL that asks for a Redis inside the process, which keeps nothing after it ends.
const Embedded = "embedded"

// Redis is a REDIS_URL taken apart.
type Redis struct {
	// Scheme is "redis", "rediss", "redis-sentinel", "redis-cluster" or "embedded".
	Scheme   string
	Username string
	Password providers.Secret
	// Hosts are host:port, one for redis and rediss, one or more seeds for Sentinel and Cluster, none when embedded.
	Hosts []string
	// DB is the database number; always 0 on a cluster, which has no other.
	DB int
	// Master is the name under which the sentinels know the master, "mymaster" unless ?master= says otherwise.
	Master string
	// TLS says that connections are encrypted: always with rediss, and with ?tls=true elsewhere.
	TLS bool
}

// Loopback reports whether everything it names is on this machine. The embedded Redis is.
func (r Redis) Loopback() bool {
	for _, hostport := range r.Hosts {
		host, _, err := net.SplitHostPort(hostport)
		if err != nil {
			return false
		}
		if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
			continue
		}
		if !strings.EqualFold(host, "localhost") {
			return false
		}
	}
	return true
}

// errRedisURL is what every complaint about an address comes down to.
var errRedisURL = errors.New("give redis://HOST:PORT/DB, rediss://…, " +
	"redis-sentinel://HOST:PORT,HOST:PORT?master=NAME, redis-cluster://HOST:PORT,HOST:PORT, or the word embedded")

// ParseRedisURL reads the address of a Redis:
//
//	embedded
//	redis://[user:password@]host[:6379][/db]           one server
//	rediss://…                                         the same with TLS
//	redis-sentinel://[…@]host[:26379],host…[/db][?master=mymaster][&tls=true]
//	redis-cluster://[…@]host[:6379],host…[?tls=true]
//
// It never shows the address in its error, which may hold a password. Lists of hosts are split here because net/url
// refuses more than one port (since Go 1.26).
func ParseRedisURL(s string) (Redis, error) {
	if s == Embedded {
		return Redis{Scheme: Embedded}, nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	r := Redis{Scheme: scheme, TLS: scheme == "rediss"}
	port := "6379"
	switch {
	case !ok:
		return Redis{}, fmt.Errorf("it is not an address; %w", errRedisURL)
	case scheme == "redis-sentinel":
		port, r.Master = "26379", "mymaster"
	case scheme != "redis" && scheme != "rediss" && scheme != "redis-cluster":
		return Redis{}, fmt.Errorf("its scheme is not known; %w", errRedisURL)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@')
	if err := r.hosts(authority[at+1:], port); err != nil {
		return Redis{}, err
	}
	u, err := url.Parse("redis://" + authority[:at+1] + "host" + tail)
	if err != nil { // Not wrapped: it quotes the address, password and all.
		return Redis{}, fmt.Errorf("it cannot be read (in a password, write @ as %%40 and so on); %w", errRedisURL)
	}
	r.Username = u.User.Username()
	password, _ := u.User.Password()
	r.Password = providers.NewSecret(password)
	if err := r.database(u.Path); err != nil {
		return Redis{}, err
	}
	return r, r.options(u)
}

// hosts takes the list of hosts apart and adds the port where none is given.
func (r *Redis) hosts(list, port string) error {
	for host := range strings.SplitSeq(list, ",") {
		if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
			host += ":" + port
		}
		h, p, err := net.SplitHostPort(host) // Refuses an IPv6 address without its brackets.
		if err == nil {
			_, err = strconv.ParseUint(p, 10, 16)
		}
		if err != nil || h == "" || strings.ContainsAny(h, " []") {
			return fmt.Errorf("it has no host, or a bad one or a bad port; %w", errRedisURL)
		}
		r.Hosts = append(r.Hosts, net.JoinHostPort(h, p))
	}
	if len(r.Hosts) > 1 && r.Scheme != "redis-sentinel" && r.Scheme != "redis-cluster" {
		return errors.New("it lists several hosts; use redis-sentinel:// or redis-cluster:// for those")
	}
	return nil
}

func (r *Redis) database(path string) error {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	db, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return errors.New("what follows the host is not a database number; end it with /0, or with nothing")
	}
	if db != 0 && r.Scheme == "redis-cluster" {
		return errors.New("a cluster has database 0 only; remove the number")
	}
	r.DB = int(db)
	return nil
}

func (r *Redis) options(u *url.URL) error {
	if u.Fragment != "" {
		return fmt.Errorf("it has a # in it (write %%23 in a password); %w", errRedisURL)
	}
	if r.Scheme == "redis" || r.Scheme == "rediss" {
		return nil // Such as ?dial_timeout=5s: the Redis client knows them.
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("its options cannot be read; %w", errRedisURL)
	}
	for option, values := range query {
		value := values[len(values)-1]
		switch {
		case option == "master" && r.Scheme == "redis-sentinel" && value != "":
			r.Master = value
		case option == "tls" && (value == "true" || value == "false"):
			r.TLS = value == "true"
		default:
			return fmt.Errorf("the option %s is not known, or has a wrong value; %w", shown(option), errRedisURL)
		}
	}
	return nil
}
