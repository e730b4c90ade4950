package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestOptionsAreRefusedWithTheirReason(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--only", "launch,speed"}, `--only "speed": there are launch, send, memory, check`},
		{[]string{"--rows", "0"}, "--rows 0: from 1"},
		{[]string{"--rounds", "-1"}, "--rounds -1: from 1"},
		{[]string{"--messages", "7000001"}, "--messages 7000001: from 1 to 7000000"},
		{[]string{"--concurrency", "0"}, "--concurrency 0: from 1"},
		{[]string{"--appendfsync", "no"}, `--appendfsync "no": everysec or always`},
		{[]string{"--rows", "many"}, "invalid value"},
		{[]string{"launch"}, `unexpected argument "launch"`},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, &out, &errs); code != exitUsage {
			t.Errorf("bench %q: exit status %d, want %d", c.args, code, exitUsage)
		}
		if !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("bench %q says %q on stderr and %q on stdout, want %q on stderr", c.args, errs.String(), out.String(),
				c.want)
		}
	}
}

func TestHelpNamesEveryBenchmark(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &out, &errs); code != exitOK || errs.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", code, errs.String())
	}
	for _, b := range benchmarks {
		if !strings.Contains(out.String(), b.what) {
			t.Errorf("the help does not say what %s measures", b.name)
		}
	}
}

func TestOnlyChoosesBenchmarks(t *testing.T) {
	all := options{}
	some := options{only: []string{"send", "check"}}
	for name, want := range map[string]bool{"launch": false, "send": true, "memory": false, "check": true} {
		if !all.wants(name) || some.wants(name) != want {
			t.Errorf("%s: wanted %v of all, %v of %v", name, all.wants(name), some.wants(name), some.only)
		}
	}
}
