package jobs

import (
	"time"
)

// Evidence says in words what is known about a row in doubt, a sentence or two to a line. Times are in zone.
func (d Doubt) Evidence(a Account, lang string, zone *time.Location) []string {
	lines := []string{d.when(lang, zone), d.happened(a, lang), d.tried(lang, zone)}
	if d.Replied != nil { // proof, beside which nothing else counts
		return append(lines, say(lang, "La persona respondió el %s: el mensaje le llegó. Cuéntela como enviada.",
			"The person replied on %s: the message arrived. Count it as sent.", d.Replied.In(zone).Format(time.DateTime)))
	}
	return append(lines, d.reported(lang))
}

func (d Doubt) when(lang string, zone *time.Location) string {
	from, to := d.From.In(zone), d.To.In(zone)
	day, begin, end := from.Format(time.DateOnly), from.Format(time.TimeOnly), to.Format(time.TimeOnly)
	switch {
	case to.Format(time.DateOnly) != day:
		return say(lang, "Se estaba enviando entre el %s y el %s.", "It was being sent between %s and %s.", day+" "+begin,
			to.Format(time.DateTime))
	case begin == end:
		return say(lang, "Se estaba enviando el %s a las %s.", "It was being sent on %s at %s.", day, begin)
	}
	return say(lang, "Se estaba enviando el %s de %s a %s.", "It was being sent on %s from %s to %s.", day, begin, end)
}

func (d Doubt) happened(a Account, lang string) string {
	if d.Code == "" {
		return say(lang, "No se sabe qué pasó.", "What happened is not known.")
	}
	text := CodeText(a, d.Code, lang) + say(lang, " Código %s", " Code %s", d.Code)
	if d.Why == "" {
		return text + "."
	}
	return text + say(lang, "; el proveedor dijo: «%s».", "; the provider said: \"%s\".", d.Why)
}

func (d Doubt) tried(lang string, zone *time.Location) string {
	if len(d.History) < 2 {
		return say(lang, "Es el único intento.", "It is the only attempt.")
	}
	return say(lang, "Historial: %s.", "History: %s.", story(d.History, d.To.In(zone).Format(time.DateOnly), lang, zone))
}

// reported weighs the reports about messages that no row knows. None says nothing: reports are not received yet.
func (d Doubt) reported(lang string) string {
	if d.Orphans == 0 {
		return say(lang, "Aún no se reciben acuses ni respuestas: que no haya no dice nada.",
			"Reports and replies are not received yet: that there are none says nothing.")
	}
	reports := counted(d.Orphans, lang, [2]string{"acuse de un mensaje que ninguna fila conoce",
		"acuses de mensajes que ninguna fila conoce"}, [2]string{"report about a message that no row knows",
		"reports about messages that no row knows"})
	verdict := say(lang, "alguna salió, y no se sabe cuál", "one or another left, and it is not known which")
	switch {
	case d.Orphans >= d.KnownDoubts && d.KnownDoubts == 1:
		verdict = say(lang, "probablemente salió", "it probably left")
	case d.Orphans >= d.KnownDoubts:
		verdict = say(lang, "probablemente salieron", "they probably left")
	}
	return say(lang, "%s en ese lapso, y %s en duda: %s.", "%s in that time, and %s in doubt: %s.", reports,
		rowsText(d.KnownDoubts, lang), verdict)
}

// Evidence says in words what the account's balance tells about all rows in doubt together. Times are in zone.
func (e BalanceEvidence) Evidence(lang string, zone *time.Location) string {
	text := say(lang, "Saldo: del %s al %s se gastaron %s; en ese tiempo el proveedor aceptó %s de esta campaña",
		"Balance: from %s to %s %s were spent; meanwhile the provider accepted %s of this campaign",
		e.Before.In(zone).Format(time.DateTime), e.After.In(zone).Format(time.DateTime), Amount(e.Spent, lang),
		counted(e.Accepted, lang, [2]string{"mensaje", "mensajes"}, [2]string{"message", "messages"}))
	switch {
	case e.Cost == nil:
		text += say(lang, ". Sin el precio por mensaje de la cuenta no se puede comparar.",
			". Without the account's price of a message this cannot be compared.")
	case e.Charged == nil:
		text += say(lang, ". Las cuentas no cuadran: otros usaron la cuenta, o hubo recargas o devoluciones.",
			". The figures do not add up: others used the account, or there were top-ups or refunds.")
	default:
		text += say(lang, ". Parece que se cobraron %s de las %s que estaban en duda; es solo un indicio, porque otros "+
			"pueden usar la cuenta.", ". It seems that %s of the %s in doubt were charged; that is a hint only, because "+
			"others may use the account.", Amount(float64(*e.Charged), lang), rowsText(e.Doubts, lang))
	}
	return text
}
