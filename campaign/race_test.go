//go:build race

package campaign

func init() { raceDetector = true }
