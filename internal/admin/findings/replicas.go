package findings

import (
	"fmt"
	"slices"
	"strings"

	"nuthatch/internal/admin/api"
)

// maxReplicas is how many replicas are named with why they are not read from, and how many
// primaries.
const maxReplicas = 4

// replicas finds primaries of which no replica is read from, in a pool that reads from replicas.
// With read_policy: replica their reads fail, so that those without a replica count, too.
func (f *finder) replicas(p *api.Pool) {
	if p.ReadPolicy == "" {
		return
	}
	alone := p.ReadPolicy == "replica"
	of := make(map[string][]*api.Server)
	for i := range p.Servers {
		if v := &p.Servers[i]; v.Replication != nil && v.Replication.Of != "" {
			of[v.Replication.Of] = append(of[v.Replication.Of], v)
		}
	}
	var without, why []string
	primaries := 0
	for i := range p.Servers {
		v := &p.Servers[i]
		all := of[v.Name]
		if v.Share == 0 && all == nil {
			continue // a replica, or nothing is read there
		}
		primaries++
		if slices.ContainsFunc(all, readFrom) || all == nil && !alone {
			continue
		}
		without = append(without, v.Name)
		if all == nil {
			why = append(why, v.Name+" has none")
		}
		for _, r := range all {
			why = append(why, r.Name+": "+unread(r))
		}
	}
	if len(without) == 0 {
		return
	}
	subject := "no replica is read from"
	if len(without) < primaries {
		subject = "no replica of " + some(without) + " is read from"
	}
	then := "reads go to primaries"
	switch p.ReadPolicy {
	case "replica":
		then = "reads fail"
	case "prefer_primary":
		then = "reads fail if the primary does"
	}
	f.add(replicas, alone, p.Name, "%s, and %s:: %s", subject, then, some(why))
}

// readFrom reports whether reads may go to a replica.
func readFrom(v *api.Server) bool { return v.Replication.State == "fit" && v.State == "up" }

// unread says why a replica is not read from.
func unread(v *api.Server) string {
	switch {
	case v.Replication.State != "fit":
		return v.Replication.Why
	case v.Cause != "":
		return "it is " + v.State + ", " + v.Cause
	}
	return "it is " + v.State
}

// some names things, and how many more there are.
func some(all []string) string {
	text := strings.Join(all[:min(len(all), maxReplicas)], ", ")
	if more := len(all) - maxReplicas; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
