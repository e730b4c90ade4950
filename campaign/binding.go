package campaign

import (
	"strconv"
	"strings"
)

// maxVariables is above what any template has; WhatsApp's own limit on the body leaves room for fewer.
const maxVariables = 99

// ParseBinding reads "1=Nombre" (variable 1 comes from the column Nombre) and "2==texto fijo" (variable 2 is that
// text in every row). Its error is a *FileError.
func ParseBinding(s string) (Binding, error) {
	left, right, found := strings.Cut(s, "=")
	left = strings.Trim(strings.TrimSpace(left), "{} ")
	n, err := strconv.Atoi(left)
	if !found || err != nil || n < 1 || n > maxVariables || left[0] == '+' {
		return Binding{}, &FileError{Code: "binding", Args: map[string]string{"binding": clip(s)}}
	}
	if fixed, ok := strings.CutPrefix(right, "="); ok {
		if cleanValue(fixed, false).text == "" {
			return Binding{}, &FileError{Code: "binding_empty", Args: number("n", n)}
		}
		return Binding{N: n, Fixed: fixed, IsFixed: true}, nil
	}
	column := strings.TrimSpace(right)
	if column == "" {
		return Binding{}, &FileError{Code: "binding_empty", Args: number("n", n)}
	}
	return Binding{N: n, Column: column}, nil
}
