package campaign

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // containers have no time zones of their own
)

// Purpose is what a campaign is for. It decides about the hours in which people may be contacted.
type Purpose string

// The purposes. Ley 2300 of 2023 (Colombia) limits the first two; confirmations and notices that people asked for are
// outside it.
const (
	Marketing     Purpose = "marketing"
	Collections   Purpose = "collections"
	Transactional Purpose = "transactional"
)

// ParsePurpose reads a purpose by its English or Spanish name. Its error is a *FileError.
func ParsePurpose(s string) (Purpose, error) {
	switch foldHeader(s) {
	case "marketing", "mercadeo", "publicidad":
		return Marketing, nil
	case "collections", "cobranza", "cobranzas", "cobro":
		return Collections, nil
	case "transactional", "transaccional", "servicio":
		return Transactional, nil
	}
	return "", &FileError{Code: "purpose", Args: map[string]string{"purpose": clip(s)}}
}

// span is a part of a day in hours; the zero span is a closed day.
type span struct{ from, to int }

// week is the contact hours of one country in its own time zone.
type week struct {
	zone              string
	weekday, saturday span // nobody is contacted on Sundays
}

// weeks: Colombia by Ley 2300 of 2023, article 3. The others are careful defaults, since the laws found leave the
// hours of advertising open or ask for "reasonable hours". Chile and Mexico have several zones; the capital's is used.
var weeks = map[string]week{
	"CO": {"America/Bogota", span{7, 19}, span{8, 15}},
	"PE": {"America/Lima", span{8, 20}, span{}},
	"CL": {"America/Santiago", span{9, 20}, span{10, 13}},
	"MX": {"America/Mexico_City", span{9, 20}, span{9, 15}},
	"AR": {"America/Argentina/Buenos_Aires", span{9, 20}, span{9, 13}},
	"UY": {"America/Montevideo", span{9, 20}, span{9, 13}},
}

// zones holds the time zones by country. Loading one means parsing it, which is too slow to do for every message.
var zones = sync.OnceValue(func() map[string]*time.Location {
	loaded := map[string]*time.Location{}
	for country, w := range weeks {
		zone, err := time.LoadLocation(w.zone)
		if err != nil {
			panic("campaign: time zone " + w.zone + " is not embedded: " + err.Error())
		}
		loaded[country] = zone
	}
	return loaded
})

// Schedule is the hours in which people of one country may be contacted for one purpose. The zero Schedule is
// Colombia's for marketing.
type Schedule struct {
	country string
	always  bool
}

// Hours returns a country's schedule for a purpose. country is its ISO code; one without hours of its own gets
// Colombia's, the strictest found. Every purpose but transactional has hours.
func Hours(country string, p Purpose) Schedule {
	return Schedule{country: strings.ToUpper(country), always: p == Transactional}
}

// Open says whether people may be contacted at t, and when that changes: the closing time if it is open, the next
// opening if it is closed. Opening times belong to the open hours, closing times do not. A schedule that never
// closes has the zero time.
func (s Schedule) Open(t time.Time) (open bool, change time.Time) {
	if s.always {
		return true, time.Time{}
	}
	country := s.country
	if _, ok := weeks[country]; !ok {
		country = "CO"
	}
	hours := weeks[country]
	zone := zones()[country]
	days := calendars[country]
	local := t.In(zone)
	for ahead := 0; ; ahead++ {
		year, month, day := local.Date()
		date := time.Date(year, month, day+ahead, 12, 0, 0, 0, zone)
		part := hours.on(date, &days)
		if part == (span{}) {
			continue
		}
		year, month, day = date.Date()
		from := time.Date(year, month, day, part.from, 0, 0, 0, zone)
		to := time.Date(year, month, day, part.to, 0, 0, 0, zone)
		if t.Before(from) {
			return false, from
		}
		if t.Before(to) {
			return true, to
		}
	}
}

// on returns the hours of a date.
func (w week) on(date time.Time, holidays *calendar) span {
	switch {
	case date.Weekday() == time.Sunday, holidays.holds(date):
		return span{}
	case date.Weekday() == time.Saturday:
		return w.saturday
	}
	return w.weekday
}
