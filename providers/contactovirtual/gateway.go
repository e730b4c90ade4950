package contactovirtual

import (
	"time"

	"pregon/providers"
)

const day = 24 * time.Hour

// gatewayCodes is what WhatsApp's gateways say behind contacto-virtual, in an answer ("sending error, return balance")
// as well as in a "failed" report. 1002 to 1011 are the document's second table of section 1, whose words are Gupshup's
// (docs.gupshup.io, "Error and status messages"); the rest are Gupshup's and Meta's (Cloud API, "Error codes"), which
// pass through.
var gatewayCodes = table{
	// Gupshup: sender details mismatch.
	"1001": {Class: providers.Blocked,
		ES: "El remitente de la cuenta no está activo en WhatsApp. Escriba a soporte de contacto-virtual.",
		EN: "The account's sender is not active on WhatsApp. Write to contacto-virtual's support."},
	// "Número no active para enviar mensajes a whatsapp": one row's number, or our own if it is nearly everybody's.
	"1002": {Class: providers.Rejected, Suppress: 90 * day, Suspect: 0.8,
		ES: "El número no tiene WhatsApp. Revise el número o busque otro medio para esta persona.",
		EN: "The number is not on WhatsApp. Check the number or reach this person another way."},
	// "Verifique el saldo de su billetera". It may be the reseller's wallet.
	"1003": {Class: providers.Broke,
		ES: "La billetera de mensajes no tiene saldo. Recargue; si su cuenta tiene saldo, escriba a soporte.",
		EN: "The message wallet has no balance. Top up; if your account has balance, write to support."},
	// "La mensajería de plantilla está deshabilitada".
	"1004": {Class: providers.Blocked,
		ES: "La cuenta tiene deshabilitado el envío de plantillas. Pida a soporte que lo habilite.",
		EN: "Sending templates is disabled for the account. Ask support to enable it."},
	// "Plantilla no coincidió".
	"1005": {Class: providers.Content,
		ES: "El texto no coincide con una plantilla aprobada. Compare la plantilla y los valores con lo aprobado.",
		EN: "The text matches no approved template. Compare the template and the values with what was approved."},
	// "No ha optado por el mensaje de plantilla". Gupshup checks it no longer: many of them are an account's setting.
	"1006": {Class: providers.Rejected, Suspect: 0.5,
		ES: "La persona no ha aceptado recibir mensajes. Pídale su autorización por otro medio.",
		EN: "The person has not agreed to get messages. Ask for consent another way."},
	// "No ha optado por el mensaje de plantilla y la plantilla no coincide".
	"1007": {Class: providers.Content,
		ES: "El texto no coincide con una plantilla y la persona no ha aceptado mensajes. Revise primero la plantilla.",
		EN: "The text matches no template and the person has not agreed to messages. Check the template first."},
	// "Falta parametros obligatorio en la plantilla"; Gupshup: "User is not opted in and inactive". See gatewayMeaning.
	"1008": {Class: providers.Content,
		ES: "Falta un dato obligatorio de la plantilla, o la persona no ha aceptado mensajes. Revise ambas cosas.",
		EN: "A required value of the template is missing, or the person has not agreed to messages. Check both."},
	// Gupshup: required parameter is missing. The document has no 1009.
	"1009": missingParameter,
	// "URL de medios no válida".
	"1010": {Class: providers.Content,
		ES: "La dirección del archivo no sirve. Compruebe que el enlace abra en un navegador sin iniciar sesión.",
		EN: "The file's address does not work. Make sure that the link opens in a browser without logging in."},
	// "Tamaño de mensaje no válido"; Gupshup: of the media.
	"1011": {Class: providers.Content,
		ES: "El mensaje o su archivo es demasiado grande. Acorte los valores o use un archivo más liviano.",
		EN: "The message or its file is too large. Shorten the values or use a smaller file."},
	// Gupshup: the number opted out.
	"1012": {Class: providers.Rejected, Suppress: providers.Forever,
		ES: "La persona pidió no recibir mensajes. No le escriba más.",
		EN: "The person asked not to get messages. Do not write to them again."},
	// WhatsApp's own servers before the Cloud API: the user is not valid.
	"1013": notReachable,

	// Gupshup, "Please stop sending messages and contact Gupshup".
	"4001": {Class: providers.Blocked, RetryAfter: 15 * time.Minute,
		ES: "El proveedor pidió dejar de enviar por exceso de mensajes. Espere y escriba a soporte antes de seguir.",
		EN: "The provider asked to stop because of too many messages. Wait and write to support before going on."},
	// Gupshup: invalid response from WhatsApp. Not even a report makes it definite.
	"4002": {Class: providers.Unknown,
		ES: "WhatsApp dio una respuesta inválida y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "WhatsApp gave an invalid answer and the message may have left. Make sure before repeating it."},
	// Gupshup: no template matches; the message type is for the Cloud API only; the template is paused.
	"4003": badTemplate,
	"4004": badType,
	"4005": pausedTemplate,

	// Meta: the template and its values.
	"100":    badParameter,     // invalid parameter
	"131008": missingParameter, // required parameter is missing
	"131009": badParameter,     // parameter value is not valid
	"131051": badType,          // unsupported message type
	"131052": badMedia,         // media download error
	"131053": badMedia,         // media upload error
	// Template parameter count mismatch.
	"132000": {Class: providers.Content,
		ES: "La plantilla tiene otra cantidad de variables. Revise qué columna va en cada variable.",
		EN: "The template has another number of variables. Check which column goes into each variable."},
	"132001": badTemplate, // template does not exist
	// Template hydrated text too long.
	"132005": {Class: providers.Content,
		ES: "El texto con sus valores es demasiado largo. Acorte los valores de la fila.",
		EN: "The text with its values is too long. Shorten the row's values."},
	// Template format or character policy violated.
	"132007": {Class: providers.Content,
		ES: "El contenido incumple una política de WhatsApp. Cambie la plantilla o el valor que la incumple.",
		EN: "The content breaks a WhatsApp policy. Change the template or the value that breaks it."},
	"132012": badParameter,   // template parameter format mismatch
	"132015": pausedTemplate, // template is paused
	// Template is disabled.
	"132016": {Class: providers.Content, Halt: true,
		ES: "WhatsApp deshabilitó la plantilla por su baja calidad. Cree otra y lance la campaña con ella.",
		EN: "WhatsApp disabled the template because of its low quality. Create another and launch the campaign with it."},
	"132018": badParameter,
	"470":    closedSession, // 131047 before the Cloud API
	"131047": closedSession, // re-engagement message

	// Meta: the recipient.
	// User's number is part of an experiment.
	"130472": {Class: providers.Rejected,
		ES: "WhatsApp no entregó el mensaje por un experimento suyo con esta persona. Use otro medio para ella.",
		EN: "WhatsApp withheld the message because of an experiment of its own. Reach this person another way."},
	// Recipient cannot be sender.
	"131021": {Class: providers.Rejected,
		ES: "El destinatario es el mismo número que envía. Quite esa fila del archivo.",
		EN: "The recipient is the sending number itself. Remove that row from the file."},
	"131026": notReachable, // message undeliverable: no WhatsApp, an old one, or its terms not accepted
	// "To maintain healthy ecosystem engagement".
	"131049": {Class: providers.Later, RetryAfter: day,
		ES: "WhatsApp limitó los mensajes de mercadeo a esta persona. Espere: después de un día se intenta una vez más.",
		EN: "WhatsApp limited marketing messages to this person. Wait: after a day it is tried once more."},
	// User has stopped marketing messages.
	"131050": {Class: providers.Rejected, Suppress: providers.Forever, MarketingOnly: true,
		ES: "La persona pidió no recibir mensajes de mercadeo. No le envíe más campañas de mercadeo.",
		EN: "The person asked not to get marketing messages. Send them no more marketing campaigns."},

	// Meta: the rate.
	// Rate limit hit.
	"130429": {Class: providers.NotNow,
		ES: "Se enviaron demasiados mensajes por segundo. Espere: se intenta más despacio antes de fallar.",
		EN: "Too many messages a second were sent. Wait: it is tried more slowly."},
	// Pair rate limit hit: this sender and this recipient.
	"131056": {Class: providers.NotNow,
		ES: "Se enviaron demasiados mensajes seguidos a esta persona. Revise si está repetida en sus campañas.",
		EN: "Too many messages in a row went to this person. Check whether your campaigns repeat them."},

	// Meta: the account.
	// Spam rate limit hit.
	"131048": {Class: providers.Blocked,
		ES: "WhatsApp limitó la cuenta por reportes de spam. Detenga las campañas y revise a quién le escribe.",
		EN: "WhatsApp limited the account because of spam reports. Stop the campaigns and review whom you write to."},
	// Business eligibility: payment issue. The balance call says nothing about it.
	"131042": {Class: providers.Blocked,
		ES: "La cuenta de WhatsApp tiene un problema de pago. Pida a soporte que lo resuelva.",
		EN: "The WhatsApp account has a payment problem. Ask support to settle it."},
	"131031": lockedAccount, // account has been locked
	"131045": lockedAccount, // incorrect certificate
	"133010": lockedAccount, // phone number not registered
	"368":    lockedAccount, // temporarily blocked for policy violations
}

// reportCodes is what only a "failed" report makes definite: there the message is known not to have been sent. In an
// answer the same numbers mean something else (1, 2, 4) or leave open whether it was (500).
var reportCodes = table{
	"500":    busyWhatsApp, // Gupshup: internal server error
	"131000": busyWhatsApp, // something went wrong
	"131016": busyWhatsApp, // service unavailable
	"131057": busyWhatsApp, // account in maintenance mode
	"1":      busyWhatsApp, // API unknown
	"2":      busyWhatsApp, // API service
	"4":      busyWhatsApp, // API too many calls
	"80007":  busyWhatsApp, // rate limit issues
}

var (
	missingParameter = providers.Meaning{Class: providers.Content,
		ES: "Falta un dato obligatorio de la plantilla. Revise que todas sus variables tengan valor.",
		EN: "A required value of the template is missing. Check that all its variables have a value."}
	badParameter = providers.Meaning{Class: providers.Content,
		ES: "WhatsApp no aceptó uno de los valores del mensaje. Revise los datos de la fila.",
		EN: "WhatsApp refused one of the message's values. Check the row's data."}
	badMedia = providers.Meaning{Class: providers.Content,
		ES: "WhatsApp no pudo usar el archivo del mensaje. Revise el enlace, el tipo y el tamaño del archivo.",
		EN: "WhatsApp could not use the message's file. Check the file's link, type and size."}
	badTemplate = providers.Meaning{Class: providers.Content,
		ES: "La plantilla no existe o no está aprobada. Revise su estado y su idioma.",
		EN: "The template does not exist or is not approved. Check its state and language."}
	// WhatsApp pauses a template for three hours the first time and for six the second.
	pausedTemplate = providers.Meaning{Class: providers.Content, Halt: true, RetryAfter: 3 * time.Hour,
		ES: "WhatsApp pausó la plantilla por su calidad. Espere unas horas a que esté activa y reanude la campaña.",
		EN: "WhatsApp paused the template because of its quality. Wait some hours until it is active, then resume."}
	badType = providers.Meaning{Class: providers.Content,
		ES: "El remitente no puede enviar este tipo de mensaje. Revise con soporte el tipo de la plantilla.",
		EN: "The sender cannot send this type of message. Check the template's type with support."}
	closedSession = providers.Meaning{Class: providers.Content,
		ES: "Pasaron más de 24 horas desde que la persona escribió. Use una plantilla aprobada.",
		EN: "More than 24 hours have passed since the person wrote. Use an approved template."}
	notReachable = providers.Meaning{Class: providers.Rejected, Suppress: 30 * day,
		ES: "WhatsApp no puede entregarle mensajes a este número. Revise el número o busque otro medio.",
		EN: "WhatsApp cannot deliver to this number. Check the number or reach the person another way."}
	lockedAccount = providers.Meaning{Class: providers.Blocked,
		ES: "WhatsApp bloqueó la cuenta que envía, o no la reconoce. Escriba a soporte de contacto-virtual.",
		EN: "WhatsApp locked the sending account, or does not know it. Write to contacto-virtual's support."}
	busyWhatsApp = providers.Meaning{Class: providers.NotNow,
		ES: "WhatsApp no pudo enviar el mensaje por una falla pasajera. Espere: se intenta varias veces antes de fallar.",
		EN: "WhatsApp could not send the message because of a passing fault. Wait: it is tried several times."}
)
