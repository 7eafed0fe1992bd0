package cluster

import (
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/redisclient"
	"nuthatch/internal/units"
)

// A state is what CLUSTER INFO says. The map may be whole where the cluster is down: failed
// primaries keep their slots.
type state struct {
	// word is cluster_state; empty: the node does not say.
	word string
	// served is how many slots have a primary that works, as the node sees it; -1: it does not say.
	served int
}

// hear notes the answer to CLUSTER INFO.
func (a *answer) hear(info *redis.Cmd) {
	a.state = state{word: redisclient.Field(info, "cluster_state"), served: -1}
	if n, err := strconv.Atoi(redisclient.Field(info, "cluster_slots_ok")); err == nil {
		a.state.served = n
	}
}

// refusal says that the cluster refuses requests, if most of the nodes that have answered say so;
// empty: it does not. One alone may have been cut off from the others.
func refusal(answers []*answer) string {
	all, fail, served := 0, 0, -1
	for _, a := range answers {
		switch a.state.word {
		case "":
		case "fail":
			all, fail = all+1, fail+1
			served = max(served, a.state.served)
		default:
			all++
		}
	}
	if 2*fail <= all {
		return ""
	}
	text := fmt.Sprintf("cluster_state is fail at %d of %d nodes that were asked", fail, all)
	if served >= 0 && served < NumSlots {
		text += fmt.Sprintf("; %d of %d slots %s no primary that works", NumSlots-served, NumSlots, units.Plural(NumSlots-served, "has", "have"))
	}
	return text
}
