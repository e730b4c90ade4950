package main

import (
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needRedis leaves a test out where there is no redis-server, and fails it where nothing may be left out.
func needRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv("PREGON_REQUIRE_ALL") != "" {
		t.Fatal("redis-server is not on PATH, and PREGON_REQUIRE_ALL asks for it")
	}
	t.Skip("left out: redis-server is not on PATH")
}
