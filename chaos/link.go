package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// linkMode is what a link does with the bytes it is given.
type linkMode uint8

const (
	linkPass      linkMode = iota
	linkCut                // every connection is reset, and so is every new one
	linkBlackhole          // nothing is delivered and nothing is refused; what is held arrives when the link passes again
)

func (m linkMode) String() string { return [...]string{"pass", "cut", "blackhole"}[m] }

// link is the network between one worker and one server: a TCP proxy that can be broken while it runs. Each worker has
// a link of its own, so that one of them can be cut off while the others work on.
type link struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	mode    linkMode
	latency time.Duration
	changed chan struct{} // closed and replaced when the mode changes
	conns   map[net.Conn]struct{}
	done    chan struct{}
	wg      sync.WaitGroup
}

func newLink(target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{
		listener: listener, target: target, changed: make(chan struct{}), conns: make(map[net.Conn]struct{}),
		done: make(chan struct{}),
	}
	l.wg.Go(l.accept)
	return l, nil
}

func (l *link) addr() string { return l.listener.Addr().String() }

// set changes what the link does, and how long each piece of data takes through it.
func (l *link) set(mode linkMode, latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode, l.latency = mode, latency
	close(l.changed)
	l.changed = make(chan struct{})
	if mode == linkCut {
		for c := range l.conns {
			reset(c)
		}
	}
}

func (l *link) close() {
	close(l.done)
	_ = l.listener.Close()
	l.set(linkCut, 0)
	l.wg.Wait()
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		if l.keep(c) {
			l.wg.Go(func() { l.join(c) })
		}
	}
}

// keep remembers a connection so that a cut finds it. While the link is cut it refuses.
func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mode == linkCut {
		reset(c)
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

// join connects a client with the target until either of them goes. A target that is not there looks like a reset.
func (l *link) join(client net.Conn) {
	defer l.forget(client)
	if !l.open() { // a new connection into a blackhole is not passed on either
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", l.target)
	if err != nil || !l.keep(server) {
		reset(client)
		return
	}
	defer l.forget(server)
	ended := make(chan struct{}, 2)
	l.wg.Go(func() { l.pump(server, client); ended <- struct{}{} })
	l.wg.Go(func() { l.pump(client, server); ended <- struct{}{} })
	<-ended
}

// pump carries bytes one way. What it read before a blackhole is held and delivered after it, as a network does that
// repeats its packets: a command may arrive long after its sender gave up.
func (l *link) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.open() || !l.delay() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				reset(to)
			}
			return
		}
	}
}

// open waits until the link delivers, and says whether it does.
func (l *link) open() bool {
	for {
		l.mu.Lock()
		mode, changed := l.mode, l.changed
		l.mu.Unlock()
		switch mode {
		case linkPass:
			return true
		case linkCut:
			return false
		case linkBlackhole:
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

func (l *link) delay() bool {
	l.mu.Lock()
	latency := l.latency
	l.mu.Unlock()
	if latency == 0 {
		return true
	}
	t := time.NewTimer(latency)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

// reset ends a connection with RST instead of FIN.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a connection that has gone
	}
	_ = c.Close()
}
