package msg

import "crypto/subtle"

// Credentials are the name and the password that a client says to log in at the servers.
// They are never shown.
type Credentials struct {
	// Named: the client has said a name. Otherwise it is the user default.
	Named          bool
	name, password string
}

// NewCredentials returns credentials with copies of the words.
func NewCredentials(named bool, name, password []byte) *Credentials {
	return &Credentials{Named: named, name: string(name), password: string(password)}
}

// Reveal is the name and the password themselves.
func (c *Credentials) Reveal() (name, password string) { return c.name, c.password }

// Equal reports whether both are the same, in a time that does not tell how much of them
// is. Either may be nil: there are none.
func (c *Credentials) Equal(o *Credentials) bool {
	if c == nil || o == nil {
		return c == o
	}
	same := subtle.ConstantTimeCompare([]byte(c.name), []byte(o.name)) & subtle.ConstantTimeCompare([]byte(c.password), []byte(o.password))
	return same == 1 && c.Named == o.Named
}

// String implements fmt.Stringer.
func (Credentials) String() string { return "(hidden)" }

// GoString implements fmt.GoStringer.
func (c Credentials) GoString() string { return c.String() }
