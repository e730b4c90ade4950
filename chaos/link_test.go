package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// echo is a server that sends every line back.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func linked(t *testing.T) *link {
	t.Helper()
	l, err := newLink(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// caller is a client of a link.
type caller struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func call(t *testing.T, l *link) caller {
	t.Helper()
	c, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return caller{t, c, bufio.NewReader(c)}
}

func (c caller) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads a line within d; "" when none comes.
func (c caller) hears(d time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	line, err := c.r.ReadString('\n')
	return line, err
}

const soon = 5 * time.Second

func TestLinkPasses(t *testing.T) {
	c := call(t, linked(t))
	c.say("hola")
	if line, err := c.hears(soon); line != "hola\n" {
		t.Fatalf("%q, %v", line, err)
	}
}

func TestCutLinkResetsWhatIsThereAndWhatComes(t *testing.T) {
	l := linked(t)
	c := call(t, l)
	c.say("hola")
	if _, err := c.hears(soon); err != nil {
		t.Fatal(err)
	}
	l.set(linkCut, 0)
	if _, err := c.hears(soon); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection: %v, want a reset", err)
	}
	turnedAway(t, l)
	l.set(linkPass, 0)
	again := call(t, l)
	again.say("otra vez")
	if line, err := again.hears(soon); line != "otra vez\n" {
		t.Errorf("after the cut: %q, %v", line, err)
	}
}

func TestBlackholeDeliversNothingUntilItIsOver(t *testing.T) {
	l := linked(t)
	open := call(t, l)
	open.say("antes")
	if _, err := open.hears(soon); err != nil {
		t.Fatal(err)
	}
	l.set(linkBlackhole, 0)
	open.say("dentro")
	fresh := call(t, l)
	fresh.say("nueva")
	for _, c := range []caller{open, fresh} {
		if line, err := c.hears(100 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q came out of the blackhole, %v", line, err)
		}
	}
	l.set(linkPass, 0)
	if line, err := open.hears(soon); line != "dentro\n" {
		t.Errorf("what was held: %q, %v", line, err)
	}
	if line, err := fresh.hears(soon); line != "nueva\n" {
		t.Errorf("a connection made meanwhile: %q, %v", line, err)
	}
}

func TestLatencyDelaysEachWay(t *testing.T) {
	l := linked(t)
	c := call(t, l)
	l.set(linkPass, 60*time.Millisecond)
	begin := time.Now()
	c.say("hola")
	if _, err := c.hears(soon); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 120*time.Millisecond {
		t.Errorf("there and back took %s", took)
	}
}

func TestLinkToNobodyResets(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLink(net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	turnedAway(t, l)
}

// turnedAway checks that a new connection ends at once, while it is made or after.
func turnedAway(t *testing.T, l *link) {
	t.Helper()
	c, err := net.Dial("tcp", l.addr())
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	if _, err := (caller{t, c, bufio.NewReader(c)}).hears(soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection: %v, want it refused", err)
	}
}
