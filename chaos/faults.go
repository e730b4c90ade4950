package main

import (
	"math/rand/v2"
)

// fault is one way in which a provider answers a send badly, or not at all.
type fault uint8

// "processed" says that the message was sent all the same: the client must not conclude anything from the answer.
const (
	none           fault = iota
	resetUnread          // RST before the body is read
	resetAfter           // processed, then RST
	closeAfter           // processed, then FIN
	hangBefore           // not processed, and no answer
	hangAfter            // processed, and no answer
	errorBefore          // 500, not processed
	errorAfter           // processed, then 500
	badGateway           // processed, then 502 with an HTML page
	unavailable          // 503, not processed
	tooMany              // 429 with Retry-After, not processed
	brokenJSON           // processed, then 200 with half an answer
	pageInstead          // processed, then 200 with an HTML page
	hugeAnswer           // processed, then 200 with megabytes that are no answer
	refused              // code 4: not processed, and a clear answer
	frozen               // an outage: accepted, sometimes processed, and no answer
	numberOfFaults       // how many kinds there are
)

var faultNames = [numberOfFaults]string{
	"none", "reset_unread", "reset_after", "close_after", "hang_before", "hang_after", "500_before", "500_after",
	"502_after", "503_before", "429_before", "broken_json_after", "html_after", "huge_after", "refused", "frozen",
}

func (f fault) String() string { return faultNames[f] }

// ambiguous reports whether a client that sent its whole request cannot tell from what it sees whether the message
// left. The bound on rows in doubt counts these.
func (f fault) ambiguous() bool {
	switch f {
	case none, tooMany, refused:
		return false
	}
	return true
}

// share is the part of all sends, from 0 to 1, that end in one fault.
type share struct {
	fault fault
	part  float64
}

// stormFaults are 9 % of ambiguous answers and 3 % of refusals. "Not now" is rare: each one halves the fleet's rate for
// a while, and a storm in which little is sent proves little.
func stormFaults() []share {
	return []share{
		{resetUnread, .02}, {resetAfter, .01}, {closeAfter, .01}, {hangBefore, .0075}, {hangAfter, .0075},
		{errorBefore, .005}, {errorAfter, .005}, {badGateway, .005}, {unavailable, .005}, {brokenJSON, .005},
		{pageInstead, .005}, {hugeAnswer, .005}, {tooMany, .0005}, {refused, .03},
	}
}

// draw picks the fault of the n-th send. It depends on the seed and on n alone, whatever the other sends do, so that
// the same seed gives the same faults.
func draw(seed, n uint64, shares []share) fault {
	x := rand.New(rand.NewPCG(seed, n)).Float64()
	for _, s := range shares {
		if x < s.part {
			return s.fault
		}
		x -= s.part
	}
	return none
}

// drawHalf is a fair coin for the n-th send, apart from what draw picks.
func drawHalf(seed, n uint64) bool { return rand.New(rand.NewPCG(^seed, n)).Uint64()&1 == 0 }
