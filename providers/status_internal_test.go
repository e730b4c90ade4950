package providers

import (
	"net/http"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	tests := map[string]struct {
		header, date string
		want         time.Duration
	}{
		"AbsentIsAbsent":            {"", "", 0},
		"SecondsAreSeconds":         {" 120 ", "", 2 * time.Minute},
		"ZeroIsSaid":                {"0", "", 0},
		"DateIsADate":               {"Fri, 20 Nov 2026 12:01:00 GMT", "", time.Minute},
		"ServersClockCounts":        {"Fri, 20 Nov 2026 13:01:00 GMT", "Fri, 20 Nov 2026 13:00:00 GMT", time.Minute},
		"BrokenServersClockDoesNot": {"Fri, 20 Nov 2026 12:01:00 GMT", "today", time.Minute},
		"PastDateIsNow":             {"Fri, 20 Nov 2026 11:00:00 GMT", "", 0},
		"TooLongIsCut":              {"4000000", "", 24 * time.Hour},
		"NegativeIsNonsense":        {"-5", "", 0},
		"OverflowIsNonsense":        {"99999999999999999999", "", 0},
		"WordsAreNonsense":          {"soon", "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Retry-After": {tt.header}, "Date": {tt.date}}
			if got := retryAfter(h, noon); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add("Fri, 20 Nov 2026 12:01:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT", "-1")
	f.Fuzz(func(t *testing.T, header, date string) {
		wait := retryAfter(http.Header{"Retry-After": {header}, "Date": {date}}, noon)
		if wait < 0 || wait > maxRetryAfter {
			t.Errorf("%s", wait)
		}
	})
}

// TestClassifyStatus has what TestStatusesOfTheWire leaves: Retry-After and unread bodies.
func TestClassifyStatus(t *testing.T) {
	asked := http.Header{"Retry-After": {"7"}}
	tests := map[string]struct {
		answer Answer
		class  Class
		code   string
		wait   time.Duration
	}{
		"SlowDownWaits":                      {Answer{Status: 429, Header: asked}, NotNow, "http_429", 7 * time.Second},
		"UnavailableWithRetryAfterIsUnknown": {Answer{Status: 503, Header: asked}, Unknown, "http_503", 0},
		"UnavailableWithNonsenseIsUnknown":   {Answer{Status: 503, Header: http.Header{"Retry-After": {"?"}}}, Unknown, "http_503", 0},
		"BadGatewayIgnoresRetryAfter":        {Answer{Status: 502, Header: asked}, Unknown, "http_502", 0},
		"UnreadBodyIsUnsent":                 {Answer{Status: 502, BodyUnread: true}, Unsent, "http_502", 0},
		"UnreadBodyKeepsARefusal":            {Answer{Status: 401, BodyUnread: true}, Blocked, "http_401", 0},
		"UnsentObeysRetryAfter":              {Answer{Status: 503, Header: asked, BodyUnread: true}, Unsent, "http_503", 7 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := ClassifyStatus(tt.answer)
			if e.Class != tt.class || e.Code != tt.code || e.RetryAfter != tt.wait {
				t.Errorf("got %s %q %s", e.Class, e.Code, e.RetryAfter)
			}
		})
	}
}
