package main

import (
	"fmt"
	"strings"
)

// topology is what a proxy is configured with for a piece of work.
type topology struct {
	redis   bool // memcached otherwise
	servers int  // of each pool; they share the real ones when there are more
	pools   int
	// sessions: the works are transactions and the like, which some proxies do not know.
	sessions bool
	// lasting: most clients have a connection to a server of their own.
	lasting bool
	// secured: clients speak TLS.
	secured bool
	// cluster: the servers are a Redis Cluster.
	cluster bool
	// replicated: the servers are a primary and its replicas. aside: reads go to these.
	replicated, aside bool
}

var (
	redisOne       = topology{redis: true, servers: 1, pools: 1}
	redisThree     = topology{redis: true, servers: 3, pools: 1}
	memcachedOne   = topology{servers: 1, pools: 1}
	memcachedThree = topology{servers: 3, pools: 1}
)

// realServers is how many servers run of each protocol. A pool of more names
// each of them several times: to a proxy, which knows servers by their names,
// they are different ones.
const realServers = 3

// servers are the addresses of the running servers, of each protocol.
type servers struct {
	redis, memcached []string
	// cluster are the nodes of a Redis Cluster; nil: none runs.
	cluster []string
	// replicated are a primary and its replicas; nil: none runs.
	replicated []string
	// collector is where traces go; empty: none runs.
	collector string
	// pem is a file with the certificate, and its key, that clients are shown.
	pem string
}

// of returns the address of a topology's i-th server.
func (s servers) of(t topology, i int) string {
	list := s.memcached
	switch {
	case t.cluster:
		list = s.cluster
	case t.replicated:
		list = s.replicated[:1]
	case t.redis:
		list = s.redis
	}
	return list[i%len(list)]
}

// nutcrackerYAML is a configuration in nutcracker's format, each pool listening
// on the address at its index.
func nutcrackerYAML(s servers, t topology, listen []string) string {
	var b strings.Builder
	for i, addr := range listen {
		fmt.Fprintf(&b, "pool%d:\n", i)
		fmt.Fprintf(&b, "  listen: %s\n", addr)
		fmt.Fprintf(&b, "  redis: %t\n", t.redis)
		if t.cluster {
			b.WriteString("  cluster: true\n")
		} else {
			b.WriteString("  hash: fnv1a_64\n  distribution: ketama\n")
		}
		b.WriteString("  timeout: 20000\n  backlog: 4096\n  preconnect: true\n")
		if t.lasting {
			fmt.Fprintf(&b, "  private_connections: %d\n", 2*lastingClients)
		}
		if t.secured {
			fmt.Fprintf(&b, "  tls: {cert: %q, key: %q}\n", s.pem, s.pem)
		}
		b.WriteString(s.policyLines(t))
		b.WriteString("  servers:\n")
		for j := range t.servers {
			fmt.Fprintf(&b, "    - %s:1%s\n", s.of(t, j), nodeName(t, j))
		}
	}
	return b.String()
}

// nodeName is the name of a topology's j-th server, behind its weight. A cluster's have none.
func nodeName(t topology, j int) string {
	if t.cluster {
		return ""
	}
	return fmt.Sprintf(" server%d", j)
}

// nuthatchYAML is the same with a number of event loops.
func nuthatchYAML(threads int) func(s servers, t topology, listen []string) string {
	return func(s servers, t topology, listen []string) string {
		return nutcrackerYAML(s, t, listen) + fmt.Sprintf("nuthatch:\n  threads: %d\n", threads)
	}
}

// haproxyConfig makes HAProxy a plain relay: one listener per server, and no
// knowledge of the protocol.
func haproxyConfig(s servers, t topology, listen []string) string {
	var b strings.Builder
	b.WriteString("global\n  nbthread 1\n  maxconn 4000\n")
	b.WriteString("defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 1h\n  timeout server 1h\n")
	for i, addr := range listen {
		secured := ""
		if t.secured {
			secured = " ssl crt " + s.pem + " ciphersuites TLS_AES_128_GCM_SHA256"
		}
		fmt.Fprintf(&b, "listen pool%d\n  bind %s backlog 4096%s\n  server server0 %s\n", i, addr, secured, s.of(t, 0))
	}
	return b.String()
}

// predixyConfig is predixy's configuration with one worker. It forwards to
// servers by crc16 of the key, which is not where ketama puts it.
func predixyConfig(s servers, t topology, listen []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Bind %s\nWorkerThreads 1\n", listen[0])
	b.WriteString("Authority {\n  Auth {\n    Mode write\n  }\n}\n")
	b.WriteString("StandaloneServerPool {\n  Databases 1\n  Hash crc16\n  Distribution modula\n  RefreshMethod fixed\n")
	for i := range t.servers {
		fmt.Fprintf(&b, "  Group server%d {\n    + %s\n  }\n", i, s.of(t, i))
	}
	b.WriteString("}\n")
	return b.String()
}
