package config

import "time"

// A Cluster says whether a pool's servers are a Redis Cluster. Then Servers are only
// those that are asked first which nodes there are.
type Cluster struct {
	// On: they are.
	On bool
	// Refresh is how often the cluster is asked at the least.
	Refresh time.Duration
	// MaxRedirects is how often one request is sent elsewhere at the most.
	MaxRedirects int
}

// clusterTag encloses the part of a key that gives its slot.
const clusterTag = "{}"

// clusterKeys are the keys of a pool about its cluster.
var clusterKeys = []key[Pool]{
	{
		name: "cluster", kind: kindBool, onlyWith: "redis", def: "false", origin: fromNuthatch,
		help: "`true` if the pool's servers are a Redis Cluster. `servers` are then a few of its nodes, by which nuthatch finds the " +
			"others: `host:port:1`, without names. The cluster says which node has a key, so `hash` and `distribution` are " +
			"faults, and `hash_tag` is `{}`. See [CLUSTER.md](CLUSTER.md).",
		set: func(p *Pool, v value) { p.Cluster.On = v.flag },
	},
	{
		name: "cluster_refresh", kind: kindDuration, limits: durations(100*time.Millisecond, 24*time.Hour), onlyWith: "cluster", def: "30s", origin: fromNuthatch,
		help: "How often nuthatch asks the cluster at the least which node has which slots. It also asks at once when a node says " +
			"`MOVED` or `CLUSTERDOWN`, and when one cannot be connected to.",
		set: func(p *Pool, v value) { p.Cluster.Refresh = v.duration() },
	},
	{
		name: "cluster_max_redirects", kind: kindNumber, limits: limits{1, 64}, onlyWith: "cluster", def: "5", origin: fromNuthatch,
		help: "How often a request is sent to another node at the most, after `MOVED` or `ASK`. After that the client gets an error.",
		set:  func(p *Pool, v value) { p.Cluster.MaxRedirects = int(v.number) },
	},
}

// checkCluster finds keys that make no sense in a cluster.
func (r *reader) checkCluster(b *poolBlock) {
	if !b.pool.Cluster.On || b.pool.Protocol != Redis {
		return
	}
	for name, why := range map[string]string{
		"hash":         "Redis Cluster has a hash of its own",
		"distribution": "Redis Cluster says itself which node has a key",
		"sentinels":    "a cluster fails over by itself",
	} {
		if given := b.seen[name]; given.name != nil {
			r.fault(given.name, &b.block, name, "not valid with 'cluster: true': "+why)
		}
	}
	if given := b.seen["hash_tag"]; given.name != nil && !given.faulty && b.pool.HashTag != clusterTag {
		r.fault(given.name, &b.block, "hash_tag", "the tag of a Redis Cluster is '{}'; leave it out")
	}
	if given := b.seen["auto_eject_hosts"]; b.pool.AutoEjectHosts {
		r.fault(given.name, &b.block, "auto_eject_hosts", "not valid with 'cluster: true': no other node has the keys of one that fails")
	}
	if given := b.seen["redis_db"]; given.name != nil && b.pool.RedisDB > 0 && b.pool.Databases == 1 {
		r.fault(given.name, &b.block, "redis_db", "a Redis Cluster has only database 0; if yours has more (Valkey 9), set 'databases', too")
	}
	r.checkSeeds(b)
}

// checkSeeds finds server lines that are no nodes.
func (r *reader) checkSeeds(b *poolBlock) {
	lines := b.seen["servers"].read
	for i := range min(len(lines), len(b.pool.Servers)) {
		s := &b.pool.Servers[i]
		why := ""
		switch {
		case s.Address.Network != NetworkTCP:
			why = "expected host:port:1, a node of the cluster"
		case s.Name != "":
			why = "the nodes of a cluster are named by their addresses; leave " + quote(s.Name) + " out"
		case s.Weight != 1:
			why = "the nodes of a cluster have no weight: the cluster divides the slots; write 1"
		default:
			continue
		}
		r.fault(lines[i], &b.block, "servers", quote(lines[i].Value)+": "+why)
	}
}
