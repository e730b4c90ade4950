package providers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
)

// The states of a gatedBody. It leaves untouched and asking only once, by compare-and-swap, so that the transport,
// which reads in a goroutine that may outlive the call, and the caller, who wants to know, always agree.
const (
	untouched  int32 = iota // nobody has read
	asking                  // the gate is being asked
	opened                  // the body may have been read
	gateShut                // the gate refused: no read will succeed
	sealedShut              // the call is over and nothing was read: no read will succeed
)

var errSealed = errors.New("the request is over")

// gatedBody is a request body that asks its gate at the first read and can be sealed unread.
type gatedBody struct {
	state   atomic.Int32
	gate    func() error
	refusal error // set before state becomes gateShut
	bytes   *bytes.Reader
}

func newGatedBody(body []byte, gate func() error) *gatedBody {
	return &gatedBody{gate: gate, bytes: bytes.NewReader(body)}
}

// Read asks the gate the first time. A read after seal or refusal gives an error and no byte.
func (b *gatedBody) Read(p []byte) (int, error) {
	if err := b.open(); err != nil {
		return 0, err
	}
	return b.bytes.Read(p)
}

// Close does nothing: what was not read can still be sealed.
func (b *gatedBody) Close() error { return nil }

// open asks the gate once and says whether the body may be read.
func (b *gatedBody) open() error {
	if b.state.CompareAndSwap(untouched, asking) {
		if err := b.ask(); err != nil {
			b.refusal = err
			b.state.CompareAndSwap(asking, gateShut)
		} else {
			b.state.CompareAndSwap(asking, opened)
		}
	}
	switch b.state.Load() {
	case opened:
		return nil
	case gateShut:
		return b.refusal
	default:
		return errSealed
	}
}

// ask calls the gate. A panic in it counts as a refusal: it would happen in the transport's goroutine, where nobody
// else could recover it, and end every other send of this process.
func (b *gatedBody) ask() (err error) {
	if b.gate == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the gate panicked")
			if bug, ok := p.(runtime.Error); ok {
				err = fmt.Errorf("the gate panicked: %w", bug)
			}
		}
	}()
	return b.gate()
}

// seal ends the body's readable life unless it has been read, and reports whether it may have been.
func (b *gatedBody) seal() (read bool) {
	for {
		state := b.state.Load()
		if state != untouched && state != asking {
			return state == opened
		}
		if b.state.CompareAndSwap(state, sealedShut) {
			return false
		}
	}
}

// refused is what the gate said, if it refused.
func (b *gatedBody) refused() error {
	if b.state.Load() == gateShut {
		return b.refusal
	}
	return nil
}

var _ io.ReadCloser = (*gatedBody)(nil)
