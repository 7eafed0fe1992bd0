package proxy

import (
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A pool may get other servers without a reload. A snapshot is published, and each loop
// takes it over between two turns:
//
//	begins ──► names ──► places ──────────► gone ──────► swap ───────────► addresses
//	           of the    the servers that   those that   requests go by    connections to
//	           old       stay, and new      are none     the new ones, and  other addresses
//	           servers   ones, with rows    any more     what goes ends    are replaced
//
// At the swap a client with requests at a server that goes waits for their replies: its
// next requests go to other servers, and could overtake the earlier ones.
//
// Until the swap requests are routed by the old snapshot. A few servers are taken over
// at once, many in slices. Later snapshots wait until that is done.
type following struct {
	pool *ServerPool
	next *topology.Snapshot
	// stage is what is being done, at is where.
	stage followStage
	at    int
	// named are the places of the old servers.
	named   map[string]int
	old     []*Server
	servers []*Server
	gone    []*Server
	rows    stats.Rows
}

type followStage uint8

const (
	followsNames followStage = iota
	followsPlaces
	followsGone
	followsAddrs
	hasFollowed
)

// perServer is how many keys a server that is taken over counts for: its row of the
// statistics is copied.
const perServer = 64

// follow takes over the snapshot that was published last.
func (p *ServerPool) follow() {
	if p.following != nil {
		return
	}
	next := p.topo.Snapshot()
	if takeTable(p, next); p.snap == next {
		mapCame(p)
		return
	}
	n := len(next.Servers)
	p.following = &following{
		pool: p, next: next, old: p.servers, named: make(map[string]int, len(p.servers)),
		servers: make([]*Server, n), rows: stats.NewRows(n),
	}
	if n+len(p.servers) > p.ctx.turn.atOnce.Keys/perServer {
		p.ctx.turn.later(p.following)
		return
	}
	p.finishFollowing()
}

// finishFollowing completes a change of servers at once.
func (p *ServerPool) finishFollowing() {
	for p.following != nil {
		p.following.takeOver()
	}
}

// step implements job.
func (j *following) step(ctx *Context) (done bool) {
	for ctx.turn.hasBudget() && j.pool.following == j {
		ctx.turn.count(Amount{Keys: perServer})
		j.takeOver()
	}
	return j.pool.following != j
}

// takeOver takes over one server, or ends a stage.
func (j *following) takeOver() {
	switch n := j.at; {
	case j.stage == followsNames && n < len(j.old):
		j.named[j.old[n].conf.StatsName()] = n
	case j.stage == followsPlaces && n < len(j.servers):
		j.makeServer(n)
	case j.stage == followsGone && n < len(j.old):
		if s := j.old[n]; s.among != j.next.Members {
			j.gone = append(j.gone, s)
		}
	case j.stage == followsAddrs && n < len(j.servers):
		j.servers[n].followAddrs(j.next.FinishBy)
	default:
		j.endStage()
		return
	}
	j.at++
}

func (j *following) endStage() {
	j.stage, j.at = j.stage+1, 0
	switch p := j.pool; j.stage { //nolint:exhaustive // the others begin with the next step
	case followsAddrs:
		j.swap()
	case hasFollowed:
		settlePublished(p, j.next.Moving)
		p.following = nil
		p.follow() // to what was published meanwhile
	}
}

// makeServer makes the server at a place of the new snapshot, or finds it among the old
// ones. Its statistics follow its name.
func (j *following) makeServer(i int) {
	p := j.pool
	at, named := j.named[j.next.Names[i]]
	if !named {
		j.servers[i] = newServerOf(p, j.next, i)
		j.servers[i].countIn(j.rows, i)
		return
	}
	old := j.old[at]
	j.rows.Servers[i], j.rows.Reasons[i], j.rows.Errors[i] = *old.stats, *old.reasons, *old.errors
	old.countIn(j.rows, i)
	if old.health == j.next.Servers[i] {
		old.conf, old.among = j.next.Server(i), j.next.Members
		j.servers[i] = old
		return
	}
	// Another server of that name: the two share their statistics until the old one is gone.
	j.servers[i] = newServerOf(p, j.next, i)
	j.servers[i].countIn(j.rows, i)
}

// swap has requests routed by the new snapshot.
func (j *following) swap() {
	p := j.pool
	had := p.everywhere()
	placeBy(p, j.next, j.servers)
	p.ctx.shard.SetRows(p.index, p.snap.Names, j.rows)
	if counter := p.proto.counter; counter != nil {
		counter.SetServers(p.snap.Owners())
		p.parser = p.proto.NewRequestParser()
		p.trim()
	}
	takeTable(p, p.topo.Snapshot())
	for _, s := range j.gone {
		s.removed = true
		if s.leader == nil {
			p.lose(s.mark)
		}
		s.replaceConns(j.next.FinishBy)
	}
	for _, q := range p.questions {
		q.restart()
	}
	p.dealAnew()
	recallMoved(p)
	leaveCutOff(p)
	leaveSlotless(p, had)
	holdForSnapshot(p)
	p.preconnect()
	mapCame(p)
}
