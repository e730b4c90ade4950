package jobs

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets many tests run side by side, unless -parallel says how many: they wait for retries and looks of the
// keepers, which take seconds, and hardly use the processor. Fuzzing does, and takes the same flag.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" || f.Name == "test.fuzz" })
	if !chosen {
		if err := flag.Set("test.parallel", "12"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit))
}
