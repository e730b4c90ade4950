package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"pregon/jobs"
)

// t picks the text of the user's language.
func (a *app) t(es, en string, args ...any) string {
	text := es
	if a.lang == "en" {
		text = en
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// oneLine makes a text that others will see on their terminals safe: what moves a cursor or colours a screen becomes a
// space.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// amount writes money, a balance or a rate as people do: 1.234,5 in Spanish, 1,234.5 in English, four decimals at most.
func (a *app) amount(v float64) string {
	return jobs.Amount(v, a.lang)
}

// count writes how many there are.
func (a *app) count(n int) string { return a.amount(float64(n)) }

// counted writes how many there are of something: "1 fila", "1.200 filas". es and en are the singular and the plural.
func (a *app) counted(n int, es, en [2]string) string {
	i := 1
	if n == 1 {
		i = 0
	}
	return a.count(n) + " " + a.t(es[i], en[i])
}

func (a *app) rows(n int) string {
	return a.counted(n, [2]string{"fila", "filas"}, [2]string{"row", "rows"})
}

func (a *app) messages(n int) string {
	return a.counted(n, [2]string{"mensaje", "mensajes"}, [2]string{"message", "messages"})
}

// bogota is where times without a zone are meant, and the zone in which times are shown.
const bogota = "America/Bogota"

// clock writes a moment for people.
func (a *app) clock(t time.Time) string {
	return a.t("%s (hora de Colombia)", "%s (Colombian time)", t.In(zone()).Format(time.DateTime))
}

// time writes a moment where it is said elsewhere in which zone.
func (a *app) time(t time.Time) string { return t.In(zone()).Format(time.DateTime) }

// zone is where times are shown.
func zone() *time.Location {
	z, err := time.LoadLocation(bogota)
	if err != nil { // never: the zones are linked into the program
		return time.UTC
	}
	return z
}
