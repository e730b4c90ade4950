package campaign

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func at(t *testing.T, zone, s string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04:05", s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestContactHours(t *testing.T) {
	const bogota = "America/Bogota"
	for name, c := range map[string]struct {
		country string
		purpose Purpose
		zone    string
		now     string
		open    bool
		change  string
	}{
		"FridayMorning":           {"CO", Marketing, bogota, "2026-11-20 08:00:00", true, "2026-11-20 19:00:00"},
		"OpensOnTheDot":           {"CO", Marketing, bogota, "2026-11-20 07:00:00", true, "2026-11-20 19:00:00"},
		"OneSecondBefore":         {"CO", Marketing, bogota, "2026-11-20 06:59:59", false, "2026-11-20 07:00:00"},
		"ClosesOnTheDot":          {"CO", Marketing, bogota, "2026-11-20 19:00:00", false, "2026-11-21 08:00:00"},
		"Saturday":                {"CO", Collections, bogota, "2026-11-21 14:59:59", true, "2026-11-21 15:00:00"},
		"SaturdayAfternoon":       {"CO", Collections, bogota, "2026-11-21 15:00:00", false, "2026-11-23 07:00:00"},
		"Sunday":                  {"CO", Marketing, bogota, "2026-11-22 10:00:00", false, "2026-11-23 07:00:00"},
		"HolidayMonday":           {"CO", Marketing, bogota, "2026-11-16 10:00:00", false, "2026-11-17 07:00:00"},
		"ChiquinquiraSince2026":   {"CO", Marketing, bogota, "2026-07-13 10:00:00", false, "2026-07-14 07:00:00"},
		"NotYetIn2025":            {"CO", Marketing, bogota, "2025-07-14 10:00:00", true, "2025-07-14 19:00:00"},
		"HolyWeek":                {"CO", Marketing, bogota, "2026-04-01 19:30:00", false, "2026-04-04 08:00:00"},
		"LongNewYear":             {"CO", Marketing, bogota, "2026-12-31 20:00:00", false, "2027-01-02 08:00:00"},
		"AnotherZoneSameInstant":  {"CO", Marketing, "UTC", "2026-11-21 00:30:00", false, "2026-11-21 13:00:00"},
		"UnknownCountryIsCareful": {"ZZ", Marketing, bogota, "2026-11-22 10:00:00", false, "2026-11-23 07:00:00"},
		"LowerCaseCountry":        {"co", Marketing, bogota, "2026-11-20 08:00:00", true, "2026-11-20 19:00:00"},
		"UnknownPurposeHasHours":  {"CO", "", bogota, "2026-11-22 10:00:00", false, "2026-11-23 07:00:00"},
		"PeruNeverOnSaturday": {"PE", Marketing, "America/Lima", "2026-11-21 10:00:00", false,
			"2026-11-23 08:00:00"},
		"ChileInSummerTime": {"CL", Marketing, "America/Santiago", "2026-01-15 08:30:00", false,
			"2026-01-15 09:00:00"},
		"Mexico": {"MX", Marketing, "America/Mexico_City", "2026-11-16 10:00:00", false,
			"2026-11-17 09:00:00"},
		"Argentina": {"AR", Marketing, "America/Argentina/Buenos_Aires", "2026-05-25 10:00:00", false,
			"2026-05-26 09:00:00"},
		"Uruguay": {"UY", Marketing, "America/Montevideo", "2026-11-20 19:59:00", true,
			"2026-11-20 20:00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			open, change := Hours(c.country, c.purpose).Open(at(t, c.zone, c.now))
			if want := at(t, c.zone, c.change); open != c.open || !change.Equal(want) {
				t.Errorf("open %v until/from %v, want %v %v", open, change, c.open, want)
			}
		})
	}
	t.Run("TransactionalIsAlwaysOpen", func(t *testing.T) {
		if open, change := Hours("CO", Transactional).Open(at(t, bogota, "2026-12-25 03:00:00")); !open ||
			!change.IsZero() {
			t.Errorf("open %v, change %v", open, change)
		}
	})
	t.Run("ZeroScheduleIsColombia", func(t *testing.T) {
		if open, _ := (Schedule{}).Open(at(t, bogota, "2026-11-22 10:00:00")); open {
			t.Error("open on a Sunday")
		}
	})
}

// TestChangeIsWhereItChanges: just before the change nothing has changed, at the change it has.
func TestChangeIsWhereItChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		country := rapid.SampledFrom([]string{"CO", "PE", "CL", "MX", "AR", "UY", "XX"}).Draw(t, "country")
		start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		now := start.Add(time.Duration(rapid.Int64Range(0, 3*365*24*3600).Draw(t, "seconds")) * time.Second)
		s := Hours(country, Marketing)
		open, change := s.Open(now)
		if !change.After(now) || change.Sub(now) > 7*24*time.Hour {
			t.Fatalf("change %v of %v", change, now)
		}
		if before, same := s.Open(change.Add(-time.Second)); before != open || !same.Equal(change) {
			t.Fatalf("one second before %v: open %v, change %v", change, before, same)
		}
		if after, _ := s.Open(change); after == open {
			t.Fatalf("at %v it is still open=%v", change, after)
		}
	})
}

func TestColombianHolidays(t *testing.T) {
	for year, want := range map[int]string{
		2026: "01-01 01-12 03-23 04-02 04-03 05-01 05-18 06-08 06-15 06-29 07-13 07-20 08-07 08-17 10-12 11-02 " +
			"11-16 12-08 12-25",
		2025: "01-01 01-06 03-24 04-17 04-18 05-01 06-02 06-23 06-30 07-20 08-07 08-18 10-13 11-03 11-17 12-08 12-25",
		2024: "01-01 01-08 03-25 03-28 03-29 05-01 05-13 06-03 06-10 07-01 07-20 08-07 08-19 10-14 11-04 11-11 " +
			"12-08 12-25",
	} {
		var got []string
		for _, day := range Holidays("CO", year) {
			got = append(got, day.Format("01-02"))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%d (-want +got):\n%s", year, diff)
		}
	}
}

func TestEaster(t *testing.T) {
	for year, want := range map[int]string{2000: "04-23", 2008: "03-23", 2011: "04-24", 2024: "03-31", 2025: "04-20",
		2026: "04-05", 2027: "03-28", 2038: "04-25"} {
		if got := easterSunday(year).Format("01-02"); got != want {
			t.Errorf("%d: %s, want %s", year, got, want)
		}
	}
}

func TestParsePurpose(t *testing.T) {
	for in, want := range map[string]Purpose{"marketing": Marketing, " Cobranza ": Collections,
		"TRANSACCIONAL": Transactional,
		"collections":   Collections, "transactional": Transactional} {
		if got, err := ParsePurpose(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := ParsePurpose("spam"); err == nil {
		t.Error("spam is a purpose")
	}
}

func BenchmarkScheduleOpen(b *testing.B) {
	s, now := Hours("CO", Marketing), time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Open(now)
	}
}
