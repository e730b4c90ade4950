package contactovirtual

import (
	"regexp"
	"strings"

	"pregon/providers"
)

// table explains the codes of one endpoint. Codes are scoped: 4 is a bad number when sending and an empty list when
// asking for templates. The comments quote the document where it names a code.
type table map[string]providers.Meaning

// CodeRefunded is our own code for an answer that says "sending error, return balance" without naming the error: not
// sent and refunded (document, section 1, after the example).
const CodeRefunded = "refunded"

var ownCodes = table{
	CodeRefunded: {Class: providers.NotNow,
		ES: "El proveedor no pudo enviar el mensaje y devolvió el saldo. Espere: se intenta varias veces antes de fallar.",
		EN: "The provider could not send the message and gave the credit back. Wait: it is tried several times."},
}

// sendCodes is the table "Retorno" of document section 1.
var sendCodes = table{
	// "Mensajes enviado".
	"1": {Class: providers.Accepted,
		ES: "El proveedor aceptó el mensaje. No hay nada que hacer: los acuses dirán si llegó.",
		EN: "The provider accepted the message. Nothing to do: reports will say whether it arrived."},
	// "Invalido usuario y/o password".
	"2": credentials,
	// "Usuario no tiene asignado un chatbot o multiagente. Consultar con soporte".
	"3": noChatbot,
	// "Debe ser de Colombia, debe iniciar con el 57 y debe tener 12 dígitos".
	"4": {Class: providers.Rejected,
		ES: "El proveedor no acepta este número. Escriba en la fila un celular colombiano: 57 y diez dígitos.",
		EN: "The provider does not take this number. Put a Colombian mobile into the row: 57 and ten digits."},
	// "No tiene saldo en la cuenta para realizar el envió", in English "no balance or inactive chatbot/multiagent".
	"5": {Class: providers.Broke, AskBalance: true,
		ES: "La cuenta no tiene saldo o su chatbot está inactivo. Recargue; si ya tiene saldo, escriba a soporte.",
		EN: "The account has no balance or its chatbot is inactive. Top up; if it has balance, write to support."},
	// "El campo message llega sin ninguna información".
	"6": {Class: providers.Content,
		ES: "El proveedor recibió el mensaje vacío. Revise que la campaña tenga plantilla y que la fila tenga sus datos.",
		EN: "The provider got an empty message. Check that the campaign has a template and the row its values."},
	// "El id_template no corresponde al proyecto". It cannot depend on the row.
	"7": {Class: providers.Content, Halt: true,
		ES: "La plantilla no pertenece a esta cuenta. Elija una de la cuenta o corrija el número de la plantilla.",
		EN: "The template does not belong to this account. Choose one of the account's or correct the template's number."},
	// "La cantidad de variables recibidas no corresponde a la cantidad de variables creadas en la plantilla".
	"8": {Class: providers.Content,
		ES: "La plantilla tiene otra cantidad de variables. Revise qué columna va en cada variable.",
		EN: "The template has another number of variables. Check which column goes into each variable."},
}

// balanceCodes is the table "Retorno" of document section 2.
var balanceCodes = table{"2": credentials, "3": noChatbot}

// templateCodes is the table "Retorno" of document section 3.
var templateCodes = table{
	"2": credentials,
	"3": noChatbot,
	// "No tiene plantillas aprobadas": the question was answered, with an empty list.
	"4": {Class: providers.Accepted,
		ES: "La cuenta no tiene plantillas aprobadas. Cree una y espere a que WhatsApp la apruebe.",
		EN: "The account has no approved templates. Create one and wait for WhatsApp to approve it."},
}

var (
	credentials = providers.Meaning{Class: providers.Blocked,
		ES: "El proveedor no reconoce el usuario o el token. Corrija las credenciales de la cuenta.",
		EN: "The provider does not know the login or the token. Correct the account's credentials."}
	noChatbot = providers.Meaning{Class: providers.Blocked,
		ES: "La cuenta no tiene chatbot ni multiagente asignado. Pida a soporte de contacto-virtual que lo asigne.",
		EN: "The account has no chatbot or multiagent. Ask contacto-virtual's support to assign one."}
)

// Describe explains a code of Send to people. Codes of the document come first, then those of the gateways behind it,
// then our own. 1008 has two meanings that only the provider's words tell apart; here it gets the document's class and
// a text that names both.
func (c *Client) Describe(code string) (providers.Meaning, bool) {
	if meaning, ok := sendMeaning(code, "", true); ok {
		return meaning, true
	}
	if meaning, ok := ownCodes[code]; ok {
		return meaning, true
	}
	return providers.Describe(code)
}

// DescribeReport explains the code of a "failed" report (document, section 1, Webhook), with its reason. There the send
// endpoint's codes do not occur, and a failure is definite: Meta's passing faults (reportCodes) may be sent again. A
// code that is not listed gives false: the row has failed, with that code. Blanks around the code do not count.
func (c *Client) DescribeReport(code, reason string) (meaning providers.Meaning, ok bool) {
	return reportMeaning(strings.TrimSpace(code), reason)
}

// sendMeaning looks a code up as part of an answer. Codes that are definite only in a report count if the answer says
// that the message was refunded.
func sendMeaning(code, words string, refunded bool) (providers.Meaning, bool) {
	if meaning, ok := sendCodes[code]; ok {
		return meaning, true
	}
	if meaning, ok := gatewayMeaning(code, words); ok {
		return meaning, true
	}
	meaning, ok := reportCodes[code]
	return meaning, ok && refunded
}

func reportMeaning(code, reason string) (providers.Meaning, bool) {
	if meaning, ok := gatewayMeaning(code, reason); ok {
		return meaning, true
	}
	meaning, ok := reportCodes[code]
	return meaning, ok
}

// optInWords is "User is not opted in and inactive", "está inactivo … y no ha optado", "opt-in"; not "optional".
var optInWords = regexp.MustCompile(`(?i)(?:\b|_)opt(?:[^i]|in|$)|inactiv`)

// gatewayMeaning looks a code up in the gateways' table. The document gives 1008 the words that Gupshup has for 1009
// ("required parameter is missing"), Gupshup says "not opted in and inactive", which is 1006. The words decide, and
// without any the document. Where both are said, the document's are contacto-virtual's fixed text for the number, and
// the others came with this very message.
func gatewayMeaning(code, words string) (providers.Meaning, bool) {
	if code == "1008" && optInWords.MatchString(words) {
		code = "1006"
	}
	meaning, ok := gatewayCodes[code]
	return meaning, ok
}
