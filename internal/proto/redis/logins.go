package redis

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"sync/atomic"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// The names and passwords of users that have connections to the servers (auth_mode:
// passthrough). A lane has their number, and never themselves:
//
//	AUTH, accepted by the servers ─► Enter ─► number ─► Session.Lane ─► a lane holds it
//	                                                                        │
//	a new connection of the lane: AUTH name password ◄── login ◄── number ◄─┘
//
// Whoever needs a number holds it. When nobody does, name and password are forgotten. The
// same name with another password has another number: who has proved one of them has not
// proved the other.

// Logins are those of a pool, which its event loops share: what is in them is replaced, and
// never changed. Its methods may be called from any of them.
type Logins struct {
	// salt has the digests of this process be of no use elsewhere. It never changes.
	salt [sha256.Size]byte
	last atomic.Uint32
	now  atomic.Pointer[loginTable]
}

// A digest stands for a name with its password.
type digest [sha256.Size]byte

// A loginTable is the present contents of Logins.
type loginTable struct {
	byNumber map[uint32]*login
	byDigest map[digest]*login
}

// A login is a name with its password.
type login struct {
	// immutable
	number uint32
	digest digest
	said   *msg.Credentials

	// holds is how many need it. From 0 it never rises again.
	holds atomic.Int64
}

// NewLogins returns Logins without any.
func NewLogins() *Logins {
	l := &Logins{}
	rand.Read(l.salt[:]) // it never fails
	l.now.Store(&loginTable{})
	return l
}

// digestOf is the digest of credentials.
func (l *Logins) digestOf(c *msg.Credentials) (d digest) {
	name, password := c.Reveal()
	mac := hmac.New(sha256.New, l.salt[:])
	var head [9]byte
	binary.LittleEndian.PutUint64(head[:8], uint64(len(name)))
	if c.Named {
		head[8] = 1
	}
	mac.Write(head[:])
	mac.Write([]byte(name))
	mac.Write([]byte(password))
	mac.Sum(d[:0])
	return d
}

// enter returns the number of credentials, which the caller holds from now on. It returns
// false if there are most others already, or a quarter of that, and two, of the same name: so
// nobody keeps out all others with the passwords of one user.
func (l *Logins) enter(c *msg.Credentials, most int) (number uint32, ok bool) {
	d := l.digestOf(c)
	for {
		t := l.now.Load()
		if u := t.byDigest[d]; u != nil && u.said.Equal(c) && u.hold() {
			return u.number, true
		}
		if len(t.byNumber) >= most || t.ofName(c) >= max(2, most/4) {
			return 0, false
		}
		u := &login{number: l.next(), digest: d, said: c}
		u.holds.Store(1)
		if l.now.CompareAndSwap(t, t.with(u)) {
			return u.number, true
		}
	}
}

// next is a number that no login has.
func (l *Logins) next() uint32 {
	for {
		n := l.last.Add(1)
		if n != 0 && n < msg.LoginUser && l.now.Load().byNumber[n] == nil {
			return n
		}
	}
}

// hold counts one more who needs the login. It returns false if nobody did any more.
func (u *login) hold() bool {
	for {
		n := u.holds.Load()
		if n == 0 {
			return false
		}
		if u.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// hold counts one more who needs the login of that number, which somebody holds.
func (l *Logins) hold(number uint32) {
	if u := l.now.Load().byNumber[number]; u != nil {
		u.hold()
	}
}

// release counts one less. The last one has name and password forgotten.
func (l *Logins) release(number uint32) {
	u := l.now.Load().byNumber[number]
	if u == nil || u.holds.Add(-1) > 0 {
		return
	}
	for {
		t := l.now.Load()
		if l.now.CompareAndSwap(t, t.without(u)) {
			return
		}
	}
}

// ofName is how many logins have the same name. Where a user needs no password, each word is one.
func (t *loginTable) ofName(c *msg.Credentials) (n int) {
	name := nameIn(c)
	for _, u := range t.byNumber {
		if nameIn(u.said) == name {
			n++
		}
	}
	return n
}

// nameIn is the name of the user that credentials are of.
func nameIn(c *msg.Credentials) string {
	if !c.Named {
		return defaultUser
	}
	name, _ := c.Reveal()
	return name
}

// with is the table with one login more.
func (t *loginTable) with(u *login) *loginTable {
	next := &loginTable{make(map[uint32]*login, len(t.byNumber)+1), make(map[digest]*login, len(t.byDigest)+1)}
	maps.Copy(next.byNumber, t.byNumber)
	maps.Copy(next.byDigest, t.byDigest)
	next.byNumber[u.number], next.byDigest[u.digest] = u, u
	return next
}

// without is the table without a login.
func (t *loginTable) without(u *login) *loginTable {
	next := &loginTable{maps.Clone(t.byNumber), maps.Clone(t.byDigest)}
	delete(next.byNumber, u.number)
	if next.byDigest[u.digest] == u {
		delete(next.byDigest, u.digest)
	}
	return next
}

// login is what servers are told on connections of a number. If nobody holds it, that is
// what no server accepts.
func (l *Logins) login(number uint32) serverLogin {
	u := l.now.Load().byNumber[number]
	if u == nil {
		return serverLogin{words: []string{"(nobody)", "(none)"}}
	}
	return loginOf(u.said)
}

// loginOf is what servers are told for credentials.
func loginOf(c *msg.Credentials) serverLogin {
	name, password := c.Reveal()
	if !c.Named {
		return serverLogin{words: []string{password}}
	}
	return serverLogin{words: []string{name, password}}
}

// nameOf is the name of the user of a number, as clients are shown it.
func (l *Logins) nameOf(number uint32) string {
	u := l.now.Load().byNumber[number]
	if u == nil {
		return defaultUser
	}
	return nameIn(u.said)
}

// A serverLogin is what a server is told of who a connection is.
type serverLogin struct {
	// words are those of AUTH behind its name; nil: nothing is said.
	words []string
}

// serverLoginOf is a login of the configuration.
func serverLoginOf(l config.Login) serverLogin { return serverLogin{words: l.Words()} }

// hello are the words of HELLO that say the same.
func (l serverLogin) hello() []string {
	switch len(l.words) {
	case 0:
		return nil
	case 1:
		return []string{"AUTH", defaultUser, l.words[0]}
	}
	return append([]string{"AUTH"}, l.words...)
}

// password is the secret word; empty: there is none.
func (l serverLogin) password() string {
	if len(l.words) == 0 {
		return ""
	}
	return l.words[len(l.words)-1]
}
