package ctl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

// cluster shows the clusters and the sentinels of pools, and what pools look like, with their nodes.
func (s *session) cluster(args []string) error {
	pools, written, err := s.pools(args)
	if written || err != nil {
		return err
	}
	shown := 0
	for i := range pools.Pools {
		p := &pools.Pools[i]
		show := func(is bool, write func(*api.Pool, time.Time) error) error {
			if !is {
				return nil
			}
			if shown++; shown > 1 {
				fmt.Fprintln(s.out)
			}
			return write(p, pools.Time)
		}
		if err := errors.Join(show(p.Cluster != nil, s.clusterOf), show(p.Sentinels != nil, s.sentinelsOf), show(hasReplicas(p), s.replicasOf), show(p.Emulated != nil, s.emulated)); err != nil {
			return err
		}
	}
	if shown == 0 {
		fmt.Fprintln(s.out, "no pool has a Redis Cluster, sentinels or replicas behind it, or looks like a cluster")
	}
	return nil
}

// clusterOf shows one pool's.
func (s *session) clusterOf(p *api.Pool, now time.Time) error {
	c := p.Cluster
	err := s.table("", func(add func(...any)) {
		add("pool", p.Name)
		add("slots", fmt.Sprintf("%d of %d have a primary", c.Covered, c.Slots))
		add("nodes", units.Count(c.Primaries, "primary")+", "+units.Count(c.Replicas, "replica"))
		if c.Epoch >= 0 {
			add("epoch", c.Epoch)
		}
		add("asked", fmt.Sprintf("%s (%s), answered %s", ago(c.Asked, now), orDash(c.Why), ago(c.Answered, now)))
		var why []string
		for _, name := range slices.Sorted(maps.Keys(c.AskedFor)) {
			why = append(why, fmt.Sprintf("%s %d", name, c.AskedFor[name]))
		}
		add("asked for", orDash(strings.Join(why, ", ")))
		add("waiting", waiting(p)+" for a node")
		if c.Problem != "" {
			add("problem", c.Problem+", since "+ago(c.Since, now))
		}
		for _, seed := range c.Seeds {
			switch {
			case seed.Problem != "":
				add("seed "+seed.Address, seed.Problem)
			case seed.Foreign:
				add("seed "+seed.Address, "it belongs to another cluster")
			}
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	return s.table("NODE\tROLE\tOF\tSLOTS\tSTATE\tREASON\tZONE\tID", func(add func(...any)) {
		for i := range p.Servers {
			v := &p.Servers[i]
			n := v.Node
			if n == nil {
				continue // a reload has just come
			}
			state := v.State
			if n.Failing {
				state += ", failed for the others"
			}
			add(v.Name, orDash(n.Role), orDash(n.Of), n.Slots, state, orDash(v.Reason), orDash(n.Zone), orDash(n.ID))
		}
	})
}

// emulated shows what one pool looks like.
func (s *session) emulated(p *api.Pool, now time.Time) error {
	e := p.Emulated
	err := s.table("", func(add func(...any)) {
		add("pool", p.Name)
		if e.Cluster {
			add("looks like", fmt.Sprintf("a cluster of %d, since %s", len(e.Nodes), ago(&e.Since, now)))
		}
		if t := e.Sentinel; t != nil {
			add("answers as", fmt.Sprintf("a Sentinel of %d at %s, for %q", 1+len(t.Others), t.Listens, t.Name))
			add("its clients", fmt.Sprintf("%d, of which %d are told of changes", t.Clients, t.Subscribers))
			add("switches", fmt.Sprintf("%s told to use another proxy, %d refused; %s failed",
				units.Count(t.Switches, "client")+units.Plural(t.Switches, " was", " were"), t.Refused, units.Count(t.LoginsFailed, "login")))
		}
		if e.Leaving {
			add("leaves", "the others have the clients of this proxy, which is about to end")
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	err = s.table("NODE\tSLOTS\tID", func(add func(...any)) {
		for _, n := range e.Nodes {
			name, slots := n.Address, "-"
			if n.Self {
				name += " (this proxy)"
			}
			if e.Cluster {
				slots = fmt.Sprintf("%d-%d", n.First, n.Last)
			}
			add(name, slots, n.ID)
		}
	})
	if err != nil || len(e.Peers) == 0 {
		return err
	}
	fmt.Fprintln(s.out)
	return s.table("PEER\tSTATE\tSINCE\tANNOUNCES\tSENTINEL\tREASON", func(add func(...any)) {
		for i := range e.Peers {
			one := &e.Peers[i]
			add(one.Address, one.State, ago(&one.Since, now), orDash(one.Announced), orDash(one.Sentinel), orDash(one.Problem))
		}
	})
}

// hasReplicas reports whether the pool reads from replicas.
func hasReplicas(p *api.Pool) bool {
	return slices.ContainsFunc(p.Servers, func(v api.Server) bool { return v.Replication != nil })
}

// replicasOf shows what the primaries and replicas of one pool have said of themselves.
func (s *session) replicasOf(p *api.Pool, now time.Time) error {
	err := s.table("", func(add func(...any)) {
		add("pool", p.Name)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	return s.table("REPLICA\tOF\tROLE\tREAD FROM\tLAG\tSILENT\tZONE\tASKED", func(add func(...any)) {
		for i := range p.Servers {
			v := &p.Servers[i]
			r := v.Replication
			if r == nil || r.Of == "" {
				continue
			}
			reads := "yes"
			if r.State != "fit" {
				reads = "no: " + strings.ReplaceAll(r.State, "_", " ")
			}
			lag, silent := "-", "-"
			if r.Lag != nil {
				lag = units.Size(*r.Lag)
			}
			if r.Role == "replica" && r.State != "not_asked" && r.State != "no_answer" { // else it has not said
				silent = units.Seconds(r.Silence)
			}
			add(v.Name, r.Of, r.Role, reads, lag, silent, orDash(r.Zone), ago(r.Asked, now))
		}
	})
}

// waiting is how many of the pool's clients wait for a server that takes their request.
func waiting(p *api.Pool) string {
	n := p.Counters["server_waiting"]
	return units.Count(n, "client") + units.Plural(n, " waits", " wait")
}

// ago is how long ago a time was.
func ago(at *time.Time, now time.Time) string {
	if at == nil {
		return "never"
	}
	return units.Age(now.Sub(*at)) + " ago"
}
