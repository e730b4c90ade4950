package providers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 24 * time.Hour

// ClassifyStatus says what an answer means whose body does not: no JSON, or JSON without a code that decides. A status
// from which it is not certain that the server did nothing is Unknown; so is every 2xx here. 503 counts as a refusal only
// with a Retry-After, which no accident adds. A body that the server never got makes Unknown certain: Unsent.
func ClassifyStatus(a Answer) *Error {
	e := &Error{Class: statusClass(a.Status), Code: "http_" + strconv.Itoa(a.Status), Reason: http.StatusText(a.Status)}
	wait, asked := retryAfter(a.Header, time.Now())
	switch {
	case a.Status/100 == 2:
		e.Code, e.Reason = CodeNotJSON, "the answer cannot be read"
	case a.Status == http.StatusServiceUnavailable && asked:
		e.Class = NotNow
	}
	if e.Class == Unknown && a.BodyUnread {
		e.Class = Unsent
	}
	if e.Class == NotNow || e.Class == Unsent {
		e.RetryAfter = wait
	}
	return e
}

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

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date, the latter by the server's own clock where
// it shows one. Nonsense counts as absent; too long a wait is cut.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}
