package testkit

import (
	"testing"
	"time"
)

// Patience is how long Await, and every read and write of a Client, waits
// before the test fails. It is far above what a loaded machine needs: passing
// tests never wait this long.
const Patience = 20 * time.Second

// Await calls cond until it returns nil, at first every millisecond and then
// less often, and fails the test with cond's last error when Patience is over.
// what completes the sentence "waited for ...".
func Await(t testing.TB, what string, cond func() error) {
	t.Helper()
	if err := await(cond, Patience); err != nil {
		t.Fatalf("waited %v for %s: %v", Patience, what, err)
	}
}

func await(cond func() error, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	pause := time.Millisecond
	for {
		err := cond()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
		if pause < 20*time.Millisecond {
			pause += pause / 2
		}
	}
}
