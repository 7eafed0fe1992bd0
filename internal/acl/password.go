package acl

import (
	"crypto/rand"
	"encoding/hex"
)

// DefaultPasswordBits is how many bits a password of ACL GENPASS has, if nothing is said.
const DefaultPasswordBits = 256

// GeneratePassword returns a random password of at least that many bits, in hexadecimal
// digits. PasswordFault must have nothing against the number.
func GeneratePassword(bits int) string {
	digits := (bits + 3) / 4
	random := make([]byte, (digits+1)/2)
	_, _ = rand.Read(random) // it never fails: see its documentation
	return hex.EncodeToString(random)[:digits]
}
