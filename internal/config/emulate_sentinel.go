package config

import (
	"cmp"
	"errors"
	"strings"
)

// sentinelListenKey is the key that has a pool be found by clients of Sentinel.
const sentinelListenKey = "emulate.sentinel_listen"

// kindPort is an address to listen at, of which the host may be left out.
var kindPort = kind{form: "port or host:port", text: true, parse: parsePort, schema: portSchema}

// kindPrimaryName is a name that Sentinel takes for a primary.
var kindPrimaryName = kind{form: "name", parse: parsePrimaryName, schema: primaryNameSchema}

func parsePort(_ limits, text string) (value, error) {
	host, port, ok := cutLast(text)
	switch {
	case !ok:
		host, port = loopback4, text
	case host == "" || host == "*":
		return value{}, errors.New("expected a port or host:port, found " + quote(text) + "; write 0.0.0.0 or [::] to listen on every address")
	}
	a, err := parseHostPort(host, port)
	return value{address: a}, err
}

func portSchema(limits) object {
	return object{{"type", []string{"integer", "string"}}, {"minimum", 1}, {"maximum", maxPort}, {"pattern", whole(`(([^\s*]|\S\S+):)?` + portPattern)}}
}

// primaryNameSchema takes what YAML reads as something else: its text is meant.
func primaryNameSchema(limits) object {
	return object{{"type", []string{"string", "number", "boolean"}}, {"pattern", whole(primaryPattern)}}
}

func parsePrimaryName(_ limits, text string) (value, error) {
	if !primaryName.MatchString(text) {
		return value{}, errors.New("expected letters, digits, '.', '-' and '_', found " + quote(text))
	}
	return value{text: text}, nil
}

// SentinelName is what clients of Sentinel call the pool.
func (p *Pool) SentinelName() string { return cmp.Or(p.Emulate.SentinelName, p.Name) }

// AnnouncedSentinel is the address that others are told where the pool answers as a Sentinel;
// the zero Address: it does not, or only to clients of this machine.
func (p *Pool) AnnouncedSentinel() Address {
	at, own := p.Emulate.SentinelListen, p.Announced()
	switch {
	case at == Address{}:
	case at.isEverywhere():
		at.Host = own.Host
	case at.isLoopback() && !own.isLoopback():
		return Address{}
	}
	return at
}

// isLoopback tells whether only this machine reaches it.
func (a Address) isLoopback() bool {
	return a.Host == localhost || a.Host == loopback6 || strings.HasPrefix(a.Host, "127.")
}

// checkSentinelListen finds a Sentinel that cannot be.
func (r *reader) checkSentinelListen(b *poolBlock) {
	e, given, name := &b.pool.Emulate, b.seen[sentinelListenKey], b.seen["emulate.sentinel_name"]
	switch {
	case given.name == nil && name.name != nil:
		r.fault(name.name, &b.block, "emulate.sentinel_name", "only valid with 'sentinel_listen'")
	case e.SentinelListen == Address{} || given.name == nil || b.seen["redis"].faulty:
	case b.pool.Protocol != Redis:
		r.fault(given.name, &b.block, sentinelListenKey, "only valid in a pool with 'redis: true'")
	default:
		if name.name == nil && !primaryName.MatchString(b.pool.Name) {
			r.fault(given.name, &b.block, sentinelListenKey, "clients of Sentinel cannot ask for a pool of this name: set 'sentinel_name' (letters, digits, '.', '-' and '_')")
		}
		if !e.Cluster { // which has the same need
			r.checkAnnounce(b, sentinelListenKey)
		}
	}
}
