// Package samples holds campaign files, good ones and bad ones, for the demo, the tests and the README.
package samples

import "embed"

// Files are the files that the demo sends.
//
//go:embed citas.xlsx promo.csv
var Files embed.FS
