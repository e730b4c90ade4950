package campaign

import "time"

// monthDay is a date of every year.
type monthDay struct {
	month time.Month
	day   int
}

// calendar is a country's holidays: fixed ones, ones moved to the next Monday, ones counted from Easter Sunday, and
// the n-th Mondays of a month.
type calendar struct {
	fixed   []monthDay
	monday  []monthDay // on the day itself if it is a Monday, else on the next Monday
	easter  []int      // days after Easter Sunday
	mondays []nthMonday
	since   map[monthDay]int // first year of a newer one
}

type nthMonday struct {
	month time.Month
	n     int
}

// colombia: Ley 51 of 1983 (Emiliani), and 9 July since 2026 by Ley 2578 of 1 June 2026 (Virgen de Chiquinquirá).
// The Mondays +43, +64 and +71 after Easter are Ascension, Corpus Christi and the Sacred Heart.
var colombia = calendar{
	fixed:  []monthDay{{1, 1}, {5, 1}, {7, 20}, {8, 7}, {12, 8}, {12, 25}},
	monday: []monthDay{{1, 6}, {3, 19}, {6, 29}, {7, 9}, {8, 15}, {10, 12}, {11, 1}, {11, 11}},
	easter: []int{-3, -2, 43, 64, 71},
	since:  map[monthDay]int{{7, 9}: 2026},
}

// calendars hold the holidays on which nobody is written to. Outside Colombia they are courtesy: the laws found name
// no holidays, so a national day that moves with yearly decrees is left out.
var calendars = map[string]calendar{
	"CO": colombia,
	"PE": {
		fixed: []monthDay{{1, 1}, {5, 1}, {6, 7}, {6, 29}, {7, 23}, {7, 28}, {7, 29}, {8, 6}, {8, 30}, {10, 8},
			{11, 1}, {12, 8}, {12, 9}, {12, 25}},
		easter: []int{-3, -2},
	},
	"CL": {
		fixed:  []monthDay{{1, 1}, {5, 1}, {5, 21}, {7, 16}, {8, 15}, {9, 18}, {9, 19}, {11, 1}, {12, 8}, {12, 25}},
		easter: []int{-2, -1},
	},
	"MX": {
		fixed:   []monthDay{{1, 1}, {5, 1}, {9, 16}, {12, 25}},
		mondays: []nthMonday{{2, 1}, {3, 3}, {11, 3}},
	},
	"AR": {
		fixed:  []monthDay{{1, 1}, {3, 24}, {4, 2}, {5, 1}, {5, 25}, {6, 20}, {7, 9}, {12, 8}, {12, 25}},
		easter: []int{-48, -47, -2},
	},
	"UY": {fixed: []monthDay{{1, 1}, {5, 1}, {7, 18}, {8, 25}, {12, 25}}},
}

// Holidays returns the public holidays of a country's year as midnights UTC, without repeats; two may fall on one
// day. Countries without a calendar of their own get Colombia's.
func Holidays(country string, year int) []time.Time {
	c, ok := calendars[country]
	if !ok {
		c = colombia
	}
	var days []time.Time
	for day := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
		if c.holds(day) {
			days = append(days, day)
		}
	}
	return days
}

// holds reports whether the date of t is a holiday.
func (c *calendar) holds(t time.Time) bool {
	year, month, day := t.Date()
	for _, d := range c.fixed {
		if d == (monthDay{month, day}) {
			return year >= c.since[d]
		}
	}
	if t.Weekday() == time.Monday {
		for _, d := range c.monday {
			back := int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).
				Sub(time.Date(year, d.month, d.day, 0, 0, 0, 0, time.UTC)).Hours() / 24)
			if back >= 0 && back < 7 && year >= c.since[d] {
				return true
			}
		}
		for _, m := range c.mondays {
			if m.month == month && (day-1)/7+1 == m.n {
				return true
			}
		}
	}
	sunday := easterSunday(year)
	for _, offset := range c.easter {
		if d := sunday.AddDate(0, 0, offset); d.Month() == month && d.Day() == day {
			return true
		}
	}
	return false
}

// easterSunday is the Gregorian computus of Meeus, Jones and Butcher.
func easterSunday(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}
