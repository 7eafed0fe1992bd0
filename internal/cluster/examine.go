package cluster

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"nuthatch/internal/config"
	"nuthatch/internal/redisclient"
	"nuthatch/internal/units"
)

// examineAtOnce is how many nodes are asked at the same time by Examine.
const examineAtOnce = 16

// An Examined is what a cluster looks like to somebody who asks all of its nodes.
type Examined struct {
	Nodes []Seen `json:"nodes"`
	// Covered is how many of the slots have a primary.
	Covered int `json:"slots_covered"`
	// Epoch is the greatest config epoch; -1: the nodes do not say.
	Epoch  int64               `json:"epoch"`
	Faults []redisclient.Fault `json:"faults"`
}

// A Seen is one node, or a seed that is none.
type Seen struct {
	Address string `json:"address"`
	ID      string `json:"id,omitempty"`
	// Role is "primary", "replica", or "unknown" for a seed that is no node.
	Role  string `json:"role"`
	Slots int    `json:"slots"`
	// Epoch is its config epoch; -1: unknown.
	Epoch   int64  `json:"epoch"`
	Version string `json:"version,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Seed    bool   `json:"seed"`
	Answers bool   `json:"answers"`
}

// A visit is what one node has said, or why it has not.
type visit struct {
	*answer
	addr config.Address
	err  error
	// open: it wants no password, though there is one.
	open bool
	// state is its cluster_state, and version its server's; empty: it does not say.
	state, version string
	// lost are the nodes that it knows, and cannot say where they are. vague are those
	// that redirects would call "?". moving are the slots that are on their way from it.
	lost, vague, moving []string
}

// Examine asks the seeds, and then all nodes that they name, and says what is wrong.
func (o *Options) Examine(ctx context.Context) *Examined {
	asked := make(map[string]*visit)
	var all []*visit
	ask := func(addrs []config.Address, hosts map[string]string) {
		var group sync.WaitGroup
		free := make(chan struct{}, examineAtOnce)
		for _, addr := range addrs {
			if asked[addr.String()] != nil {
				continue
			}
			v := &visit{addr: addr}
			asked[addr.String()] = v
			all = append(all, v)
			free <- struct{}{}
			group.Go(func() {
				defer func() { <-free }()
				o.visit(ctx, v, hosts)
			})
		}
		group.Wait()
	}
	ask(o.Seeds, nil)
	// What the seeds say is what a proxy begins with. Others may know of more nodes.
	m, _ := merge(nil, answersOf(all))
	for more := -1; m != nil && more != len(all); {
		more = len(all)
		var addrs []config.Address
		for i := range m.Nodes {
			addrs = append(addrs, config.Address{Network: config.NetworkTCP, Host: m.Nodes[i].Host, Port: m.Nodes[i].Port})
		}
		ask(addrs, m.hosts())
		m, _ = merge(nil, answersOf(all))
	}
	seeds := make(map[string]bool, len(o.Seeds))
	for _, seed := range o.Seeds {
		seeds[seed.String()] = true
	}
	return judge(m, all, seeds, o.Secure != nil)
}

func answersOf(all []*visit) (answers []*answer) {
	for _, v := range all {
		if v.answer != nil {
			answers = append(answers, v.answer)
		}
	}
	return answers
}

// visit asks one node.
func (o *Options) visit(ctx context.Context, v *visit, hosts map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, 2*askTime)
	defer cancel()
	v.answer, v.err = o.visitWith(ctx, v, o.Login, hosts)
	if redisclient.NoPassword(v.err) {
		v.open = true
		v.answer, v.err = o.visitWith(ctx, v, config.Login{}, hosts)
	}
}

func (o *Options) visitWith(ctx context.Context, v *visit, login config.Login, hosts map[string]string) (*answer, error) {
	client := redisclient.New(redisclient.Options{Addr: v.addr, Login: login, Secure: o.Secure, Time: askTime, Connections: 1})
	defer client.Close()
	pipe := client.Pipeline()
	nodes := pipe.Do(ctx, "CLUSTER", "NODES")
	shards := pipe.Do(ctx, "CLUSTER", "SHARDS")
	info := pipe.Do(ctx, "CLUSTER", "INFO")
	server := pipe.Do(ctx, "INFO", "server")
	if err := redisclient.Ask(ctx, pipe); err != nil {
		return nil, err
	}
	v.state = redisclient.Field(info, "cluster_state")
	v.version = redisclient.Version(server)
	from := asked{host: v.addr.Host, secure: o.Secure != nil, hosts: hosts}
	a, err := conclude(ctx, client, nodes, shards, from)
	if err != nil {
		return nil, err
	}
	a.addr = v.addr.String()
	if text, err := nodes.Text(); err == nil {
		v.lost, v.moving = unusual(text)
	}
	if said, err := shards.Result(); err == nil {
		v.vague = vagueOf(said)
	}
	return a, nil
}

// unusual are the nodes of CLUSTER NODES of which it is not said where they are, and the
// slots that are on their way from the node that was asked.
func unusual(text string) (lost, moving []string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 8 {
			continue
		}
		at, _, _ := strings.Cut(words[1], "@")
		host := strings.Trim(at[:max(strings.LastIndexByte(at, ':'), 0)], "[]")
		flags := strings.Split(words[2], ",")
		if !slices.Contains(flags, "myself") {
			words = words[:8]
		}
		switch {
		case slices.Contains(flags, "handshake"):
			// It is not known yet whether it belongs to the cluster.
		case slices.Contains(flags, "noaddr"), unknownHost(host) && !slices.Contains(flags, "myself"):
			lost = append(lost, words[0])
		}
		for _, word := range words[8:] { // of the node itself
			if slot, _, on := strings.Cut(strings.TrimPrefix(word, "["), "->-"); on {
				moving = append(moving, slot)
			}
		}
	}
	return lost, moving
}

// vagueOf are the ids of the nodes that CLUSTER SHARDS, and so redirects, call "?".
func vagueOf(of any) (ids []string) {
	shards, _ := of.([]any)
	for _, s := range shards {
		list, _ := fields(s)["nodes"].([]any)
		for _, n := range list {
			if f := fields(n); textOf(f["endpoint"]) == "?" {
				ids = append(ids, textOf(f["id"]))
			}
		}
	}
	return ids
}

// seenOf are the nodes of the map, and the seeds that are none.
func seenOf(m *Map, all []*visit, seeds map[string]bool) []Seen {
	visits, named := make(map[string]*visit, len(all)), make(map[string]bool)
	for _, v := range all {
		visits[v.addr.String()] = v
		if v.answer != nil && seeds[v.addr.String()] {
			named[v.self] = true
		}
	}
	var nodes []Seen
	there := make(map[string]bool)
	if m != nil {
		slots := make([]int, len(m.Nodes))
		for _, at := range m.Owners {
			if at >= 0 {
				slots[at]++
			}
		}
		for i := range m.Nodes {
			n := &m.Nodes[i]
			s := Seen{Address: n.Addr(), ID: n.ID, Role: "primary", Slots: slots[i], Epoch: n.Epoch, Zone: n.Zone, Seed: seeds[n.Addr()] || named[n.ID]}
			if n.Replica {
				s.Role = "replica"
			}
			if v := visits[s.Address]; v != nil {
				s.Version, s.Answers = v.version, v.err == nil
			}
			there[n.ID], there[s.Address] = true, true
			nodes = append(nodes, s)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(seeds)) {
		if v := visits[at]; v != nil && !there[at] && (v.answer == nil || !there[v.self]) {
			s := Seen{Address: at, Role: "unknown", Epoch: -1, Version: v.version, Seed: true, Answers: v.err == nil}
			if v.answer != nil {
				s.ID = v.self
			}
			nodes = append(nodes, s)
		}
	}
	return nodes
}

// runsOf are slots in words, such as "1, 5-10", in short if there are very many.
func runsOf(slots []int) string {
	const most = 8
	var runs []string
	for i := 0; i < len(slots); {
		end := i
		for end+1 < len(slots) && slots[end+1] == slots[end]+1 {
			end++
		}
		run := strconv.Itoa(slots[i])
		if end > i {
			run += "-" + strconv.Itoa(slots[end])
		}
		runs = append(runs, run)
		i = end + 1
	}
	if more := len(runs) - most; more > 0 {
		return strings.Join(runs[:most], ", ") + " and " + units.Count(more, "more run")
	}
	return strings.Join(runs, ", ")
}
