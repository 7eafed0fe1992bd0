//go:build invariants

package invariant

// On tells whether invariants are checked in this build.
const On = true

// Check panics with msg, prefixed "invariant: ", unless ok holds. msg says what
// was expected and starts with the package that expected it.
func Check(ok bool, msg string) {
	if !ok {
		panic("invariant: " + msg)
	}
}

// Poison overwrites b with [PoisonByte]. The owner of a buffer calls it at the
// moment nobody may read the bytes any more, so that a slice kept too long
// shows garbage in a test rather than, once a month, another client's data.
func Poison(b []byte) {
	for i := range b {
		b[i] = PoisonByte
	}
}
