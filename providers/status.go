package providers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 24 * time.Hour

// ClassifyStatus says what an answer means whose body does not: no JSON, or JSON without a code that decides. A
// status from which it is not certain that the server did nothing is Unknown; so is every 2xx here, and every 5xx:
// a proxy that says "unavailable, retry after 1" may have handed the message on before it gave up waiting. A body
// that the server never got makes Unknown certain: Unsent.
func ClassifyStatus(a Answer) *Error {
	e := &Error{Class: statusClass(a.Status), Code: "http_" + strconv.Itoa(a.Status), Reason: http.StatusText(a.Status)}
	if a.Status/100 == 2 {
		e.Code, e.Reason = CodeNotJSON, "the answer cannot be read"
	}
	if e.Class == Unknown && a.BodyUnread {
		e.Class = Unsent
	}
	if e.Class == NotNow || e.Class == Unsent {
		e.RetryAfter = a.RetryAfter()
	}
	return e
}

// RetryAfter is how long the server asked to wait, whatever its status and its code; 0 = it did not ask.
func (a Answer) RetryAfter() time.Duration { return retryAfter(a.Header, time.Now()) }

func statusClass(status int) Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusGone:
		return Blocked
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return Content
	case http.StatusTooManyRequests:
		return NotNow
	}
	if status/100 == 3 {
		return Blocked
	}
	return Unknown
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date, the latter by the server's own clock
// where it shows one. Nonsense counts as absent; too long a wait is cut.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
