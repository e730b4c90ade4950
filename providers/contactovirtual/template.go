package contactovirtual

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"pregon/providers"
)

// templateStatus is the key that holds a template's text, which also says how WhatsApp decided. The document promises
// approved, pending and rejected ones and shows the first key only.
var templateStatus = []struct{ key, status string }{
	{"plantillaaprobada", "approved"},
	{"plantillapendiente", "pending"},
	{"plantillarechazada", "rejected"},
}

// judgeTemplates reads the list of document section 3: an array of {nombre_plantilla, plantilla_aprobada, status},
// where an error is an object with a code. PHP writes a list with gaps as an object with the numbers as keys.
func judgeTemplates(a providers.Answer) ([]providers.Template, *providers.Error) {
	raw, err := findJSON(a.Body)
	if err != nil {
		return nil, unreadable(a, err)
	}
	var items []json.RawMessage
	if raw[0] == '[' {
		if json.Unmarshal(raw, &items) != nil {
			return nil, unreadable(a, errNotJSON)
		}
	} else {
		o, err := readObject(raw)
		if err != nil {
			return nil, unreadable(a, err)
		}
		if code := o.code(); templateCodes[code].Class == providers.Accepted && code != "" {
			return []providers.Template{}, nil
		}
		if items = o.list(raw); items == nil {
			return nil, readFailure(a, templateCodes, o.code(), o.words())
		}
	}
	if a.Status/100 != 2 {
		return nil, providers.ClassifyStatus(a)
	}
	templates := make([]providers.Template, 0, len(items))
	for _, item := range items {
		t, failure := readTemplate(a, item)
		if failure != nil {
			return nil, failure
		}
		templates = append(templates, t)
	}
	return templates, nil
}

// list is the items of an object that stands for a list: one template, or templates under the keys "0", "1", … It is
// nil for any other object.
func (o object) list(raw json.RawMessage) []json.RawMessage {
	if isTemplate(o) {
		return []json.RawMessage{raw}
	}
	numbers := map[int]json.RawMessage{}
	for key, value := range o {
		n, err := strconv.Atoi(key)
		if err != nil || !bytes.HasPrefix(value, []byte("{")) {
			return nil
		}
		numbers[n] = value
	}
	var items []json.RawMessage
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		items = append(items, numbers[n])
	}
	return items
}

func isTemplate(o object) bool {
	if o.text("nombreplantilla") != "" {
		return true
	}
	for _, s := range templateStatus {
		if o.text(s.key) != "" {
			return true
		}
	}
	return false
}

// readTemplate reads one item. An item that is no template makes the whole list an error: a list that silently misses
// one would have a campaign checked against the wrong text.
func readTemplate(a providers.Answer, item json.RawMessage) (providers.Template, *providers.Error) {
	o, err := readObject(item)
	if err != nil {
		return providers.Template{}, unreadable(a, err)
	}
	if !isTemplate(o) {
		return providers.Template{}, readFailure(a, templateCodes, o.code(), o.words())
	}
	t := providers.Template{ID: o.text("idtemplate", "idplantilla", "id"), Name: o.text("nombreplantilla")}
	for _, s := range templateStatus {
		if text := o.text(s.key); text != "" {
			t.Text, t.Status = text, s.status
			break
		}
	}
	return t, nil
}
