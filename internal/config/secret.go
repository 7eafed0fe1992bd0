package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every way of printing a Secret shows.
const redacted = "<redacted>"

// Secret is a password. It prints as "<redacted>", or as nothing when empty,
// through fmt (every verb), log/slog, encoding/json and YAML. Only Reveal and a
// conversion to string give the text.
type Secret string

// String returns "<redacted>", or nothing for an empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is String, for the verb %#v.
func (s Secret) GoString() string { return s.String() }

// Format writes String whatever the verb, so that %x and %q keep the secret too.
func (s Secret) Format(state fmt.State, _ rune) {
	// fmt's own state never fails to write, and Format has nowhere to report to.
	_, _ = io.WriteString(state, s.String())
}

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders. It never fails.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the password itself, to be sent to a server and to go nowhere else.
func (s Secret) Reveal() string { return string(s) }

// Equal reports whether given is the password, in a time that depends on
// given's length alone. An empty Secret equals nothing, not even the empty password.
func (s Secret) Equal(given []byte) bool {
	want, got := s.Sum(), sha256.Sum256(given)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && s != ""
}

// Sum is the password's SHA-256.
func (s Secret) Sum() [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
