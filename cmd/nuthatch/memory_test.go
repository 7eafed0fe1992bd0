package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The process's memory is hidden before the configuration is read: also if it is refused, and
// by a mere check of it.
func TestMemoryIsHiddenFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faulty.yml")
	if err := os.WriteFile(file, []byte("alpha: {redis_auth: secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) })
	for _, args := range [][]string{{nuthatch, "-c", file}, {nuthatch, "-t", "-c", file}, {nutcracker, "-t", "-c", file}} {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if status := run(args, io.Discard, io.Discard); status != exitFailure {
			t.Errorf("%q: status %d", args, status)
		}
		if got, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || got != 0 {
			t.Errorf("%q: PR_GET_DUMPABLE: %d, %v; want 0", args, got, err)
		}
	}
}
