package config

import (
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/hashkit"
)

// Warnings about settings of a pool that are valid and, with others of the pool, probably not
// meant.

// warnOfNoTimeout finds a pool whose clients wait for ever.
func warnOfNoTimeout(r *reader, b *poolBlock) {
	if b.pool.Timeout > 0 || b.seen["timeout"].faulty {
		return
	}
	node := b.node
	if at := b.seen["timeout"].name; at != nil {
		node = at
	}
	r.warn(node, &b.block, "timeout", "without it clients wait for ever for a server that hangs; write timeout: 400ms")
}

// warnOfLateRequests finds a request_timeout that comes after the timeout.
func warnOfLateRequests(r *reader, b *poolBlock) {
	if at := b.seen["request_timeout"]; len(at.read) > 0 && b.pool.Timeout > 0 && b.pool.RequestTimeout > b.pool.Timeout {
		r.warn(at.name, &b.block, "request_timeout", "it is longer than timeout ("+formatDuration(b.pool.Timeout)+"), after which a server that does not answer fails its requests")
	}
}

// needs are keys that do nothing without another one.
var needs = []struct {
	key, needs string
	is         func(*Pool) bool
}{
	{"eject", "auto_eject_hosts: true", func(p *Pool) bool { return p.AutoEjectHosts }},
	{"server_retry_timeout", "auto_eject_hosts: true", func(p *Pool) bool { return p.AutoEjectHosts }},
	{"reconnect_backoff_max", "reconnect_backoff", func(p *Pool) bool { return p.ReconnectBackoff > 0 }},
	{"tcpkeepalive_idle", "tcpkeepalive: true", keepsAlive},
	{"tcpkeepalive_interval", "tcpkeepalive: true", keepsAlive},
	{"tcpkeepalive_count", "tcpkeepalive: true", keepsAlive},
	{"read_own_writes", readsReplicas, (*Pool).ReadsReplicas},
	{"max_replica_lag", readsReplicas, (*Pool).ReadsReplicas},
	{"max_replica_silence", readsReplicas, (*Pool).ReadsReplicas},
	{"server_zones", readsReplicas, (*Pool).ReadsReplicas},
	{"sentinel_password", "sentinels", (*Pool).UsesSentinel},
	{"sentinel_password_file", "sentinels", (*Pool).UsesSentinel},
	{"sentinel_password_env", "sentinels", (*Pool).UsesSentinel},
	{"sentinel_tls", "sentinels", (*Pool).UsesSentinel},
	{"emulate.announce", "cluster: true' or 'sentinel_listen", func(p *Pool) bool { return p.Emulate.On() }},
}

// readsReplicas is what keys about reads from replicas need.
const readsReplicas = "read_policy: prefer_replica' or another than 'primary"

// keepsAlive reports whether keepalive is on for some connections of the pool: private ones
// to Redis servers have it in any case.
func keepsAlive(p *Pool) bool { return p.TCPKeepalive || p.Protocol == Redis }

// warnOfIdleKeys finds keys without the one that they need.
func warnOfIdleKeys(r *reader, b *poolBlock) {
	for _, n := range needs {
		if at := b.seen[n.key]; at.name != nil && !at.faulty && !n.is(&b.pool) {
			r.warn(at.name, &b.block, n.key, "it does nothing without '"+n.needs+"'")
		}
	}
	if at := b.seen["health_check.timeout"]; len(at.read) > 0 && b.pool.HealthCheck.Interval > 0 && b.pool.HealthCheck.Timeout > b.pool.HealthCheck.Interval {
		r.warn(at.name, &b.block, "health_check.timeout", "it is longer than the interval, "+formatDuration(b.pool.HealthCheck.Interval))
	}
}

// idleBeside are keys that do nothing because of the value of another one.
var idleBeside = []struct {
	key, why string
	is       func(*Pool) bool
}{
	{"server_failure_limit", "no server is ejected without 'auto_eject_hosts: true': the number only says when a server is shown as failing", func(p *Pool) bool { return !p.AutoEjectHosts }},
	{"private_idle_timeout", "it does nothing with 'private_connections: 0'", func(p *Pool) bool { return p.PrivateConnections == 0 }},
	{"max_tracked_keys", "it does nothing with 'tracking: off'", func(p *Pool) bool { return p.Tracking == TrackingOff }},
	{"max_transaction_commands", "it does nothing with 'transactions: refuse'", func(p *Pool) bool { return p.Transactions == TransactionsRefuse }},
	{"max_transaction_size", "it does nothing with 'transactions: refuse'", func(p *Pool) bool { return p.Transactions == TransactionsRefuse }},
	{"client_output_soft_time", "it does nothing with 'client_output_soft_limit: 0'", func(p *Pool) bool { return p.ClientOutputSoftLimit == 0 }},
	{"pubsub.output_soft_time", "it does nothing with 'output_soft_limit: 0'", func(p *Pool) bool { return p.PubSub.OutputSoftLimit == 0 }},
}

// idleInMemcached are keys that do nothing in a pool of Memcached; those of "pubsub" are not
// among them.
var idleInMemcached = []string{
	"auth_mode", "redis_db", "databases", "failed_select", "transactions", "max_transaction_commands", "max_transaction_size",
	"private_connections", "private_idle_timeout", "pubsub", "tracking", "max_tracked_keys", "unknown_commands", "on_readonly",
	"allow_monitor", "allow_admin", "allow_keys", "partial_results", "keyless_scripts",
}

// warnOfIdleBeside finds keys that do nothing, or do harm, beside others.
func warnOfIdleBeside(r *reader, b *poolBlock) {
	var ignored []string
	if b.pool.Protocol == Memcached {
		ignored = idleInMemcached
	}
	for _, key := range ignored {
		if at := b.seen[key]; at.name != nil && !at.faulty && (r.defaults == nil || !r.defaults.names[at.name]) {
			r.warn(at.name, &b.block, key, "it does nothing without 'redis: true': the pool speaks Memcached's protocol")
		}
	}
	if e := &b.pool.Emulate; e.Cluster && len(e.Peers) > 0 && e.SentinelListen != (Address{}) {
		r.warn(b.seen[sentinelListenKey].name, &b.block, sentinelListenKey, "when the proxy drains, its clients get MOVED ('cluster: true'), which clients of Sentinel take for an error: "+
			"give them a pool of their own, with the same servers")
	}
	for _, k := range idleBeside {
		block, _, _ := strings.Cut(k.key, ".")
		if at := b.seen[k.key]; at.name != nil && !at.faulty && k.is(&b.pool) && !slices.Contains(ignored, block) {
			r.warn(at.name, &b.block, k.key, k.why)
		}
	}
}

// idleInCluster are keys that do nothing in a cluster.
var idleInCluster = []struct {
	key, why string
	is       func(*Pool) bool
}{
	{"transactions", "'per_server' does nothing with 'cluster: true': a transaction has one slot", func(p *Pool) bool { return p.Transactions == TransactionsPerServer }},
	{"pubsub.publish", "it does nothing with 'cluster: true': the cluster brings a message to all its nodes", func(*Pool) bool { return true }},
	{"on_readonly", "it does nothing with 'cluster: true': a request that gets READONLY is sent to the slot's node in any case", func(*Pool) bool { return true }},
}

// warnOfIdleInCluster finds keys that do nothing because the pool is a cluster.
func warnOfIdleInCluster(r *reader, b *poolBlock) {
	if !b.pool.Cluster.On {
		return
	}
	for _, k := range idleInCluster {
		if at := b.seen[k.key]; len(at.read) > 0 && k.is(&b.pool) {
			r.warn(at.name, &b.block, k.key, k.why)
		}
	}
}

// The ports that Redis and Memcached have by default.
const redisPort, memcachedPort = ":6379", ":11211"

// warnOfProtocol finds servers at the other protocol's usual port.
func warnOfProtocol(r *reader, b *poolBlock) {
	for i, line := range b.seen["servers"].read {
		at := b.pool.Servers[i].Address.String()
		switch {
		case b.pool.Protocol == Memcached && strings.HasSuffix(at, redisPort):
			r.warn(line, &b.block, "servers", "port 6379 is Redis's, and the pool speaks Memcached's protocol; write redis: true")
		case b.pool.Protocol == Redis && strings.HasSuffix(at, memcachedPort):
			r.warn(line, &b.block, "servers", "port 11211 is Memcached's, and the pool speaks Redis's protocol (redis: true)")
		default:
			continue
		}
		return
	}
}

// warnOfFewHashes finds crc32 on a ring.
func warnOfFewHashes(r *reader, b *poolBlock) {
	if at := b.seen["hash"]; len(at.read) > 0 && b.pool.Hash == hashkit.CRC32 && b.pool.Distribution == hashkit.Ketama && len(b.pool.Servers) > 1 {
		r.warn(at.name, &b.block, "hash", "nutcracker's crc32 has only 32768 values, below most points of the ring of ketama: few servers get most keys. "+
			"Another hash moves nearly all keys; 'nuthatch -t --against' says how many")
	}
}

// warnOfTwins finds two servers with one address.
func warnOfTwins(r *reader, b *poolBlock) {
	first := make(map[string]int)
	for i, line := range b.seen["servers"].read {
		at := b.pool.Servers[i].Address.String()
		if j, twice := first[at]; twice {
			r.warn(line, &b.block, "servers", at+" is there twice, first on line "+strconv.Itoa(b.seen["servers"].read[j].Line)+": one server with two parts of the keys")
			continue
		}
		first[at] = i
	}
}
