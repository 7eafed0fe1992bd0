package tlsstage

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"nuthatch/internal/regularfile"
)

const (
	// ticketLife is how long a key for tickets is used, and ticketKeys how many are
	// kept: a session can be resumed while its key is kept.
	ticketLife = 24 * time.Hour
	ticketKeys = 7
	// maxTicketFile is the most bytes of a file with keys, maxShared the most keys.
	maxTicketFile = 4096
	maxShared     = 16
)

// A TicketKey encrypts session tickets.
type TicketKey [32]byte

// Tickets are the keys of session tickets. They outlive a change of certificates and an
// upgrade, so that clients can resume their sessions. The latest comes first. Its
// methods may be called from any goroutine.
type Tickets struct {
	mu   sync.Mutex
	keys []TicketKey
	made time.Time
	// shared are the keys that proxies share. If there are any, no others are used.
	shared []TicketKey
}

// ReadTicketKeys reads a file of keys, one in hexadecimal digits on each line. The first
// one is for new tickets.
func ReadTicketKeys(file string) ([]TicketKey, error) {
	text, err := regularfile.Read(file, maxTicketFile)
	if err != nil {
		return nil, err
	}
	var keys []TicketKey
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var k TicketKey
		if n, err := hex.Decode(k[:], line[:min(len(line), 2*len(k))]); err != nil || n != len(k) || len(line) != 2*len(k) {
			// The line is a secret, or should be one.
			return nil, fmt.Errorf("%s: line %d is no key: expected %d hexadecimal digits, as 'openssl rand -hex %d' writes them", file, number, 2*len(k), len(k))
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 || len(keys) > maxShared {
		return nil, fmt.Errorf("%s: expected 1 to %d keys, found %d", file, maxShared, len(keys))
	}
	return keys, nil
}

// Share sets the keys that proxies share; none: those of this process are used.
func (t *Tickets) Share(keys []TicketKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shared = keys
}

// apply gives the keys to conf.
func (t *Tickets) apply(conf *tls.Config) {
	keys := t.now()
	raw := make([][32]byte, len(keys))
	for i, k := range keys {
		raw[i] = k
	}
	conf.SetSessionTicketKeys(raw)
}

// now returns the keys, with a new one if the latest is too old.
func (t *Tickets) now() []TicketKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.shared) > 0 {
		return t.shared
	}
	if len(t.keys) == 0 || time.Since(t.made) > ticketLife {
		var k TicketKey
		_, _ = rand.Read(k[:]) // never fails
		t.keys = append([]TicketKey{k}, t.keys[:min(len(t.keys), ticketKeys-1)]...)
		t.made = time.Now()
	}
	return t.keys
}

// handedKeys are the keys as one program hands them to the next.
type handedKeys struct {
	Keys []string  `json:"keys"`
	Made time.Time `json:"made"`
}

// errHanded means keys that no program has handed over.
var errHanded = errors.New("tlsstage: these are no keys for tickets")

// Hand returns the process's own keys for the program that takes over from this one.
func (t *Tickets) Hand() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := handedKeys{Made: t.made}
	for _, k := range t.keys {
		h.Keys = append(h.Keys, hex.EncodeToString(k[:]))
	}
	return json.Marshal(h)
}

// Take takes what Hand has returned in the program before.
func (t *Tickets) Take(handed []byte) error {
	var h handedKeys
	if err := json.Unmarshal(handed, &h); err != nil || len(h.Keys) > ticketKeys {
		return errHanded
	}
	keys := make([]TicketKey, len(h.Keys))
	for i, k := range h.Keys {
		if n, err := hex.Decode(keys[i][:], []byte(k)[:min(len(k), 2*len(keys[i]))]); err != nil || n != len(keys[i]) {
			return errHanded
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys, t.made = keys, h.Made
	return nil
}

// RotateTickets has new sessions use the latest key.
func (e *End) RotateTickets(t *Tickets) { t.apply(e.Config()) }

// Shared are the keys that proxies share; nil: the process has its own.
func (t *Tickets) Shared() []TicketKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shared
}
