package simulator

import (
	"fmt"
	"unicode/utf16"
)

// appendPHPString writes a JSON string as PHP's json_encode does: everything beyond ASCII as \uXXXX, and "/" as "\/".
func appendPHPString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r >= ' ' && r < 0x7f:
			b = append(b, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}

// templateList is the answer of /template/ (contacto-virtual document, section 3). It carries no ids: the document
// shows none.
func templateList(templates []Template) []byte {
	b := []byte{'['}
	for i, t := range templates {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"nombre_plantilla":`...)
		b = appendPHPString(b, t.Name)
		b = append(b, `,"plantilla_aprobada":`...)
		b = appendPHPString(b, t.Text)
		b = append(b, `,"status":"success"}`...)
	}
	return append(b, ']')
}
