package campaign

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPhonesAsPeopleWriteThem(t *testing.T) {
	const good = "573102111111"
	for text, want := range map[string]phone{
		"3102111111":                  {digits: good, country: "CO"},
		"310 211 1111":                {digits: good, country: "CO"},
		"310-211-1111":                {digits: good, country: "CO"},
		"310.211.1111":                {digits: good, country: "CO"},
		"3,102,111,111":               {digits: good, country: "CO"},
		"(310) 211-1111":              {digits: good, country: "CO"},
		"+573102111111":               {digits: good, country: "CO"},
		"+57 310 211 11 11":           {digits: good, country: "CO"},
		"(+57) 310 2111111":           {digits: good, country: "CO"},
		"57-310-211-1111":             {digits: good, country: "CO"},
		"0057 310 2111111":            {digits: good, country: "CO"},
		"573102111111.0":              {digits: good, country: "CO"},
		"573102111111,00":             {digits: good, country: "CO"},
		"'3102111111":                 {digits: good, country: "CO"},
		`="3102111111"`:               {digits: good, country: "CO"},
		"\u202a+57 310 2111111\u202c": {digits: good, country: "CO"},
		"310\u00a0211\u00a01111":      {digits: good, country: "CO"},
		"\ufeff3102111111":            {digits: good, country: "CO"},
		"３１０２１１１１１１":                  {digits: good, country: "CO"},
		"310–211–1111":                {digits: good, country: "CO"},
		" 3102111111\t":               {digits: good, country: "CO"},
		"59899123456":                 {digits: "59899123456", country: "UY"},
		"+34 600 111 222":             {digits: "34600111222", country: "ES"},
		"6012345678":                  {digits: "576012345678", country: "CO", code: "phone_landline", level: Warning},
		"3252111111": {digits: "573252111111", country: "CO", code: "phone_unverified",
			level: Warning},
		"573000000000":              {digits: "573000000000", country: "CO", code: "phone_rounded", level: Warning},
		"":                          {code: "phone_missing"},
		" - ":                       {code: "phone_missing"},
		"5.73E+11":                  {code: "phone_scientific"},
		"5,73E+11":                  {code: "phone_scientific"},
		"5,73e11":                   {code: "phone_scientific"},
		"300ABCDEFG":                {code: "phone_letters"},
		"31O2111111":                {code: "phone_letters"},
		"310*2111111":               {code: "phone_letters"},
		"57+3102111111":             {code: "phone_letters"},
		"no tiene":                  {code: "phone_letters"},
		"3102111111 ext 5":          {code: "phone_letters"},
		"3102111111 / 3152222222":   {code: "phone_two"},
		"3102111111;3152222222":     {code: "phone_two"},
		"3102111111 y 3152222222":   {code: "phone_two"},
		"3102111111 3152222222":     {code: "phone_two"},
		"3102111111-3152222222":     {code: "phone_two"},
		"310 211 1111 315 222 2222": {code: "phone_two"},
		"3102111111\n3152222222":    {code: "phone_two"},
		"310211":                    {code: "phone_short"},
		"2111111":                   {code: "phone_short"},
		"310211111":                 {code: "phone_short"},
		"31021111111":               {code: "phone_long"},
		"03102111111":               {code: "phone_long"},
		"12345678901234567890":      {code: "phone_long"},
		"1020304050":                {code: "phone_invalid"},
	} {
		t.Run(text, func(t *testing.T) {
			if diff := cmp.Diff(want, parsePhone(text, "CO"), cmp.AllowUnexported(phone{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumbersWithoutCodeBelongToTheCountryAskedFor(t *testing.T) {
	if got := parsePhone("099 123 456", "UY"); got != (phone{digits: "59899123456", country: "UY"}) {
		t.Errorf("UY: %+v", got)
	}
	if got := parsePhone("3102111111", "ES"); got.digits == "573102111111" {
		t.Error("a Spanish file's number was taken for a Colombian one")
	}
}

// TestFastPhoneEqualsCarefulPhone: wherever the fast path answers, it answers what the whole rule would.
func TestFastPhoneEqualsCarefulPhone(t *testing.T) {
	answered := 0
	compare := func(t interface{ Fatalf(string, ...any) }, text string) {
		fast, ok := usualColombian(text)
		if !ok {
			return
		}
		answered++
		if slow := carefulPhone(text, "CO"); fast != slow {
			t.Fatalf("%q: fast %+v, careful %+v", text, fast, slow)
		}
	}
	for prefix := 300; prefix < 400; prefix++ {
		for _, rest := range []string{"0000000", "0000001", "1000000", "5550429", "9999999", "2345678"} {
			compare(t, fmt.Sprintf("%d%s", prefix, rest))
		}
	}
	shapes := []string{"%s", "57%s", "+57%s", "+57 %s", "(57) %s", "57-%s", " %s ", "+%s", "(%s)", "%s-", "(+57)%s"}
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`3(0[0-5]|1[0-9]|2[0-3]|5[01]|[0-9]{2})[0-9]{7}`).Draw(t, "digits")
		if rapid.Bool().Draw(t, "grouped") {
			digits = digits[:3] + " " + digits[3:6] + "-" + digits[6:]
		}
		for _, shape := range shapes {
			compare(t, fmt.Sprintf(shape, digits))
		}
		compare(t, rapid.StringMatching(`[+( ]{0,2}[0-9() -]{8,18}`).Draw(t, "noise"))
	})
	if answered < 300 {
		t.Errorf("the fast path answered only %d times", answered)
	}
}

func TestProviderRulesForNumbers(t *testing.T) {
	_, rows := check(t, "a.csv", csv("Celular,Nombre", "+34600111222,Ana", "3005552001,Eva", "6012345678,Mia"),
		Spec{Rules: contactoVirtual})
	if p := rows[0]; p.Status != Invalid || p.Problems[0].Code != "phone_country" ||
		p.Problems[0].Args["prefix"] != "57" {
		t.Errorf("foreign number: %+v", p)
	}
	if rows[1].Status != Valid || rows[2].Status != Valid || rows[2].Problems[0].Code != "phone_landline" {
		t.Errorf("rows = %+v", rows[1:])
	}
}

func FuzzPhone(f *testing.F) {
	for _, s := range []string{"3102111111", "+57 310 211 1111", "0057 310 2111111", "5,73E+11", "300ABCDEFG", "a / b",
		"3102111111 / 3152222222", "=\"310\"", "\u202a+57", "++", "00", "٣١٠٢١١١١١١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := parsePhone(s, "CO")
		if fast, ok := usualColombian(s); ok && fast != carefulPhone(s, "CO") {
			t.Errorf("%q: fast path %+v differs", s, fast)
		}
		if p.digits == "" && (p.code == "" || p.level != Error) {
			t.Errorf("%q: neither number nor problem: %+v", s, p)
		}
		if strings.Trim(p.digits, "0123456789") != "" || len(p.digits) > 15 || p.digits != "" && len(p.digits) < 7 {
			t.Errorf("%q: digits %q", s, p.digits)
		}
		if p.digits != "" {
			if again := parsePhone("+"+p.digits, "CO"); again.digits != p.digits {
				t.Errorf("%q: %q reads back as %q", s, p.digits, again.digits)
			}
		}
	})
}
