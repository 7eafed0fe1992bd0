package config

// Protocol is what the clients and the servers of a pool speak. A file says it with the
// key "redis".
type Protocol uint8

const (
	// Memcached is Memcached's text protocol.
	Memcached Protocol = iota
	// Redis is RESP, of Redis and Valkey.
	Redis
)

// String is the protocol's name in the API.
func (p Protocol) String() string { return [...]string{Memcached: "memcached", Redis: "redis"}[p] }

// protocolWords are the values of "redis", by protocol.
var protocolWords = []string{Memcached: "false", Redis: "true"}

// parseProtocol reads a value of "redis".
func parseProtocol(r limits, text string) (value, error) {
	v, err := parseBool(r, text)
	if v.flag {
		v.number = int64(Redis)
	}
	return v, err
}
