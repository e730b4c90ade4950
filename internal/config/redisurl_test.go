package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRedisURL(t *testing.T) {
	tests := map[string]Redis{
		"embedded":                 {Scheme: "embedded"},
		"redis://localhost:6379/0": {Scheme: "redis", Hosts: []string{"localhost:6379"}},
		"redis://localhost":        {Scheme: "redis", Hosts: []string{"localhost:6379"}},
		"redis://10.0.0.1:7000/3":  {Scheme: "redis", Hosts: []string{"10.0.0.1:7000"}, DB: 3},
		"redis://[::1]:7000/3":     {Scheme: "redis", Hosts: []string{"[::1]:7000"}, DB: 3},
		"redis://[::1]":            {Scheme: "redis", Hosts: []string{"[::1]:6379"}},
		"rediss://u:p%40ss@r:1": {
			Scheme: "rediss", Username: "u", Password: secret("p@ss"), Hosts: []string{"r:1"}, TLS: true,
		},
		"redis://:p@ss@r":            {Scheme: "redis", Password: secret("p@ss"), Hosts: []string{"r:6379"}},
		"redis://r?dial_timeout=5s":  {Scheme: "redis", Hosts: []string{"r:6379"}},
		"redis-cluster://a:1,b:2":    {Scheme: "redis-cluster", Hosts: []string{"a:1", "b:2"}},
		"redis-cluster://a?tls=true": {Scheme: "redis-cluster", Hosts: []string{"a:6379"}, TLS: true},
		"redis-sentinel://:p@a,b:1,c/2?master=pregon": {
			Scheme: "redis-sentinel", Password: secret("p"), Hosts: []string{"a:26379", "b:1", "c:26379"},
			DB: 2, Master: "pregon",
		},
		"redis-sentinel://a": {Scheme: "redis-sentinel", Hosts: []string{"a:26379"}, Master: "mymaster"},
	}
	for in, want := range tests {
		got, err := ParseRedisURL(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
}

func TestParseRedisURLRefuses(t *testing.T) {
	for _, in := range []string{
		"", "localhost:6379", "http://h", "REDIS://h", "redis://", "redis://:c4n4ry@", "redis://h:port",
		"redis://h:70000",
		"redis://h/db", "redis://h/-1", "redis://a:1,b:2", "redis://h#x", "redis://h:1:2", "redis://::1",
		"redis-cluster://a/1", "redis-cluster://a,,b", "redis-cluster://a?db=1", "redis-sentinel://a?master=",
		"redis-sentinel://a?tls=yes", "redis://:c4n4ry%zz@h", "redis://:c4n4ry#1@h", "redis-sentinel://a?%zz",
	} {
		got, err := ParseRedisURL(in)
		if err == nil {
			t.Errorf("%q was read as %+v", in, got)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the complaint shows the password: %v", in, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for in, want := range map[string]bool{
		"embedded": true, "redis://localhost": true, "redis://127.8.8.8:1": true, "redis://[::1]": true,
		"redis://redis:6379": false, "redis-cluster://localhost,redis": false, "redis://10.0.0.1": false,
		"redis://localhost.example.com": false,
	} {
		r, err := ParseRedisURL(in)
		if err != nil {
			t.Fatal(err)
		}
		if r.Loopback() != want {
			t.Errorf("%s: Loopback is %t", in, !want)
		}
	}
}

func FuzzParseRedisURL(f *testing.F) {
	for _, seed := range []string{
		"embedded", "redis://u:p@h:1/2?x=y", "redis-sentinel://:p@a,b:1/2?master=m", "redis-cluster://[::1]:1,b",
		"rediss://@h#",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRedisURL(s)
		if err != nil {
			return
		}
		if (r.Scheme == Embedded) != (len(r.Hosts) == 0) || r.DB < 0 {
			t.Errorf("%q was read as %+v", s, r)
		}
		_ = r.Loopback()
	})
}
