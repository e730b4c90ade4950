package providers

import "errors"

// Class is what an answer, or the lack of one, means for the message. It is decided once, where the answer is read.
type Class uint8

// The classes. The zero value is the careful one: nothing may be sent again because of it.
const (
	Unknown  Class = iota // may have been sent: only evidence or a person decides
	Accepted              // the provider took it
	Unsent                // provably never left this machine: send again, not counted as a try
	NotNow                // answered and refused for now: send again later, counted as a try
	Rejected              // this recipient, for good
	Content               // the template or its values
	Blocked               // the account: every message of it would fare the same
	Broke                 // no balance
	Later                 // this recipient, a day or more later
)

var classNames = [...]string{
	Unknown: "unknown", Accepted: "accepted", Unsent: "unsent", NotNow: "not_now", Rejected: "rejected",
	Content: "content", Blocked: "blocked", Broke: "broke", Later: "later",
}

// String is the class in lower-case snake words, as stored and shown; a value that is no class reads as "unknown".
func (c Class) String() string {
	if int(c) >= len(classNames) {
		return classNames[Unknown]
	}
	return classNames[c]
}

// ClassOf is the class of what Send returned: Accepted for nil, the class of the *Error it wraps, and Unknown for
// anything else, including an *Error that claims to be Accepted.
func ClassOf(err error) Class {
	if err == nil {
		return Accepted
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e == nil || e.Class == Accepted || int(e.Class) >= len(classNames) {
		return Unknown
	}
	return e.Class
}
