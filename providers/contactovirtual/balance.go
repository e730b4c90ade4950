package contactovirtual

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"pregon/providers"
)

// maxRawBalance is how many runes of an unreadable balance are kept.
const maxRawBalance = 64

// judgeBalance reads {"balance": "163", "status": "success"} (document, section 2) or an error's code.
func judgeBalance(a providers.Answer) (providers.Balance, *providers.Error) {
	raw, err := findJSON(a.Body)
	if err != nil {
		return providers.Balance{}, unreadable(a, err)
	}
	o, err := readObject(raw)
	if err != nil {
		return providers.Balance{}, unreadable(a, err)
	}
	value, given := o["balance"]
	code := o.code()
	switch {
	case given && (code == "" || code == "1") && a.Status/100 == 2 && !errorWord.MatchString(o.text("status")):
		text := scalar(value)
		if text == "" {
			text = string(value)
		}
		isNumber := len(value) > 0 && value[0] != '"'
		return parseBalance(text, isNumber), nil
	case a.Status/100 != 2 || code != "":
		return providers.Balance{}, readFailure(a, balanceCodes, code, o.words())
	}
	return providers.Balance{}, providers.Meaning{}.Error(providers.CodeNoCode, o.words())
}

// readFailure classifies an answer of an endpoint that only reads, which has no balance and no templates.
func readFailure(a providers.Answer, codes table, code, words string) *providers.Error {
	if meaning, ok := codes[code]; ok {
		return meaning.Error(code, words)
	}
	if a.Status/100 != 2 {
		return byStatus(a, code, words)
	}
	return providers.Meaning{}.Error(cmp.Or(code, providers.CodeNoCode), words)
}

var (
	currency     = regexp.MustCompile(`^(?i)(?:COP|USD)?\s*\$?\s*|\s*(?:COP|USD)$`)
	plainAmount  = regexp.MustCompile(`^-?[0-9]+$`)
	dotDecimal   = regexp.MustCompile(`^-?[0-9]+\.[0-9]+$`)
	commaDecimal = regexp.MustCompile(`^-?[0-9]+,[0-9]+$`)
	dotGroups    = regexp.MustCompile(`^-?[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]+)?$`)
	commaGroups  = regexp.MustCompile(`^-?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?$`)
	eitherWay    = regexp.MustCompile(`^-?[1-9][0-9]{0,2}\.[0-9]{3}$`)
)

// parseBalance reads an amount as people and PHP write it: "163", "163.50", "1.234,50", "1,234.50", "$ 163". A text
// like "1.234" is a thousand in Colombia and little more than one in PHP; like everything unclear it stays not Known.
// A JSON number has only one reading.
func parseBalance(text string, isNumber bool) providers.Balance {
	balance := providers.Balance{Raw: cutRunes(strings.ToValidUTF8(text, "\uFFFD"), maxRawBalance)}
	amount := text
	if !isNumber {
		amount = currency.ReplaceAllString(text, "")
		switch {
		case eitherWay.MatchString(amount):
			return balance
		case plainAmount.MatchString(amount), dotDecimal.MatchString(amount) && !dotGroups.MatchString(amount):
		case commaGroups.MatchString(amount):
			amount = strings.ReplaceAll(amount, ",", "")
		case dotGroups.MatchString(amount), commaDecimal.MatchString(amount):
			amount = strings.Replace(strings.ReplaceAll(amount, ".", ""), ",", ".", 1)
		default:
			return balance
		}
	}
	value, err := strconv.ParseFloat(amount, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return balance
	}
	balance.Amount, balance.Known = value, true
	return balance
}

func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
