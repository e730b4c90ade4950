// Package simulator fakes the messaging providers from their documents alone. It serves demonstrations, tests and
// chaos runs, and it is an oracle: it counts what really arrived, per phone, whatever the client believes.
//
// The package imports nothing of this module. A document has to be misread twice, once here and once in the client,
// before a mistake can hide.
//
// # contacto-virtual
//
// The three endpoints are those of the contacto-virtual document, sections 1 to 3: POST /bot/chat_wa/ws/send/,
// /bot/chat_wa/ws/balance/ and /bot/chat_wa/ws/template/, each read as urlencoded or as multipart form. A send is
// checked in the order of the document's "Retorno" table: credentials (2), chatbot (3), mobile (4), balance (5),
// id_template present (6) and known (7), number of variables (8). A media address that is no http address of a listed
// file type gets 1010. A request that passes is treated by the last four digits of its mobile:
//
//	1001-1013  answers that code with "sending error, return balance"; the charge is refunded, nothing arrives
//	0429       first POST for the phone: 429 with Retry-After: 1; later ones are accepted
//	0503       first POST for the phone: 503 with Retry-After: 1; later ones are accepted
//	0500       arrives, then 500
//	0502       arrives, then 502 with an HTML page
//	0000       arrives, then the connection is closed (FIN) without an answer
//	0001       the connection is reset (RST) as if the body had not been read; nothing arrives
//	0408       arrives, and the answer never comes until the client gives up
//	0200       arrives, and the answer is 200 with an HTML page
//	0777       arrives, and the answer is code 1 without messageId
//	9999       answers the unlisted code 9999; nothing arrives
//
// Any other phone is accepted. The mobile is part of the body, so 0001 cannot be told apart without looking at it;
// [Faults].ResetUnread is the drop that truly leaves the body alone.
//
// The document is silent about much. These are choices of the simulator: a body that is no form has no fields (and so
// fails the credentials, as in PHP); a form that cannot be decoded is 400 (PHP would guess; a client's mistake should
// be loud); more than 1 MiB is 413; a method other than POST is 405; a path without its last slash is redirected with
// 301, as Apache does for a folder; custom_field is cut at 1,000 characters.
//
// # Control
//
// Paths below /_sim/ belong to no provider. They show and change the state of the simulator, as the methods of
// [Server] do in process:
//
//	GET  /_sim/             this help, as text
//	GET  /_sim/receipts     {"total":n,"phones":{"57…":count},"duplicates":k}; ?wait=n answers when total reaches n
//	GET  /_sim/messages     one JSON object per line and message, oldest first
//	GET  /_sim/rate         {"max_in_1s":n,"total":n,"first_ms":ms,"last_ms":ms}, over every POST to a send path
//	GET  /_sim/requests     {"path":count} for every provider path
//	GET  /_sim/balance      {"balance":n,"charged":n,"refunded":n};  POST {"balance":n} sets it
//	GET  /_sim/faults       the shares in force;  POST replaces them
//	POST /_sim/reset        back to the state in which the simulator started
//
// A new provider is one more file beside contactovirtual.go: it registers its paths in New, hands what arrives to the
// receipts log, asks the same fault source and ends its answers through the same delivery.
package simulator
