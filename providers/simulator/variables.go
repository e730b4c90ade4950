package simulator

import "strings"

// parseVariables reads a template_variables field, "[Carlos] [$100] [miércoles]", into its values (contacto-virtual
// document, section 1). Each value runs from a '[' to the next ']', since the document knows no escape: a ']' inside a
// value ends it, a '[' inside one belongs to it. What stands outside brackets, or after a '[' that is never closed, is
// no value.
func parseVariables(s string) []string {
	var values []string
	for {
		_, rest, found := strings.Cut(s, "[")
		if !found {
			return values
		}
		value, after, found := strings.Cut(rest, "]")
		if !found {
			return values
		}
		values = append(values, value)
		s = after
	}
}
