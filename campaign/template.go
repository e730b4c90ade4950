package campaign

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Template is a message that the provider has approved. Text holds its variables as {1} or {{1}}, as the provider's
// list of templates shows them (contacto-virtual document, section 3); "" = unknown.
type Template struct{ ID, Name, Text string }

// variableMark finds a variable. Both {1} and {{1}} are in use, so that braces are not counted.
var variableMark = regexp.MustCompile(`\{+[ \t]*([0-9]{1,2})[ \t]*\}+`)

// Variables returns the distinct numbers of the variables in the text, sorted. Number 0 is not a variable.
func (t Template) Variables() []int {
	var numbers []int
	for _, m := range variableMark.FindAllStringSubmatch(t.Text, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// Render returns the text with its variables put in. The values are in the order of Variables, as in Recipient.Vars;
// a variable without a value stays as it is written. Values are put in once: braces inside them mean nothing.
func (t Template) Render(vars []string) string {
	return render(t.Text, t.Variables(), vars)
}

func render(text string, numbers []int, vars []string) string {
	var b strings.Builder
	last := 0
	for _, m := range variableMark.FindAllStringSubmatchIndex(text, -1) {
		n, err := strconv.Atoi(text[m[2]:m[3]])
		i, found := slices.BinarySearch(numbers, n)
		if err != nil || !found || i >= len(vars) {
			continue
		}
		b.WriteString(text[last:m[0]])
		b.WriteString(vars[i])
		last = m[1]
	}
	b.WriteString(text[last:])
	return b.String()
}
