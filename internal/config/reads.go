package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Reads are which servers a pool reads from: primaries, or replicas of them.
type Reads struct {
	// Policy says which.
	Policy ReadPolicy
	// OwnWrites is how long a client reads from the primary that it has written to; 0: it
	// need not.
	OwnWrites time.Duration
	// MaxLag is how many bytes a replica may be behind its primary; 0: any number.
	MaxLag int64
	// MaxSilence is how long a replica may have heard nothing of its primary; 0: for ever.
	MaxSilence time.Duration
	// Zone is that of the process.
	Zone string
}

// ReadPolicy is which servers a pool reads from.
type ReadPolicy uint8

const (
	// ReadPrimary reads from primaries alone.
	ReadPrimary ReadPolicy = iota
	// ReadPreferPrimary reads from a replica if the primary fails.
	ReadPreferPrimary
	// ReadReplica reads from replicas alone.
	ReadReplica
	// ReadPreferReplica reads from the primary if there is no replica that may be used.
	ReadPreferReplica
	// ReadNearest reads from the primary or a replica, in the proxy's zone if there is one.
	ReadNearest
)

var readPolicyNames = []string{
	ReadPrimary: "primary", ReadPreferPrimary: "prefer_primary", ReadReplica: "replica", ReadPreferReplica: "prefer_replica", ReadNearest: "nearest",
}

// String is the word for the policy in a configuration.
func (p ReadPolicy) String() string { return readPolicyNames[p] }

var (
	kindReadPolicy = oneOf("read_policy", readPolicyNames)
	// kindAddresses is one address or several.
	kindAddresses = kind{form: "addresses", text: true, many: true, parse: parseAddresses, schema: manyOf(`[^\s,]+`)}
	kindZone      = kind{form: "name", text: true, parse: parseSecret, schema: secretSchema}
)

// A ReplicaList are the replicas of one server.
type ReplicaList struct {
	// Of is the server's name in the statistics.
	Of string
	// Addresses are where they are, separated by commas. They were checked when they were read.
	Addresses string
}

// A ServerZone is the zone of the servers in a network.
type ServerZone struct{ Network, Zone string }

func parseAddresses(_ limits, text string) (value, error) {
	words := splitNames(text)
	if len(words) == 0 {
		return value{}, errNoAddress(text)
	}
	for _, word := range words {
		if _, err := parseReplica(word); err != nil {
			return value{}, err
		}
	}
	return value{text: strings.Join(words, ", ")}, nil
}

// parseReplica reads "host:port", or the path of a socket.
func parseReplica(text string) (Server, error) {
	s := Server{Weight: 1, Text: text}
	var err error
	if strings.HasPrefix(text, "/") {
		s.Address, err = parseSocket(text)
	} else {
		host, port, ok := cutLast(text)
		if !ok {
			return Server{}, errNoAddress(text)
		}
		s.Address, err = parseHostPort(host, port)
	}
	s.Name = s.Address.String()
	return s, err
}

func errNoAddress(text string) error {
	return expectedError("expected host:port or /path, found " + quote(text))
}

// An expectedError says what a value should have been.
type expectedError string

func (e expectedError) Error() string { return string(e) }

// Servers are the replicas of the list as servers. Their names in the statistics are their
// addresses.
func (l *ReplicaList) Servers() []Server {
	var all []Server
	for _, word := range splitNames(l.Addresses) {
		if s, err := parseReplica(word); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// ReplicasOf are the replicas that the configuration has of a server.
func (p *Pool) ReplicasOf(s *Server) []Server {
	for i := range p.Replicas {
		if l := &p.Replicas[i]; l.Of == s.StatsName() {
			return l.Servers()
		}
	}
	return nil
}

// NumServers is how many servers the configuration has, with their replicas.
func (p *Pool) NumServers() int {
	n := len(p.Servers)
	for i := range p.Replicas {
		n += len(splitNames(p.Replicas[i].Addresses))
	}
	return n
}

// ReadsReplicas reports whether requests may go to replicas.
func (p *Pool) ReadsReplicas() bool { return p.Reads.Policy != ReadPrimary && p.Protocol == Redis }

// ZoneOf is the zone of a server at that address; empty: server_zones does not say. The
// smallest network that has the address counts.
func (p *Pool) ZoneOf(at netip.Addr) string {
	zone, bits := "", -1
	for i := range p.ServerZones {
		z := &p.ServerZones[i]
		if n, err := parseZoneNetwork(z.Network); err == nil && n.Bits() > bits && n.Contains(at.Unmap()) {
			zone, bits = z.Zone, n.Bits()
		}
	}
	return zone
}

// parseZoneNetwork reads a network, or an address.
func parseZoneNetwork(text string) (netip.Prefix, error) {
	if at, err := netip.ParseAddr(text); err == nil {
		return at.Prefix(at.BitLen())
	}
	return netip.ParsePrefix(text)
}

// maxReplicaLists is how many servers may have replicas, and maxZones how many networks
// may have zones.
const maxReplicaLists, maxZones = MaxServers, 4096

// readKeys are the keys of a pool about reads.
var readKeys = []key[Pool]{
	{
		name: "read_policy", kind: kindReadPolicy, onlyWith: "redis", def: "primary", origin: fromNuthatch,
		help: "Which servers reads go to. `primary`: to primaries. `prefer_primary`: to a replica while the primary fails. `replica`: to " +
			"replicas; if none may be used, the client gets an error. `prefer_replica`: to replicas or, if none may be used, to " +
			"the primary. `nearest`: to the primary and its replicas alike. Of several the one with the fewest requests in flight is taken, " +
			"and servers in nuthatch's own `zone` go first. Replicas are behind their primaries: read [REPLICAS.md](REPLICAS.md) first. " +
			"Replicas come from `replicas`, from Sentinel, or from the Redis Cluster.",
		set: func(p *Pool, v value) { p.Reads.Policy = ReadPolicy(v.number) },
	},
	{
		name: "read_own_writes", kind: kindDuration, limits: durations(0, time.Hour), onlyWith: "redis", def: "1s", origin: fromNuthatch,
		help: "A client that has written reads from the primary until this long after its last write to that primary was answered. " +
			"This is a time, and no proof that the replicas have the write. `0`: it may read from any server at once. Ignored with `read_policy: primary`.",
		set: func(p *Pool, v value) { p.Reads.OwnWrites = v.duration() },
	},
	{
		name: "max_replica_lag", kind: kindSize, limits: limits{0, tb}, onlyWith: "redis", def: "1mb", origin: fromNuthatch,
		help: "A replica that is more bytes behind its primary is not read from. `0`: it may be any number behind. It is asked every second.",
		set:  func(p *Pool, v value) { p.Reads.MaxLag = v.number },
	},
	{
		name: "max_replica_silence", kind: kindDuration, limits: durations(0, 24*time.Hour), onlyWith: "redis", def: "15s", origin: fromNuthatch,
		help: "A replica that has heard nothing of its primary for this long is not read from. A primary that has nothing to say speaks every " +
			"10 seconds (`repl-ping-replica-period` of Redis), so a shorter time needs a shorter period there. `0`: it may be silent for ever.",
		set: func(p *Pool, v value) { p.Reads.MaxSilence = v.duration() },
	},
	{
		name: "replicas", limits: limits{1, maxReplicaLists}, defNote: "none", origin: fromNuthatch,
		help: "Replicas of servers: the server's name, and their addresses as `host:port` or the path of a socket: " +
			"`replicas: {alpha: [10.0.0.2:6379, 10.0.0.3:6379]}`. They get reads, as `read_policy` says, and no keys of their own. " +
			"Not for servers that Sentinel knows, and not with `cluster: true`: these say themselves which replicas there are.",
		blocks: valuesOf(func(p *Pool) *[]ReplicaList { return &p.Replicas }, func(l *ReplicaList) *string { return &l.Of }, replicaKeys),
	},
	{
		name: "server_zones", limits: limits{1, maxZones}, defNote: "what the servers say themselves", origin: fromNuthatch,
		help: "The zones of servers, by network or address: `server_zones: {10.0.1.0/24: eu-1a, 10.0.2.0/24: eu-1b}`. The smallest network " +
			"counts. Other servers say their zone themselves (`availability_zone` of Valkey), or have none.",
		blocks: valuesOf(func(p *Pool) *[]ServerZone { return &p.ServerZones }, func(z *ServerZone) *string { return &z.Network }, zoneKeys),
	},
}

var replicaKeys = []key[ReplicaList]{{
	name: "addresses", kind: kindAddresses, required: true, origin: fromNuthatch,
	help: "Where the replicas are. It may stand in place of the block: `alpha: [10.0.0.2:6379]`.",
	set:  func(l *ReplicaList, v value) { l.Addresses = v.text },
}}

var zoneKeys = []key[ServerZone]{{
	name: "zone", kind: kindZone, required: true, origin: fromNuthatch,
	help: "The zone. It may stand in place of the block: `10.0.1.0/24: eu-1a`.",
	set:  func(z *ServerZone, v value) { z.Zone = v.text },
}}

// checkReads finds replicas of servers that there are not, and the like.
func (r *reader) checkReads(b *poolBlock) {
	checkZones(r, b)
	given := b.seen["replicas"]
	if given.name == nil || given.faulty {
		return
	}
	switch p := &b.pool; {
	case p.Protocol != Redis:
		r.fault(given.name, &b.block, "replicas", "only valid in a pool with 'redis: true': memcached has no replicas")
		return
	case p.Cluster.On:
		r.fault(given.name, &b.block, "replicas", "not valid with 'cluster: true': the cluster says itself which replicas there are")
		return
	}
	if n := b.pool.NumServers(); n > MaxServers {
		r.fault(given.name, &b.block, "replicas", "a pool has at most "+strconv.Itoa(MaxServers)+" servers, this one has "+strconv.Itoa(n)+" with the replicas")
		return
	}
	taken := make(map[string]string)
	known := make(map[string]*Server, len(b.pool.Servers))
	var names []string
	for i := range b.pool.Servers {
		s := &b.pool.Servers[i]
		known[s.StatsName()] = s
		names = append(names, s.StatsName())
		taken[s.Address.String()] = "a server of the pool"
		taken[s.StatsName()] = "a server of the pool"
	}
	for i, at := range given.read {
		if i >= len(b.pool.Replicas) {
			break
		}
		checkReplicaList(r, b, &b.pool.Replicas[i], at, known, names, taken)
	}
}

// checkReplicaList finds faults of the replicas of one server. taken are the addresses that
// others have, and whose they are.
func checkReplicaList(r *reader, b *poolBlock, l *ReplicaList, at *yaml.Node, known map[string]*Server, names []string, taken map[string]string) {
	key := "replicas." + strings.Trim(quoteKey(l.Of), "'")
	of := known[l.Of]
	switch {
	case of == nil:
		why := "no server has that name"
		if s := suggest(l.Of, names); s != "" {
			why += "; did you mean " + quote(s) + "?"
		}
		r.fault(at, &b.block, key, why)
		return
	case of.Address.Network == NetworkSentinel:
		r.fault(at, &b.block, key, "Sentinel says which replicas this server has; leave them out")
		return
	}
	for _, s := range l.Servers() {
		if whose := taken[s.Name]; whose != "" {
			r.fault(at, &b.block, key, s.Name+" is "+whose+" already")
		}
		taken[s.Name] = "a replica of " + quote(l.Of)
	}
}

// checkZones finds what is no network, and what is the same network as another one. A network
// within another one is no fault: the smallest counts.
func checkZones(r *reader, b *poolBlock) {
	seen := make(map[netip.Prefix]string)
	for _, at := range b.seen["server_zones"].read {
		n, err := parseZoneNetwork(at.Value)
		switch before, twice := seen[n]; {
		case err != nil || n.Addr().Is4In6(): // addresses are compared as IPv4
			r.fault(at, &b.block, "server_zones", "expected a network or an address, such as 10.0.1.0/24, found "+quote(at.Value))
		case n != n.Masked():
			r.fault(at, &b.block, "server_zones", quote(at.Value)+" is an address within a network; the network is "+quote(n.Masked().String()))
		case twice:
			r.fault(at, &b.block, "server_zones", quote(at.Value)+" is the same network as "+quote(before))
		default:
			seen[n] = at.Value
		}
	}
}

// warnOfIdleReads finds settings of reads that do nothing.
func warnOfIdleReads(r *reader, b *poolBlock) {
	p := &b.pool
	if at := b.seen["replicas"]; at.name != nil && !at.faulty && p.Reads.Policy == ReadPrimary {
		r.warn(at.name, &b.block, "replicas", "they get no requests with 'read_policy: primary'")
	}
	at := b.seen["read_policy"]
	if len(at.read) > 0 && p.Reads.Policy != ReadPrimary && len(p.Replicas) == 0 && !p.Cluster.On && !p.UsesSentinel() {
		why := "the pool has no 'replicas': all reads go to its servers"
		if p.Reads.Policy == ReadReplica {
			why = "the pool has no 'replicas': all reads fail"
		}
		r.warn(at.name, &b.block, "read_policy", why)
	}
	if zones := b.seen["server_zones"]; zones.name != nil && !zones.faulty && p.ReadsReplicas() && p.Reads.Zone == "" {
		r.warn(zones.name, &b.block, "server_zones", "it changes no read without 'zone' of the proxy itself, below the top-level name 'nuthatch'")
	}
}

// warnOfIdleZone finds a zone that no pool makes anything of.
func warnOfIdleZone(r *reader, b *block) {
	at := b.seen["zone"]
	if b.prefix != processBlock+"." || len(at.read) == 0 || slices.ContainsFunc(r.pools, func(p *poolBlock) bool { return p.pool.ReadsReplicas() }) {
		return
	}
	r.warn(at.name, b, "zone", "it does nothing without a pool with '"+readsReplicas+"'")
}
