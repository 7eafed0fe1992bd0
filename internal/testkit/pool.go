package testkit

import (
	"fmt"
	"strings"
)

// ListenToken in a configuration is replaced by a fresh free address each time
// that a proxy is started with it, so that one text serves several proxies.
const ListenToken = "{{listen}}"

// A Pool writes one pool of a nutcracker configuration file. The zero values of
// its fields leave a key out, except that Listen becomes ListenToken and Hash
// and Distribution the usual fnv1a_64 and ketama.
type Pool struct {
	Name         string
	Listen       string
	Protocol     Protocol
	Hash         string
	Distribution string
	// Cluster: the servers are a few nodes of a Redis Cluster.
	Cluster bool
	Servers []string // see Entry
	Lines   []string // further keys, such as "timeout: 400"
}

// Entry is one line of a server list.
func Entry(addr string, weight int, name string) string {
	return strings.TrimSpace(fmt.Sprintf("%s:%d %s", addr, weight, name))
}

// Names gives servers the names s1, s2, and so on, with weight 1: pools over
// different servers then place keys alike.
func Names(servers ...*Server) []string {
	entries := make([]string, len(servers))
	for i, s := range servers {
		entries[i] = s.Entry(fmt.Sprintf("s%d", i+1))
	}
	return entries
}

// String is the pool as YAML.
func (p Pool) String() string {
	or := func(s, standard string) string {
		if s == "" {
			return standard
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", or(p.Name, "alpha"))
	fmt.Fprintf(&b, "  listen: %s\n", or(p.Listen, ListenToken))
	if p.Cluster {
		b.WriteString("  cluster: true\n")
	} else {
		fmt.Fprintf(&b, "  hash: %s\n", or(p.Hash, "fnv1a_64"))
		fmt.Fprintf(&b, "  distribution: %s\n", or(p.Distribution, "ketama"))
	}
	if p.Protocol == Redis {
		b.WriteString("  redis: true\n")
	}
	for _, line := range p.Lines {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("  servers:\n")
	for _, s := range p.Servers {
		fmt.Fprintf(&b, "    - %s\n", s)
	}
	return b.String()
}
