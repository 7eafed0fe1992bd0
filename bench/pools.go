package main

import (
	"fmt"
	"strings"
)

// pool is one of the pools that every proxy serves.
type pool struct {
	name    string
	redis   bool // memcached otherwise
	servers int  // the first so many of that protocol's servers
}

// The pools of the works. A pool's index is its place in a proxy's addresses.
const (
	redisOne = iota
	redisThree
	memcachedOne
	memcachedThree
)

// pools are served by every proxy.
var pools = [...]pool{
	redisOne:       {name: "redis1", redis: true, servers: 1},
	redisThree:     {name: "redis3", redis: true, servers: 3},
	memcachedOne:   {name: "memcached1", servers: 1},
	memcachedThree: {name: "memcached3", servers: 3},
}

// serversPerProtocol is the largest number of servers that a pool has.
const serversPerProtocol = 3

// servers are the addresses of the running servers, of each protocol.
type servers struct {
	redis, memcached []string
}

// of returns the addresses of a pool's servers.
func (s servers) of(p pool) []string {
	if p.redis {
		return s.redis[:p.servers]
	}
	return s.memcached[:p.servers]
}

// nutcrackerYAML is the configuration of all pools in nutcracker's format, each
// listening on the address at its index.
func nutcrackerYAML(s servers, listen []string) string {
	var b strings.Builder
	for i, p := range pools {
		fmt.Fprintf(&b, "%s:\n", p.name)
		fmt.Fprintf(&b, "  listen: %s\n", listen[i])
		fmt.Fprintf(&b, "  redis: %t\n", p.redis)
		b.WriteString("  hash: fnv1a_64\n  distribution: ketama\n  timeout: 20000\n  preconnect: true\n  servers:\n")
		for j, addr := range s.of(p) {
			fmt.Fprintf(&b, "    - %s:1 server%d\n", addr, j)
		}
	}
	return b.String()
}
