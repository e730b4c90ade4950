package campaign

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// foldHeader makes header texts comparable: no case, accents, punctuation or repeated blanks.
func foldHeader(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// weakName is the score of a name that needs phones under it to be believed ("Contacto", "Número").
const weakName = 1

var phoneWords = map[string]int{
	"whatsapp": 6, "whatsap": 6, "wsp": 6, "wpp": 6, "wa": 6, "wapp": 6, "ws": 6,
	"celular": 5, "celulares": 5, "cel": 5, "movil": 5, "mobile": 5, "cellphone": 5, "cell": 5, "msisdn": 5,
	"telefono": 4, "telefonos": 4, "tel": 4, "telf": 4, "phone": 4, "telephone": 4, "telefonico": 4,
}

var weakPhoneNames = []string{"numero", "contacto", "number", "contact", "linea", "destinatario", "destino", "to",
	"recipient", "num", "nro", "no"}

// otherMeaning are words beside which a phone word names something else ("Tipo de teléfono", "Celular válido").
var otherMeaning = []string{"tipo", "type", "estado", "status", "valido", "valid", "operador", "carrier", "fecha",
	"date", "nombre", "name", "marca", "modelo", "model", "plan", "indicativo", "ext", "extension", "compania",
	"codigo"}

// phoneScore says how clearly a folded header names a phone column; 0 = not at all.
func phoneScore(header string) int {
	words := strings.Fields(header)
	if len(words) == 0 || len(words) > 5 {
		return 0
	}
	score := 0
	for _, word := range words {
		if slices.Contains(otherMeaning, word) {
			return 0
		}
		score = max(score, phoneWords[strings.TrimRight(word, "0123456789")])
	}
	if score == 0 && slices.Contains(weakPhoneNames, header) {
		return weakName
	}
	if score > 0 && slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"fijo", "fija", "oficina", "casa", "landline", "home", "office"}, w)
	}) {
		return 2
	}
	return score
}
