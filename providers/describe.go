package providers

import (
	"strconv"
	"strings"
)

// ownCodes explains the Code constants.
var ownCodes = map[string]Meaning{
	CodeGate: {Class: Unsent,
		ES: "El envío se detuvo justo antes de salir. No hay nada que hacer: se intentará de nuevo.",
		EN: "The send was stopped just before it left. Nothing to do: it will be tried again."},
	CodeNoConnection: {Class: Unsent,
		ES: "No hubo conexión con el proveedor y el mensaje no salió. Revise la red; se intentará de nuevo.",
		EN: "The provider could not be reached and the message did not leave. Check the network; it will be tried again."},
	CodeTLS: {Class: Unsent,
		ES: "La conexión segura con el proveedor falló y el mensaje no salió. Avise a quien administra el sistema.",
		EN: "The secure connection to the provider failed and the message did not leave. Tell whoever runs the system."},
	CodeCancelled: {Class: Unsent,
		ES: "El envío se canceló antes de salir. No hay nada que hacer: la fila sigue pendiente.",
		EN: "The send was cancelled before it left. Nothing to do: the row is still open."},
	CodeBadRequest: {Class: Unsent,
		ES: "El mensaje no se pudo preparar y no salió. Avise a quien administra el sistema.",
		EN: "The message could not be prepared and did not leave. Tell whoever runs the system."},
	CodeTimeout: {Class: Unknown,
		ES: "El proveedor no respondió a tiempo y el mensaje pudo haber salido. Confirme con la persona antes de repetirlo.",
		EN: "The provider did not answer in time and the message may have left. Ask the person before repeating it."},
	CodeInterrupted: {Class: Unknown,
		ES: "El envío se interrumpió y el mensaje pudo haber salido. Confirme con la persona antes de repetirlo.",
		EN: "The send was interrupted and the message may have left. Ask the person before repeating it."},
	CodeReset: {Class: Unknown,
		ES: "La conexión se cortó y el mensaje pudo haber salido. Confirme con la persona antes de repetirlo.",
		EN: "The connection broke and the message may have left. Ask the person before repeating it."},
	CodeMalformed: {Class: Unknown,
		ES: "La respuesta del proveedor llegó dañada y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "The provider's answer came damaged and the message may have left. Make sure before repeating it."},
	CodeCutAnswer: {Class: Unknown,
		ES: "La respuesta del proveedor llegó incompleta y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "The provider's answer came incomplete and the message may have left. Make sure before repeating it."},
	CodeNotJSON: {Class: Unknown,
		ES: "La respuesta del proveedor no se entiende y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "The provider's answer makes no sense and the message may have left. Make sure before repeating it."},
	CodeNoCode: {Class: Unknown,
		ES: "El proveedor respondió sin código y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "The provider answered without a code and the message may have left. Make sure before repeating it."},
}

// Describe explains a code of this package: a Code constant or "http_<status>". ok is false for any other code.
func Describe(code string) (meaning Meaning, ok bool) {
	if meaning, ok = ownCodes[code]; ok {
		return meaning, true
	}
	digits, found := strings.CutPrefix(code, "http_")
	status, err := strconv.Atoi(digits)
	if !found || err != nil || status < 100 || status > 999 {
		return Meaning{}, false
	}
	meaning = statusMeanings[statusClass(status)]
	meaning.Class = statusClass(status)
	return meaning, true
}

// statusMeanings explains HTTP statuses, by class.
var statusMeanings = map[Class]Meaning{
	Unknown: {
		ES: "El servidor del proveedor falló y el mensaje pudo haber salido. Confirme con la persona antes de repetirlo.",
		EN: "The provider's server failed and the message may have left. Ask the person before repeating it."},
	NotNow: {
		ES: "El proveedor pidió ir más despacio. Espere: se intenta varias veces antes de fallar.",
		EN: "The provider asked to slow down. Wait: it is tried several times."},
	Content: {
		ES: "El proveedor no aceptó el contenido del mensaje. Revise la plantilla y los valores de la fila.",
		EN: "The provider refused the message's content. Check the template and the row's values."},
	Blocked: {
		ES: "El proveedor no dejó entrar a la cuenta. Revise la dirección y las credenciales de la cuenta.",
		EN: "The provider did not let the account in. Check the account's address and credentials."},
}
