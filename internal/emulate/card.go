package emulate

import (
	"crypto/sha1" //nolint:gosec // it names pools, and hides nothing
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"strings"
)

// Question is how a proxy asks another who it is. It is answered without a login. A server of
// another kind refuses it.
const Question = "*3\r\n$7\r\nCLUSTER\r\n$4\r\nMYID\r\n$4\r\nPEER\r\n"

// A Card is what a proxy answers.
type Card struct {
	// At is where its clients reach it.
	At Address
	// Leaving: it is about to end.
	Leaving bool
	// Pool is the name of its pool or, in a card that was read, a sum of that.
	Pool string
	// Sentinel is where it answers as a Sentinel; the zero Address: nowhere.
	Sentinel Address
}

// cardMark begins a card, with the release of its form.
const cardMark = "nuthatch-peer-1"

// The words for what a proxy is about to do.
const (
	cardServes = "serves"
	cardLeaves = "leaves"
)

// poolSum is a sum of a pool's name, which is not told itself.
func poolSum(name string) string {
	sum := sha1.Sum([]byte(name)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:4])
}

// String is the card as it is sent: "nuthatch-peer-1 serves 10.0.0.1:6379 0a1b2c3d", and behind
// that the address where the proxy answers as a Sentinel, if it does.
func (c Card) String() string {
	state := cardServes
	if c.Leaving {
		state = cardLeaves
	}
	words := []string{cardMark, state, c.At.String(), poolSum(c.Pool)}
	if c.Sentinel != (Address{}) {
		words = append(words, c.Sentinel.String())
	}
	return strings.Join(words, " ")
}

// IsOf reports whether a card that was read is that of a proxy with a pool of that name.
func (c Card) IsOf(pool string) bool { return c.Pool == poolSum(pool) }

var errNoCard = errors.New("it is no nuthatch of this release")

// ParseCard reads a card.
func ParseCard(text string) (Card, error) {
	words := strings.Split(text, " ")
	if len(words) < 4 || len(words) > 5 || words[0] != cardMark || words[1] != cardServes && words[1] != cardLeaves {
		return Card{}, errNoCard
	}
	c := Card{Leaving: words[1] == cardLeaves, Pool: words[3]}
	var ok bool
	if c.At, ok = parseAddress(words[2]); !ok {
		return Card{}, errNoCard
	}
	if len(words) == 5 {
		if c.Sentinel, ok = parseAddress(words[4]); !ok {
			return Card{}, errNoCard
		}
	}
	return c, nil
}

func parseAddress(text string) (a Address, ok bool) {
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, "\r\n") {
		return Address{}, false
	}
	return Address{host, int(n)}, true
}
