package config

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// An Emulate is what a pool is for its clients besides one server.
type Emulate struct {
	// Cluster: it is a Redis Cluster.
	Cluster bool
	// Announce is the address at which clients are told to connect; the zero Address: where
	// the pool listens.
	Announce Address
	// Peers are where other proxies with this pool are asked whether they live.
	Peers []Address
	// SentinelListen is where the proxy answers as a Sentinel; the zero Address: nowhere.
	SentinelListen Address
	// SentinelName is what clients of Sentinel call the pool; empty: as it is called.
	SentinelName string
}

// On reports whether the pool is anything besides one server.
func (e *Emulate) On() bool { return e.Cluster || e.SentinelListen != Address{} }

// maxPeers is how many peers a pool may name.
const maxPeers = 256

// kindProxies is a list of addresses that may be names.
var kindProxies = kind{
	form: "list of addresses", list: true, entry: "host:port", isSetting: true, parse: parseAnnounce, schema: kindAnnounce.schema,
}

// kindAnnounce is an address that others connect to.
var kindAnnounce = kind{form: "host:port", text: true, parse: parseAnnounce, schema: textOf(`[^\s/*]+:[0-9]+`)}

func parseAnnounce(_ limits, text string) (value, error) {
	host, port, ok := cutLast(text)
	if !ok {
		return value{}, errors.New("expected host:port, found " + quote(text))
	}
	a, err := parseHostPort(host, port)
	switch {
	case err != nil:
		return value{}, err
	case a.Host == "*" || a.isEverywhere():
		return value{}, errors.New("expected an address that clients can connect to, found " + quote(text))
	case placeholder.MatchString(a.Host):
		return value{}, errors.New(quote(a.Host) + " is not a host name: nuthatch does not replace variables")
	case !canBeFound(a.Host):
		return value{}, errors.New(quote(a.Host) + " is not a host name")
	}
	return value{address: a}, nil
}

// canBeFound reports whether a host is an IP address, or a name that DNS can have: what
// is told to clients and peers is for resolvers that take no other.
func canBeFound(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostNames.MatchString(host) && !numbers.MatchString(host)
}

// hostNames are labels with dots between them, with underscores as resolvers take them. numbers
// are no such name, though they look like one.
var (
	hostNames = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`)
	numbers   = regexp.MustCompile(`^[0-9.]+$`)
)

// isEverywhere tells whether it is every address of the machine.
func (a Address) isEverywhere() bool {
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.IsUnspecified()
}

// Announced is the address at which clients of an emulated cluster are told to connect.
func (p *Pool) Announced() Address {
	if p.Emulate.Announce != (Address{}) {
		return p.Emulate.Announce
	}
	return p.Listen
}

// AnnouncesTLS reports whether clients speak TLS at the announced address.
func (p *Pool) AnnouncesTLS() bool {
	t := &p.TLS
	return t.On() && (t.Listen == Address{} || t.Listen.Port == p.Announced().Port)
}

// checkEmulate finds an emulated cluster, or a Sentinel, that cannot be.
func (r *reader) checkEmulate(b *poolBlock) {
	c := emulateCheck{r, b, &b.pool.Emulate}
	c.peers()
	c.sentinel()
	c.cluster()
}

// An emulateCheck finds what is wrong with a pool's block "emulate".
type emulateCheck struct {
	*reader
	b *poolBlock
	e *Emulate
}

func (c emulateCheck) cluster() {
	given := c.b.seen["emulate.cluster"]
	if !c.e.Cluster || given.name == nil || c.b.seen["redis"].faulty {
		return
	}
	if c.b.pool.Protocol != Redis {
		c.fault(given.name, &c.b.block, "emulate.cluster", "only valid in a pool with 'redis: true'")
		return
	}
	tag := c.b.seen["hash_tag"]
	if !c.b.pool.Cluster.On && c.b.pool.HashTag != clusterTag && !tag.faulty {
		at := given.name
		if tag.name != nil {
			at = tag.name
		}
		c.fault(at, &c.b.block, "hash_tag", "'emulate: cluster: true' needs hash_tag '{}': clients of a cluster take keys of one tag to be on one server")
	}
	c.announce("emulate.cluster")
}

// announce finds a pool whose clients cannot be told where to connect, which a key needs.
func (c emulateCheck) announce(key string) {
	listen := &c.b.pool.Listen
	if c.e.Announce != (Address{}) || c.b.seen["emulate.announce"].faulty || c.b.seen["listen"].faulty || listen.Network == "" {
		return
	}
	at := c.b.seen[key].name
	switch {
	case listen.Network == NetworkUnix:
		c.fault(at, &c.b.block, key, "clients must be told a host and a port, and the pool listens on a unix socket: set 'announce'")
	case listen.isEverywhere():
		c.fault(at, &c.b.block, key, "clients must be told one address, and the pool listens on every one: set 'announce', such as 10.0.0.1:"+strconv.Itoa(listen.Port))
	}
}

// peers finds a list of peers that cannot be.
func (c emulateCheck) peers() {
	given := c.b.seen["emulate.peers"]
	switch {
	case given.name == nil:
		return
	case !c.e.On() && !c.b.seen["emulate.cluster"].faulty && !c.b.seen[sentinelListenKey].faulty:
		c.fault(given.name, &c.b.block, "emulate.peers", "only valid with 'cluster: true' or 'sentinel_listen' beside it")
		return
	case len(given.read) > maxPeers:
		c.fault(given.read[maxPeers], &c.b.block, "emulate.peers", "a pool has at most 256 peers; a name with many addresses is one")
	}
	for i, a := range c.e.Peers {
		if at := slices.Index(c.e.Peers[:i], a); at >= 0 && i < len(given.read) {
			c.fault(given.read[i], &c.b.block, "emulate.peers", quote(given.read[i].Value)+" is given already, on line "+lineOf(given.read[at]))
		}
	}
}

// emulateKeys are the keys of a pool's block "emulate".
var emulateKeys = []key[Emulate]{
	{
		name: "cluster", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "`true` if the pool is to look like a Redis Cluster to its clients, for clients that can only speak to one. The cluster's nodes are this " +
			"proxy and its `peers`. The pool needs `hash_tag: \"{}\"`, unless its servers are a cluster themselves. See [EMULATE.md](EMULATE.md).",
		set: func(e *Emulate, v value) { e.Cluster = v.flag },
	},
	{
		name: "announce", kind: kindAnnounce, defNote: "where the pool listens", origin: fromNuthatch,
		help: "The address, `host:port`, that clients of the emulated cluster are told to connect to. It must be given if the pool listens on every address, or on a unix socket. " +
			"If clients reach the proxy through address translation, it is the outer address. If the pool has two ports, one with TLS, it says which of them: clients are told only one.",
		set: func(e *Emulate, v value) { e.Announce = v.address },
	},
	{
		name: "peers", kind: kindProxies, defNote: "none: the cluster has this proxy alone", origin: fromNuthatch,
		help: "Where the other proxies with this pool listen, as `host:port`: each by its address, or all by one name that has all their addresses, such as that " +
			"of a headless service of Kubernetes. The pool must have the same name in all of them. This proxy may be among them, so that all can have the same " +
			"configuration. Each is asked once a second whether it lives, and those that live share the slots. Names are looked up again " +
			"every `resolve_interval`, at the latest after 5 seconds.",
		set: func(e *Emulate, v value) { e.Peers = append(e.Peers, v.address) },
	},
	{
		name: "sentinel_listen", kind: kindPort, defNote: "none: it answers as no Sentinel", origin: fromNuthatch,
		help: "Where nuthatch answers as a Redis Sentinel, so that clients which find their server by Sentinel find a proxy that lives: " +
			"`host:port`, or a port alone, of 127.0.0.1. It speaks TLS if the pool does where clients are told to connect, and wants the pool's password, or one of its users. " +
			"Clients from where the pool lets nobody in are refused. See [EMULATE.md](EMULATE.md#a-pool-that-sentinels-clients-find).",
		set: func(e *Emulate, v value) { e.SentinelListen = v.address },
	},
	{
		name: "sentinel_name", kind: kindPrimaryName, defNote: "the pool's name", origin: fromNuthatch,
		help: "What clients of Sentinel call the pool: the name of the primary (\"service name\", \"master name\") that they are configured with.",
		set:  func(e *Emulate, v value) { e.SentinelName = v.text },
	},
}
