package campaign

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// display returns the text of a cell as it will be sent, and the code of a problem if it cannot be. Numbers come as
// the sheet stores them ("5.73102111111E11", "19.9899999999999999998"), not as it shows them.
func (c cell) display(date1904 bool) (text, code string) {
	switch c.kind {
	case kindText:
		return c.text, ""
	case kindBool:
		if c.text == "1" || strings.EqualFold(c.text, "true") {
			return "VERDADERO", ""
		}
		return "FALSO", ""
	case kindISO:
		return isoDate(c.text), ""
	case kindError:
		return c.text, "cell_error"
	case kindUncached:
		return "", "formula_empty"
	}
	v, ok := decimal(c.text)
	if !ok {
		return c.text, "" // ISO dates and whatever else is stored as text in a number's place
	}
	switch c.kind {
	case kindPercent:
		return plainNumber(strconv.FormatFloat(v*100, 'g', 15, 64)) + "%", ""
	case kindDate, kindDateTime, kindTime, kindElapsed:
		return serial(v, c.kind, date1904)
	}
	return plainNumber(c.text), ""
}

// decimal parses a stored number. NaN, infinities and hexadecimal floats, which ParseFloat takes, are no cell values.
func decimal(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "+-.0123456789eE") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// plainNumber writes a stored number without exponent, to the 15 significant digits that Excel has: 19.99 is stored
// with 17 digits or more. Whole numbers that are written as such stay untouched.
func plainNumber(stored string) string {
	if digits := strings.TrimPrefix(stored, "-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return stored
	}
	v, ok := decimal(stored)
	if !ok {
		return stored
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	if err != nil || math.Abs(short) >= 1e18 || short != 0 && math.Abs(short) < 1e-12 {
		return strconv.FormatFloat(v, 'g', 15, 64)
	}
	return strconv.FormatFloat(short+0, 'f', -1, 64)
}

// Serials count days; 2,958,465 is 31 December 9999, the last one Excel shows.
const lastSerial = 2_958_466

// serial writes a stored date or time the way Colombians do: dd/mm/yyyy and HH:MM, to the minute. What the cell's
// format hides (the time of a date cell) is not sent either.
func serial(v float64, kind cellKind, date1904 bool) (text, code string) {
	if v < 0 || v >= lastSerial {
		return "", "date_range"
	}
	minutes := int(math.Round(v * 24 * 60))
	clock := fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
	switch kind {
	case kindTime:
		return clock, ""
	case kindElapsed:
		return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60), ""
	}
	days, base := minutes/(24*60), time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case date1904:
		base = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case kind == kindDate && days == 0, days == 60:
		return "", "date_range" // 0 January and 29 February 1900 exist in Excel only
	case days == 0:
		return clock, "" // a time of day in a cell formatted for both
	case days < 60:
		days++ // Excel counts that day
	}
	date := base.AddDate(0, 0, days).Format("02/01/2006")
	if kind == kindDateTime {
		return date + " " + clock, ""
	}
	return date, ""
}

// isoDate writes an ISO 8601 date the way serial does; what is none stays as it is.
func isoDate(stored string) string {
	for _, layouts := range [][2]string{{"2006-01-02", "02/01/2006"}, {"15:04:05", "15:04"},
		{"2006-01-02T15:04:05", "02/01/2006 15:04"}, {"2006-01-02T15:04:05Z", "02/01/2006 15:04"}} {
		if t, err := time.Parse(layouts[0], stored); err == nil {
			return t.Format(layouts[1])
		}
	}
	return stored
}

// formatKind tells from a number format how a number is shown. id is the numFmtId, code the custom format, "" for
// the built-in ones (ECMA-376 part 1, section 18.8.30).
func formatKind(id int, code string) cellKind {
	if code != "" {
		return codeKind(code)
	}
	switch {
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id >= 34 && id <= 36, id >= 50 && id <= 54, id == 57, id == 58:
		return kindDate
	case id == 22:
		return kindDateTime
	case id == 46:
		return kindElapsed
	case id >= 18 && id <= 21, id == 32, id == 33, id == 45, id == 47, id == 55, id == 56:
		return kindTime
	case id == 9, id == 10:
		return kindPercent
	case id >= 3 && id <= 8, id >= 37 && id <= 44:
		return kindMasked
	}
	return kindNumber
}

// codeKind reads a custom format: only its first section, without literal text, colours and locales.
func codeKind(code string) cellKind {
	bare, elapsed := bareFormat(code)
	days := strings.ContainsAny(bare, "dy")
	hours := strings.ContainsAny(bare, "hs")
	switch {
	case strings.HasPrefix(bare, "general"), bare == "@", bare == "":
		return kindNumber
	case elapsed:
		return kindElapsed
	case days && hours:
		return kindDateTime
	case hours:
		return kindTime
	case days, strings.Contains(bare, "m") && !strings.ContainsAny(bare, "0#?"):
		return kindDate
	case strings.Contains(bare, "%"):
		return kindPercent
	case strings.Contains(bare, "e"):
		return kindNumber // 0.00E+00 hides digits, but the number itself is whole
	case strings.Trim(bare, "0.") == "" && !strings.HasPrefix(bare, "00"):
		return kindNumber
	}
	return kindMasked
}

// bareFormat strips quoted and escaped text, fill and width characters, and [brackets]; elapsed reports [h] and kin.
func bareFormat(code string) (bare string, elapsed bool) {
	var b strings.Builder
	runes := []rune(strings.ToLower(code))
	for i := 0; i < len(runes); i++ {
		switch runes[i] {
		case ';':
			return b.String(), elapsed
		case '"':
			for i++; i < len(runes) && runes[i] != '"'; i++ {
				continue
			}
		case '\\', '_', '*':
			i++
		case '[':
			from := i + 1
			for i < len(runes) && runes[i] != ']' {
				i++
			}
			inner := string(runes[min(from, len(runes)):i])
			elapsed = elapsed || inner != "" && (strings.Trim(inner, "h") == "" || strings.Trim(inner, "m") == "" ||
				strings.Trim(inner, "s") == "")
			if strings.HasPrefix(inner, "$") && !strings.HasPrefix(inner, "$-") {
				b.WriteRune('¤')
			}
		default:
			b.WriteRune(runes[i])
		}
	}
	return b.String(), elapsed
}
