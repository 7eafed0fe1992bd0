//go:build !invariants

package invariant

// On tells whether invariants are checked in this build.
const On = false

// Check does nothing in this build; with the tag "invariants" it panics with
// msg unless ok holds.
func Check(ok bool, msg string) {}

// Poison does nothing in this build; with the tag "invariants" it overwrites b.
func Poison(b []byte) {}
