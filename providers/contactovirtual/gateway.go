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
	// "Número no active para enviar mensajes a whatsapp".
	"1002": {Class: providers.Rejected, Suppress: 90 * day,
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
	// "No ha optado por el mensaje de plantilla".
	"1006": {Class: providers.Rejected,
		ES: "La persona no ha aceptado recibir mensajes. Pídale su autorización por otro medio.",
		EN: "The person has not agreed to get messages. Ask for consent another way."},
	// "No ha optado por el mensaje de plantilla y la plantilla no coincide".
	"1007": {Class: providers.Content,
		ES: "El texto no coincide con una plantilla y la persona no ha aceptado mensajes. Revise primero la plantilla.",
		EN: "The text matches no template and the person has not agreed to messages. Check the template first."},
	// "Falta parametros obligatorio en la plantilla".
	"1008": missingParameter,
	"1009": missingParameter,
	// "URL de medios no válida".
	"1010": {Class: providers.Content,
		ES: "La dirección del archivo no sirve. Compruebe que el enlace abra en un navegador sin iniciar sesión.",
		EN: "The file's address does not work. Make sure that the link opens in a browser without logging in."},
	// "Tamaño de mensaje no válido"; Gupshup: of the media.
	"1011": {Class: providers.Content,
		ES: "El mensaje o su archivo es demasiado grande. Acorte los valores o use un archivo más liviano.",
		EN: "The message or its file is too large. Shorten the values or use a smaller file."},
	"1012": {Class: providers.Rejected, Suppress: providers.Forever,
		ES: "La persona pidió no recibir mensajes. No le escriba más.",
		EN: "The person asked not to get messages. Do not write to them again."},
	"1013": notReachable,

	// Gupshup.
	"4001": {Class: providers.Blocked, RetryAfter: 15 * time.Minute,
		ES: "El proveedor pidió dejar de enviar por exceso de mensajes. Espere y escriba a soporte antes de seguir.",
		EN: "The provider asked to stop because of too many messages. Wait and write to support before going on."},
	"4002": {Class: providers.Unknown,
		ES: "WhatsApp dio una respuesta inválida y el mensaje pudo haber salido. Confirme antes de repetirlo.",
		EN: "WhatsApp gave an invalid answer and the message may have left. Make sure before repeating it."},
	"4003": badTemplate,
	"4004": badTemplate,
	"4005": pausedTemplate,

	// Meta: the template and its values.
	"100":    badParameter,
	"131008": missingParameter,
	"131009": badParameter,
	"131051": badParameter,
	"131052": badMedia,
	"131053": badMedia,
	"132000": {Class: providers.Content,
		ES: "La cantidad de variables no es la de la plantilla. Revise qué columnas van en cada variable.",
		EN: "The number of variables is not the template's. Check which columns go into which variable."},
	"132001": badTemplate,
	"132005": {Class: providers.Content,
		ES: "El texto con sus valores es demasiado largo. Acorte los valores de la fila.",
		EN: "The text with its values is too long. Shorten the row's values."},
	"132007": {Class: providers.Content,
		ES: "El contenido incumple una política de WhatsApp. Revise la plantilla con quien la aprobó.",
		EN: "The content breaks a WhatsApp policy. Go over the template with whoever approved it."},
	"132012": badParameter,
	"132015": pausedTemplate,
	"132016": {Class: providers.Content, Halt: true,
		ES: "WhatsApp deshabilitó la plantilla por su baja calidad. Cree otra plantilla.",
		EN: "WhatsApp disabled the template because of its low quality. Create another template."},
	"132018": badParameter,
	"470":    closedSession,
	"131047": closedSession,

	// Meta: the recipient.
	"130472": {Class: providers.Rejected,
		ES: "WhatsApp excluyó a esta persona por un experimento suyo. Use otro medio para ella.",
		EN: "WhatsApp left this person out because of an experiment of its own. Reach them another way."},
	"131021": {Class: providers.Rejected,
		ES: "El destinatario es el mismo número que envía. Quite esa fila del archivo.",
		EN: "The recipient is the sending number itself. Remove that row from the file."},
	"131026": notReachable,
	"131049": {Class: providers.Later, RetryAfter: day,
		ES: "WhatsApp limitó los mensajes de mercadeo a esta persona. Se intentará una vez más después de un día.",
		EN: "WhatsApp limited marketing messages to this person. It will be tried once more after a day."},
	"131050": {Class: providers.Rejected, Suppress: providers.Forever, MarketingOnly: true,
		ES: "La persona pidió no recibir mensajes de mercadeo. No le envíe más campañas de mercadeo.",
		EN: "The person asked not to get marketing messages. Send them no more marketing campaigns."},

	// Meta: the rate.
	"130429": {Class: providers.NotNow,
		ES: "Se enviaron demasiados mensajes por segundo. No hay nada que hacer: se intentará más despacio.",
		EN: "Too many messages a second were sent. Nothing to do: it will be tried more slowly."},
	"131056": {Class: providers.NotNow,
		ES: "Se enviaron demasiados mensajes seguidos a esta persona. Revise si está repetida en sus campañas.",
		EN: "Too many messages in a row went to this person. Check whether your campaigns repeat them."},

	// Meta: the account.
	"131048": {Class: providers.Blocked,
		ES: "WhatsApp limitó la cuenta por reportes de spam. Detenga las campañas y revise a quién le escribe.",
		EN: "WhatsApp limited the account because of spam reports. Stop the campaigns and review whom you write to."},
	"131042": {Class: providers.Blocked,
		ES: "La cuenta de WhatsApp tiene un problema de pago. Pida a soporte que lo resuelva.",
		EN: "The WhatsApp account has a payment problem. Ask support to settle it."},
	"131031": lockedAccount,
	"131045": lockedAccount,
	"133010": lockedAccount,
	"368":    lockedAccount,
}

// reportCodes is what only a "failed" report makes definite: there the message is known not to have been sent. In an
// answer the same numbers mean something else (1, 2, 4) or leave open whether it was (500).
var reportCodes = table{
	"500": busyWhatsApp, "131000": busyWhatsApp, "131016": busyWhatsApp, "131057": busyWhatsApp,
	"1": busyWhatsApp, "2": busyWhatsApp, "4": busyWhatsApp, "80007": busyWhatsApp,
}

var (
	missingParameter = providers.Meaning{Class: providers.Content,
		ES: "Falta un dato obligatorio de la plantilla. Revise que todas sus variables tengan valor.",
		EN: "A required value of the template is missing. Check that all its variables have a value."}
	badParameter = providers.Meaning{Class: providers.Content,
		ES: "WhatsApp no aceptó uno de los valores del mensaje. Revise los valores de la fila.",
		EN: "WhatsApp refused one of the message's values. Check the row's values."}
	badMedia = providers.Meaning{Class: providers.Content,
		ES: "WhatsApp no pudo usar el archivo del mensaje. Revise el enlace, el tipo y el tamaño del archivo.",
		EN: "WhatsApp could not use the message's file. Check the file's link, type and size."}
	badTemplate = providers.Meaning{Class: providers.Content,
		ES: "La plantilla no existe o no está aprobada. Revise su estado y su idioma.",
		EN: "The template does not exist or is not approved. Check its state and language."}
	pausedTemplate = providers.Meaning{Class: providers.Content, Halt: true,
		ES: "WhatsApp pausó la plantilla por su calidad. Espere a que vuelva a estar activa y reanude la campaña.",
		EN: "WhatsApp paused the template because of its quality. Wait until it is active again and resume the campaign."}
	closedSession = providers.Meaning{Class: providers.Content,
		ES: "Pasaron más de 24 horas desde que la persona escribió. Use una plantilla aprobada.",
		EN: "More than 24 hours have passed since the person wrote. Use an approved template."}
	notReachable = providers.Meaning{Class: providers.Rejected, Suppress: 30 * day,
		ES: "WhatsApp no puede entregarle mensajes a este número. Revise el número o busque otro medio.",
		EN: "WhatsApp cannot deliver to this number. Check the number or reach the person another way."}
	lockedAccount = providers.Meaning{Class: providers.Blocked,
		ES: "WhatsApp bloqueó o no reconoce la cuenta que envía. Escriba a soporte de contacto-virtual.",
		EN: "WhatsApp locked or does not know the sending account. Write to contacto-virtual's support."}
	busyWhatsApp = providers.Meaning{Class: providers.NotNow,
		ES: "WhatsApp no pudo enviar el mensaje por una falla pasajera. No hay nada que hacer: se intentará de nuevo.",
		EN: "WhatsApp could not send the message because of a passing fault. Nothing to do: it will be tried again."}
)
