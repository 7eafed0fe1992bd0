package topology

import (
	"slices"
	"strconv"
	"time"

	"nuthatch/internal/config"
)

// Replicas are servers like others, with a Health and statistics of their own, and have no
// keys of their own. They come from the configuration (replicas), from Sentinel, or from the
// map of a cluster:
//
//	Members.of, Snapshot.leaders ─► PrimaryOf: whose replica a server is
//	route.Table, intent Read     ─► the servers that a shard may be read from
//	Standing                     ─► which of them may be used now
//
// Whoever asks the servers how they are publishes a snapshot when that changes what a loop
// would choose.

// noPrimary is the place of the primary of a server that is no replica.
const noPrimary = -1

// serversOf are the servers of a configuration, and its replicas after them. Replicas of
// servers that Sentinel knows stay as they are known.
func serversOf(conf *config.Pool, known *Members) (servers []config.Server, of []int) {
	servers = conf.Servers
	if !conf.ReadsReplicas() {
		return servers, nil
	}
	all := slices.Clip(servers)
	for i := range servers {
		replicas := conf.ReplicasOf(&servers[i])
		if servers[i].Address.Network == config.NetworkSentinel {
			replicas = known.replicasOf(&servers[i])
		}
		for j := range replicas {
			if of == nil {
				of = make([]int, len(servers), len(servers)+conf.NumServers())
				for k := range of {
					of[k] = noPrimary
				}
			}
			all, of = append(all, replicas[j]), append(of, i)
		}
	}
	return all, of
}

// replicasOf are the replicas that a server of the same name has among m, which may be nil.
func (m *Members) replicasOf(s *config.Server) (replicas []config.Server) {
	if m == nil {
		return nil
	}
	for i, of := range m.of {
		if of != noPrimary && identityOf(&m.conf[of]) == identityOf(s) {
			replicas = append(replicas, m.conf[i])
		}
	}
	return replicas
}

// placesOfPrimaries are the places of the primaries of members; nil: there are no replicas.
func placesOfPrimaries(members []Member) (of []int) {
	names := make(map[string]int, len(members))
	for i := range members {
		if members[i].Of == "" {
			names[members[i].Server.NodeName()] = i
			continue
		}
		if of == nil {
			of = make([]int, len(members))
			for k := range of {
				of[k] = noPrimary
			}
		}
		of[i] = names[members[i].Of]
	}
	return of
}

// leadersOf are the places of the primaries of a cluster's replicas, and noPrimary for all
// other nodes.
func leadersOf(nodes []Node) []int {
	places := make(map[string]int, len(nodes))
	for i := range nodes {
		if nodes[i].Role == Primary && nodes[i].ID != "" {
			places[nodes[i].ID] = i
		}
	}
	leaders := make([]int, len(nodes))
	for i := range nodes {
		leaders[i] = noPrimary
		if at, known := places[nodes[i].Of]; known && nodes[i].Role == Replica {
			leaders[i] = at
		}
	}
	return leaders
}

// replicasBy are replicas by the places of their primaries.
func replicasBy(of []int) map[uint16][]uint16 {
	var by map[uint16][]uint16
	for i, at := range of {
		if at == noPrimary {
			continue
		}
		if by == nil {
			by = make(map[uint16][]uint16)
		}
		by[uint16(at)] = append(by[uint16(at)], uint16(i))
	}
	return by
}

func numReplicas(of []int) (n int) {
	for _, at := range of {
		if at != noPrimary {
			n++
		}
	}
	return n
}

// PrimaryOf is the place of the primary that the server at that place is a replica of; -1:
// it is no replica.
func (s *Snapshot) PrimaryOf(place int) int {
	switch {
	case s.Nodes != nil:
		return s.leaders[place]
	case s.of != nil:
		return s.of[place]
	}
	return noPrimary
}

// Primaries are the places of the servers that are no replicas, and that have not left their
// cluster.
func (s *Snapshot) Primaries() (places []int) {
	for i := range s.Servers {
		if s.PrimaryOf(i) < 0 && !s.IsGone(i) {
			places = append(places, i)
		}
	}
	return places
}

// IsGone reports whether the server at that place has left its cluster.
func (s *Snapshot) IsGone(place int) bool { return place < len(s.Nodes) && s.Nodes[place].Role == Gone }

// Owners is how many of the servers may have keys. They come first, unless the pool is a
// cluster, where each may.
func (m *Members) Owners() int {
	if m.ring == nil {
		return len(m.Servers)
	}
	return len(m.nodes)
}

// An Unfit is why a replica is not read from.
type Unfit uint8

const (
	// Fit means that it may be read from.
	Fit Unfit = iota
	// NotAsked means that it has not been asked yet.
	NotAsked
	// NoAnswer means that it does not answer.
	NoAnswer
	// Loads means that it loads its data.
	Loads
	// NoLink means that it has no connection to its primary.
	NoLink
	// Silent means that it has not heard of its primary for too long.
	Silent
	// Lags means that it is too far behind.
	Lags
	// NoReplica means that it is no replica.
	NoReplica
	// OfAnother means that it is the replica of another primary.
	OfAnother
)

// String is the reason as the API has it.
func (u Unfit) String() string {
	switch u {
	case Fit:
		return "fit"
	case NotAsked:
		return "not_asked"
	case NoAnswer:
		return "no_answer"
	case Loads:
		return "loading"
	case NoLink:
		return "no_link"
	case Silent:
		return "silent"
	case Lags:
		return "lags"
	case NoReplica:
		return "no_replica"
	case OfAnother:
		return "other_primary"
	}
	return "unknown"
}

// A Standing is what a server has said of itself. It is immutable.
type Standing struct {
	// Replica: it is one. Why says why it is not read from.
	Replica bool
	Why     Unfit
	// WasRead: it was read from before.
	WasRead bool
	// Lag is how many bytes a replica is behind its primary; -1: that is not known. Silence
	// is how long it has heard nothing of it.
	Lag     int64
	Silence time.Duration
	// Zone is where the server is; empty: it is not known.
	Zone string
	// At is when it was asked, in the loops' nanoseconds.
	At int64
}

// Reason says in words why a replica is not read from.
func (s *Standing) Reason() string {
	switch s.Why {
	case NotAsked:
		return "it has not been asked yet"
	case NoAnswer:
		return "it does not answer"
	case Loads:
		return "it loads its data"
	case NoLink:
		return "it has no connection to its primary"
	case Silent:
		return "it has heard nothing of its primary for " + s.Silence.String()
	case Lags:
		return "it is " + strconv.FormatInt(s.Lag, 10) + " bytes behind"
	case NoReplica:
		return "it is a primary"
	case OfAnother:
		return "it is the replica of another primary"
	case Fit:
	}
	return "it is read from"
}

// Standing is what the server said of itself last; nil: nothing. It may be called from any
// goroutine.
func (h *Health) Standing() *Standing { return h.standing.Load() }

// MayRead reports whether a replica may be read from, as far as it is known.
func (h *Health) MayRead() bool {
	s := h.standing.Load()
	return s != nil && s.Why == Fit
}

// Zone is where the server is; empty: it is not known.
func (h *Health) Zone() string {
	if s := h.standing.Load(); s != nil {
		return s.Zone
	}
	return ""
}

// SetStanding notes what the server has said of itself. Refresh must follow if that changes what
// a loop would choose. Only one goroutine at a time may call it for a server.
func (h *Health) SetStanding(s Standing) { h.standing.Store(&s) }
