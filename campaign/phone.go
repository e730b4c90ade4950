package campaign

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// phone is what became of a telephone cell. Code is "" for a good number; otherwise it names the problem, which is
// only a warning when level says so.
type phone struct {
	digits  string // country code first; "" when unreadable
	country string // ISO region
	code    string
	level   Level
}

// parsePhone reads a telephone number as people write it. Numbers without a country code belong to country.
//
// libphonenumber is asked only about what is not one of the usual Colombian shapes: it takes 15 µs per number.
func parsePhone(text, country string) phone {
	if country == "CO" {
		if p, ok := usualColombian(text); ok {
			return p
		}
	}
	return carefulPhone(text, country)
}

// usualColombian reads Colombian mobiles written with digits, spaces, hyphens, parentheses and an optional +57 or 57.
// It answers only where carefulPhone would answer the same.
func usualColombian(text string) (phone, bool) {
	var digits [12]byte
	n, plus := 0, false
	for i := range len(text) {
		switch b := text[i]; {
		case b >= '0' && b <= '9':
			if n == len(digits) {
				return phone{}, false
			}
			digits[n] = b
			n++
		case b == '+' && i == 0:
			plus = true
		case b == ' ', b == '-' && n > 0, b == '(' && n <= 2, b == ')' && n > 0:
		default:
			return phone{}, false
		}
	}
	national := digits[:n]
	switch {
	case n == 12 && digits[0] == '5' && digits[1] == '7':
		national = digits[2:n]
	case n != 10 || plus:
		return phone{}, false
	}
	if !colombianMobile(national) {
		return phone{}, false
	}
	return rounded(phone{digits: "57" + string(national), country: "CO"}), true
}

// colombianMobile reports prefixes whose whole range is given out (Plan Nacional de Numeración). The others are left
// to libphonenumber, which knows the parts.
func colombianMobile(national []byte) bool {
	if national[0] != '3' {
		return false
	}
	switch national[1] {
	case '0':
		return national[2] <= '5'
	case '1':
		return true
	case '2':
		return national[2] <= '3'
	case '5':
		return national[2] <= '1'
	}
	return false
}

// carefulPhone is the whole rule.
func carefulPhone(text, country string) phone {
	text = plainPhone(text)
	if text == "" {
		return phone{code: "phone_missing"}
	}
	if isScientific(text) {
		return phone{code: "phone_scientific"}
	}
	text = withoutZeroDecimals(text)
	if twoPhones(text, country) {
		return phone{code: "phone_two"}
	}
	digits, plus, ok := phoneDigits(text)
	switch {
	case !ok:
		return phone{code: "phone_letters"}
	case digits == "":
		return phone{code: "phone_missing"}
	case len(digits) > 17:
		return phone{code: "phone_long"}
	}
	// 00 is how one dials abroad in most countries. libphonenumber would read Colombia's 00 as 00 plus a carrier, and
	// "0057 310…" as a number in Russia.
	if international, found := strings.CutPrefix(digits, "00"); found && !plus {
		digits, plus = international, true
	}
	return rounded(judgePhone(digits, plus, country))
}

// plainPhone takes away what spreadsheets and chat programs leave around a number: direction marks, zero-width and
// no-break spaces, full-width digits, the apostrophe and ="…" that keep Excel from calculating.
func plainPhone(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !unicode.IsSpace(r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Pd, r) || r == '\u2212':
			return '-'
		}
		return r
	}, norm.NFKC.String(text))
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, `="`); ok && strings.HasSuffix(inner, `"`) {
		text = strings.TrimSuffix(inner, `"`)
	}
	return strings.TrimSpace(strings.TrimLeft(text, `'`))
}

// isScientific reports text such as 5.73E+11, which is what is left of a number after a CSV file went through Excel.
func isScientific(text string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(text), "E")
	if !ok || mantissa == "" || mantissa[0] < '0' || mantissa[0] > '9' {
		return false
	}
	exponent = strings.TrimPrefix(exponent, "+")
	return exponent != "" && strings.Trim(exponent, "0123456789") == "" && strings.Trim(mantissa, "0123456789.,") == ""
}

// withoutZeroDecimals turns 573102111111.0 and 573102111111,00 into whole numbers.
func withoutZeroDecimals(text string) string {
	i := strings.LastIndexAny(text, ".,")
	if i < 7 || len(text)-i > 3 || i == len(text)-1 || strings.Trim(text[i+1:], "0") != "" {
		return text
	}
	if strings.Trim(text[:i], "+0123456789") != "" {
		return text
	}
	return text[:i]
}

// phoneDigits takes digits out of their usual punctuation. ok is false for anything else: letters are not a way to
// write digits here, although libphonenumber would read 300ABCDEFG as one.
func phoneDigits(text string) (digits string, plus, ok bool) {
	b := make([]byte, 0, 16)
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			b = append(b, byte(r))
		case r == '+' && len(b) == 0 && !plus:
			plus = true
		case strings.ContainsRune(" -().,", r):
		default:
			return "", false, false
		}
	}
	return string(b), plus, true
}

// twoPhones reports a cell with more than one number, however they are set apart.
func twoPhones(text, country string) bool {
	strong := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/;|,\\&", r) })
	for _, word := range []string{" y ", " o ", " e ", " ó ", " and ", " or "} {
		if len(strong) == 1 {
			strong = strings.Split(strings.ToLower(text), word)
		}
	}
	if whole(strong) > 1 {
		return true
	}
	digits, _, ok := phoneDigits(text)
	if !ok || len(digits) <= 15 {
		return false
	}
	good := 0
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '-' }) {
		d, plus, ok := phoneDigits(part)
		if ok && len(d) >= 7 && judgePhone(d, plus, country).code == "" {
			good++
		}
	}
	return good > 1 || len(digits)%2 == 0 && good == 0 && len(digits) >= 20 && strings.ContainsAny(text, " -") &&
		judgePhone(digits[:len(digits)/2], strings.HasPrefix(text, "+"), country).code == "" &&
		judgePhone(digits[len(digits)/2:], strings.HasPrefix(text, "+"), country).code == ""
}

// whole counts the parts that have enough digits to be a number of their own.
func whole(parts []string) (n int) {
	for _, part := range parts {
		if digits, _, ok := phoneDigits(part); ok && len(digits) >= 7 {
			n++
		}
	}
	return n
}

// judgePhone asks libphonenumber. Its lists of given-out ranges lag behind the operators, so that a number which has
// a mobile's length is only doubtful; a Colombian mobile starts with 3 in any case.
func judgePhone(digits string, plus bool, country string) phone {
	number, err := phonenumbers.Parse(withPlus(digits, plus), country)
	if err != nil {
		return phone{code: lengthCode(digits)}
	}
	if phonenumbers.IsValidNumber(number) {
		return accepted(number)
	}
	if code := offLength(number); code != "" {
		if abroad, ok := foreign(digits, plus, country); ok {
			return abroad
		}
		return phone{code: code}
	}
	p := accepted(number)
	if strings.HasPrefix(phonenumbers.GetNationalSignificantNumber(number), "0") ||
		number.GetCountryCode() == 57 && !strings.HasPrefix(p.digits, "573") {
		return phone{code: "phone_invalid"}
	}
	p.code, p.level = "phone_unverified", Warning
	return p
}

// foreign reads a number whose country code is written without a plus. In a Colombian file eleven digits that start
// with 3 are taken for a mobile with a digit too many, although +31 6… is one in the Netherlands.
func foreign(digits string, plus bool, country string) (phone, bool) {
	if plus || len(digits) < 11 || country == "CO" && digits[0] == '3' {
		return phone{}, false
	}
	number, err := phonenumbers.Parse("+"+digits, country)
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return phone{}, false
	}
	return accepted(number), true
}

// offLength compares a number that is not valid with a mobile of its country, and names what is wrong with it.
func offLength(number *phonenumbers.PhoneNumber) string {
	region := phonenumbers.GetRegionCodeForCountryCode(int(number.GetCountryCode()))
	mobile := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if mobile == nil {
		return "phone_invalid"
	}
	have := len(phonenumbers.GetNationalSignificantNumber(number))
	switch want := len(phonenumbers.GetNationalSignificantNumber(mobile)); {
	case have < want:
		return "phone_short"
	case have > want:
		return "phone_long"
	}
	return ""
}

func withPlus(digits string, plus bool) string {
	if plus {
		return "+" + digits
	}
	return digits
}

func lengthCode(digits string) string {
	switch {
	case len(digits) < 7:
		return "phone_short"
	case len(digits) > 15:
		return "phone_long"
	}
	return "phone_invalid"
}

func accepted(number *phonenumbers.PhoneNumber) phone {
	p := phone{
		digits:  strings.TrimPrefix(phonenumbers.Format(number, phonenumbers.E164), "+"),
		country: phonenumbers.GetRegionCodeForNumber(number),
	}
	if p.country == "" || p.country == "ZZ" {
		p.country = phonenumbers.GetRegionCodeForCountryCode(int(number.GetCountryCode()))
	}
	if phonenumbers.GetNumberType(number) == phonenumbers.FIXED_LINE {
		p.code, p.level = "phone_landline", Warning
	}
	return p
}

// rounded doubts a number that ends in six zeros: Excel keeps three digits of 5,73E+11 and fills up with zeros.
func rounded(p phone) phone {
	if p.code == "" && strings.HasSuffix(p.digits, "000000") {
		p.code, p.level = "phone_rounded", Warning
	}
	return p
}

// supportedCountry reports whether libphonenumber knows the region.
func supportedCountry(region string) bool {
	return phonenumbers.GetSupportedRegions()[region]
}
