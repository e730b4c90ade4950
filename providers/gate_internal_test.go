package providers

import (
	"errors"
	"io"
	"testing"
)

func TestGatedBodyIsReadOnceOpen(t *testing.T) {
	asked := 0
	b := newGatedBody([]byte("hola"), func() error { asked++; return nil })
	if asked != 0 {
		t.Error("the gate was asked before the first read")
	}
	got, err := io.ReadAll(b)
	if string(got) != "hola" || err != nil || asked != 1 {
		t.Errorf("read %q, %v; the gate was asked %d times", got, err, asked)
	}
	if !b.seal() {
		t.Error("a body that was read was sealed unread")
	}
}

func TestSealedBodyGivesNoByte(t *testing.T) {
	asked := false
	b := newGatedBody([]byte("hola"), func() error { asked = true; return nil })
	for range 2 {
		if b.seal() {
			t.Error("an unread body counts as read")
		}
	}
	if got, err := io.ReadAll(b); len(got) > 0 || err == nil || asked {
		t.Errorf("read %q, %v; the gate was asked: %v", got, err, asked)
	}
}

func TestRefusedBodyGivesNoByte(t *testing.T) {
	shut := errors.New("shut")
	asked := 0
	b := newGatedBody([]byte("hola"), func() error { asked++; return shut })
	for range 2 {
		if got, err := io.ReadAll(b); len(got) > 0 || !errors.Is(err, shut) {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if b.seal() || !errors.Is(b.refused(), shut) || asked != 1 {
		t.Errorf("refused %v, asked %d times", b.refused(), asked)
	}
}

// TestSealWhileTheGateIsAsked is the race that matters: the caller gives up and is told "unsent" while the transport's
// goroutine waits for the gate, which then opens.
func TestSealWhileTheGateIsAsked(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	b := newGatedBody([]byte("hola"), func() error { close(began); <-goOn; return nil })
	read := make(chan int)
	go func() {
		got, _ := io.ReadAll(b)
		read <- len(got)
	}()
	<-began
	sealed := b.seal()
	close(goOn)
	if n := <-read; sealed || n > 0 {
		t.Errorf("sealed as read: %v, and %d bytes were read afterwards", sealed, n)
	}
}
