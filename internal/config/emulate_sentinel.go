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

// sentinel finds a Sentinel that cannot be.
func (c emulateCheck) sentinel() {
	given, name := c.b.seen[sentinelListenKey], c.b.seen["emulate.sentinel_name"]
	switch {
	case given.name == nil && name.name != nil:
		c.fault(name.name, &c.b.block, "emulate.sentinel_name", "only valid with 'sentinel_listen' beside it")
	case c.e.SentinelListen == Address{} || given.name == nil || c.b.seen["redis"].faulty:
	case c.b.pool.Protocol != Redis:
		c.fault(given.name, &c.b.block, sentinelListenKey, "only valid in a pool with 'redis: true'")
	default:
		if name.name == nil && !primaryName.MatchString(c.b.pool.Name) {
			c.fault(given.name, &c.b.block, sentinelListenKey, "clients of Sentinel cannot ask for a pool of this name: set 'sentinel_name' (letters, digits, '.', '-' and '_')")
		}
		if !c.e.Cluster { // which has the same need
			c.announce(sentinelListenKey)
		}
	}
}
