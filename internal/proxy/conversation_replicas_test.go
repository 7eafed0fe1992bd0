package proxy_test

import (
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"nuthatch/internal/config"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// setReplicas publishes which servers are replicas of which. All of them may be read from.
// In a cluster the only primary has all slots.
func (c *conversation) setReplicas(of map[int]int) {
	var order []*stub
	for _, s := range c.stubs {
		if _, is := of[s.index]; !is {
			order = append(order, s)
		}
	}
	owners := len(order)
	for _, s := range c.stubs {
		if _, is := of[s.index]; is {
			order = append(order, s)
		}
	}
	if c.pool.Cluster.On {
		c.setNodes(order[0].index, of)
	} else {
		c.setServers(order, owners, of)
	}
	for _, s := range c.stubs {
		if _, is := of[s.index]; is {
			c.stand(s, topology.Standing{Replica: true})
		}
	}
	c.topo.Refresh(int64(c.now))
}

// setServers publishes the servers in that order. The first of them are owners of keys.
func (c *conversation) setServers(order []*stub, owners int, of map[int]int) {
	members := make([]topology.Member, len(order))
	for i, s := range order {
		at := slices.IndexFunc(c.pool.Servers, func(o config.Server) bool { return o.Address.Path == s.path() })
		members[i] = topology.Member{Server: c.pool.Servers[at]}
		if i >= owners {
			members[i].Of = string(rune('a' + of[s.index]))
		}
		s.place = i
	}
	c.topo.Publish(members, int64(c.now), int64(c.now+time.Second))
}

// setNodes publishes a cluster with one primary.
func (c *conversation) setNodes(primary int, of map[int]int) {
	members, nodes := make([]topology.Member, len(c.stubs)), make([]topology.Node, len(c.stubs))
	for i, s := range c.stubs {
		members[i].Server = topology.NodeServer(s.host(), nodePort)
		nodes[i] = topology.Node{ID: s.host(), Role: topology.Primary}
		if at, is := of[i]; is {
			nodes[i].Role, nodes[i].Of = topology.Replica, c.stubs[at].host()
		}
	}
	owners := new([route.NumSlots]uint16)
	for slot := range owners {
		owners[slot] = uint16(primary)
	}
	c.topo.PublishSlots(members, nodes, owners, int64(c.now), int64(c.now+time.Second))
	c.publish()
}

// stand notes what a server has said of itself.
func (c *conversation) stand(s *stub, as topology.Standing) {
	c.topo.Snapshot().Servers[s.place].SetStanding(as)
}

// replicas is a step of a story.
func (s *story) replicas(d *datadriven.TestData) {
	of := map[int]int{}
	for _, arg := range d.CmdArgs {
		for _, name := range arg.Vals {
			of[strings.Index("abc", name)] = strings.Index("abc", arg.Key)
		}
	}
	s.talk.setReplicas(of)
}

// stands is a step of a story: a server says of itself how it is.
func (s *story) stands(d *datadriven.TestData) {
	as := topology.Standing{Replica: true}
	for as.Why = topology.Fit; as.Why.String() != word(d, 1); as.Why++ {
		if as.Why > topology.OfAnother {
			d.Fatalf(s.t, "no server is %q", word(d, 1))
		}
	}
	if d.HasArg("zone") {
		d.ScanArgs(s.t, "zone", &as.Zone)
	}
	s.talk.stand(s.talk.stubs[strings.Index("abc", word(d, 0))], as)
	s.talk.topo.Refresh(int64(s.talk.now))
}
