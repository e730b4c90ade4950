// Package campaign turns the spreadsheet that a marketing person already has into checked recipients.
//
// It is pure: no network, no Redis and no clock. A bad row is data (a Recipient that is Invalid, with its Problems);
// a broken file is an error (a *FileError). Nothing is ever dropped in silence: a row that is not sent to is counted,
// named by the row number people see in their file, and explained in Spanish and in English.
//
//	f, err := campaign.Open(campaign.Input{Name: "citas.xlsx", R: file, Size: size}, campaign.Spec{})
//	…
//	report, err := campaign.Check(f, func(r *campaign.Recipient) error { … })
package campaign

import "io"

// Input is a spreadsheet to read. Name gives only hints (its extension) and is shown in reports; what the file is
// gets decided by its content. Size is in bytes.
type Input struct {
	Name string
	R    io.ReaderAt
	Size int64
}

// Spec says how to read a file and what to make of each row. The zero Spec finds everything out.
type Spec struct {
	Sheet     string // sheet's name; "" = the first visible one that holds contacts
	Encoding  string // "utf-8", "windows-1252", "utf-16le", "utf-16be", "cp850", "macintosh"; "" = find out
	Delimiter string // one character, or "tab"; "" = find out
	Header    int    // the header's row number as people see it; 0 = find out
	Phone     string // column: header text (case, accents and spaces do not matter) or letter ("B"); "" = find out

	// Vars are explicit bindings. Where there are none, the remaining columns become variables in order. Where there
	// are some and the template's text is unknown, only gaps below the highest number are filled.
	Vars     []Binding
	Defaults map[int]string // value for an empty variable n

	Media          string // column, or one URL (http:// or https://) for every row
	CustomField    string // column
	Country        string // ISO 3166 region for numbers without a country code; "" = "CO"
	KeepDuplicates bool
	Template       Template // zero: unknown, variables are unverified
	NoVars         bool     // the provider takes no variables: bound ones are refused
	Rules          Rules
}

// Binding says where the value of variable N comes from: a column, or a fixed text when IsFixed.
type Binding struct {
	N       int
	Column  string
	Fixed   string
	IsFixed bool
}

// Rules is what the provider accepts; the zero value accepts everything.
type Rules struct {
	Prefix     string   // country code that numbers must start with ("57")
	Digits     int      // how many digits a number must have, country code included (12)
	NoBrackets bool     // [ and ] become ( and ), as a warning
	MaxBody    int      // runes of the message after substitution; 0 = no limit
	MaxCustom  int      // runes of the custom field; 0 = no limit
	MediaTypes []string // allowed extensions of the media URL's path, lower case without the dot; nil = any
}

// Status is what became of a row. The zero value is the careful one.
type Status uint8

// The three statuses of a row.
const (
	Invalid Status = iota // refused, with at least one Problem of level Error
	Valid                 // can be sent to
	Skipped               // fine in itself, left out for a reason (a duplicate)
)

// String returns the stable lower-case word of the status.
func (s Status) String() string {
	switch s {
	case Valid:
		return "valid"
	case Skipped:
		return "skipped"
	default:
		return "invalid"
	}
}

// Recipient is one data row, judged.
type Recipient struct {
	Row     int    // as people see it in their file: the header is usually 1, blank rows count
	Status  Status // the zero value is Invalid
	Phone   string // digits, country code first ("573102111111"); "" when unreadable
	Country string // ISO region of the number, "CO"

	Vars        []string // in the order of Columns.Vars
	Media       string   // URL, "" = none
	CustomField string
	Problems    []Problem // errors and warnings of this row
}

// Level is how serious a problem is.
type Level uint8

// The three levels of a problem.
const (
	Error   Level = iota // the row is Invalid because of it
	Warning              // the row goes on, changed or doubtful as the problem says
	Skip                 // the row is Skipped because of it
)

// String returns the stable lower-case word of the level.
func (l Level) String() string {
	switch l {
	case Warning:
		return "warning"
	case Skip:
		return "skip"
	default:
		return "error"
	}
}

// Problem is one thing to tell about a row, or about the whole file when Row is 0.
type Problem struct {
	Row    int
	Column string // header text
	Value  string // as seen in the cell, cut at 80 runes
	Code   string // stable snake_case, listed in catalogue.txt
	Level  Level
	Args   map[string]string // what the sentences need
}

// Column is one column of the file. Header is its letter when it has no header text.
type Column struct{ Letter, Header string }

// BoundVar is one variable and where its value comes from: a column, or Fixed when Column is nil.
type BoundVar struct {
	N      int
	Column *Column
	Fixed  string
}

// Columns is the mapping of a file's columns. Media is nil when there is none or when it is one URL for every row.
type Columns struct {
	Phone       Column
	Vars        []BoundVar // ascending by N
	Media       *Column
	CustomField *Column
	Unused      []Column
}

// Layout is how a file was understood.
type Layout struct {
	Format    string // "csv" or "xlsx"
	Encoding  string // CSV only: "utf-8", "windows-1252", …
	Delimiter string // CSV only: the character itself
	Sheet     string // XLSX only
	HeaderRow int    // as people see it; 0 = the file has no header
	Columns   Columns
	Notes     []Problem // about the whole file (Row 0, level Warning)
}

// MaxProblems is how many problems a Report keeps; the others are counted in ProblemsOmitted.
const MaxProblems = 10_000

// Report is the result of checking a whole file.
type Report struct {
	Layout Layout

	// Rows = Valid + Invalid + Skipped. Blank rows, rows above the header and hidden rows are not rows.
	Rows, Valid, Invalid, Skipped int
	Warnings                      int // problems of level Warning; the Layout's notes are not among them

	Problems        []Problem // the first MaxProblems, in row order
	ProblemsOmitted int
	Codes           map[string]int // problems by code, the omitted ones too
	Sample          []Recipient    // the first three valid ones
	LastRow         int            // the highest row number
	Countries       []string       // ISO regions of the valid rows, sorted
	Hash            string         // hex SHA-256 of the checked rows: number, status, phone, vars, media, custom field
}

// FileError says that a file, or the way it was asked to be read, is broken as a whole: no row can be trusted.
type FileError struct {
	Code string            // stable snake_case, listed in catalogue.txt
	Args map[string]string // what the sentences need; may hold header texts, so it is for people and not for logs
	Err  error             // the cause, if any
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }
