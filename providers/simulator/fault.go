package simulator

import (
	"errors"
	"sync/atomic"
)

// Faults are the shares of sends, each from 0 to 1 and together at most 1, that go wrong in one way. The n-th send
// always draws the same fault from the same seed, however many clients are sending. Balance and template calls are
// spared.
type Faults struct {
	// Seed chooses the sequence of draws; 0 is a seed like any other.
	Seed uint64 `json:"seed"`
	// ResetUnread resets the connection (RST) without reading the body: nothing arrives, and a client that waits for
	// "100 Continue" is not told to go on.
	ResetUnread float64 `json:"reset_unread"`
	// ResetStored treats the request as ever, then resets the connection instead of answering.
	ResetStored float64 `json:"reset_stored"`
	// Error500 answers 500. Half of these requests, by the same draw, were treated as ever before; the others never.
	Error500 float64 `json:"error_500"`
	// TooMany429 answers 429 with Retry-After: 1 without reading the body.
	TooMany429 float64 `json:"too_many_429"`
	// Hang never answers until the client gives up. Half of these requests were treated as ever before.
	Hang float64 `json:"hang"`
	// BrokenJSON treats the request as ever and answers 200 with the first half of the JSON.
	BrokenJSON float64 `json:"broken_json"`
}

// Validate refuses shares outside 0..1 and shares that add up to more than 1.
func (f Faults) Validate() error {
	sum := 0.0
	for _, s := range f.shares() {
		if !(s.share >= 0 && s.share <= 1) { // Written this way round, NaN is refused too.
			return errors.New("a fault share must be between 0 and 1")
		}
		sum += s.share
	}
	if sum > 1+1e-9 {
		return errors.New("fault shares add up to more than 1")
	}
	return nil
}

// fault is what goes wrong with one send.
type fault uint8

const (
	noFault fault = iota
	resetUnread
	resetStored
	error500
	tooMany429
	hang
	brokenJSON
)

type faultShare struct {
	fault fault
	share float64
}

func (f Faults) shares() [6]faultShare {
	return [...]faultShare{
		{resetUnread, f.ResetUnread}, {resetStored, f.ResetStored}, {error500, f.Error500},
		{tooMany429, f.TooMany429}, {hang, f.Hang}, {brokenJSON, f.BrokenJSON},
	}
}

// draw picks the fault of the n-th send. Error500 and Hang leave open whether the request is treated before its answer
// gets lost; the lowest bit, which the share does not use, decides.
func (f Faults) draw(n uint64) (picked fault, treated bool) {
	bits := mix(mix(f.Seed) + n)
	x := float64(bits>>11) / (1 << 53)
	for _, s := range f.shares() {
		if s.share == 0 {
			continue
		}
		if x < s.share {
			open := s.fault == error500 || s.fault == hang
			return s.fault, !open || bits&1 == 0
		}
		x -= s.share
	}
	return noFault, true
}

// mix is the finishing step of splitmix64. A hash of (seed, n) needs no lock and no order, unlike a shared generator.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// faultSource numbers the sends and draws their faults. Its zero value draws none.
type faultSource struct {
	shares atomic.Pointer[Faults]
	drawn  atomic.Uint64
}

// set replaces the shares and begins the sequence of draws anew.
func (s *faultSource) set(f Faults) {
	s.shares.Store(&f)
	s.drawn.Store(0)
}

func (s *faultSource) next() (picked fault, treated bool) {
	f := s.shares.Load()
	if f == nil {
		return noFault, true
	}
	return f.draw(s.drawn.Add(1))
}
