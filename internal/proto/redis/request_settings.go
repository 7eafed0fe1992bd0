package redis

import (
	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
)

// requestSettings are what a parser knows of its pool.
type requestSettings struct {
	// max is the largest request in bytes, at most MaxUint32.
	max     int
	tooLong *msg.ProtocolError
	// allowFlush: the pool's setting of that name.
	allowFlush bool
	// allowMonitor: likewise.
	allowMonitor bool
	// inspects: what looks into a server is passed on.
	inspects bool
	// readOnly: what may write is refused.
	readOnly  bool
	databases databases
	// learned is what the pool has learnt; nil: nothing is to be learnt. learns:
	// so are unknown commands. servers is the number of servers.
	learned *Learned
	learns  bool
	// asks: the servers can be asked what they are.
	asks    bool
	servers int
	// tag is the pool's hash tag.
	tag hashkit.Tag
	// passes: the servers decide who may log in.
	passes bool
	// refusesWatch: the pool has no transactions.
	refusesWatch bool
	// publish is the pool's pubsub.publish.
	publish config.Publish
	// cluster: the servers are the nodes of a cluster.
	cluster bool
	// emulate is what clients are told of the cluster that the pool looks like, and peers what
	// other proxies are told that ask who this one is. Each may be nil.
	emulate, peers *emulate.Board
	// keyless is the pool's keyless_scripts.
	keyless config.KeylessScripts
}
