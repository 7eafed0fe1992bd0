package cluster

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

// NumSlots is how many slots a cluster has.
const NumSlots = 16384

// A Node is one node of a cluster.
type Node struct {
	ID string
	// Host and Port are where it is, as redirects call it.
	Host string
	Port int
	// Others are the other addresses that it has, "host:port" without brackets.
	Others []string
	// Replica: it is one, of the primary with the id Of. Else it is a primary.
	Replica bool
	Of      string
	// Failing: most of the others cannot reach it.
	Failing bool
	Zone    string
	// Epoch is its config epoch; -1: unknown.
	Epoch int64
}

// Addr is where the node is.
func (n *Node) Addr() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port)) }

// A run is the slots from first to last, included, and the id of the primary that has them.
type run struct {
	first, last int
	owner       string
}

// An answer is what one node says of its cluster.
type answer struct {
	// addr is where it was asked, and self is its id; empty: it does not say.
	addr, self string
	nodes      map[string]*Node
	runs       []run
	// moves are the slots that are on their way from or to the node itself.
	moves []moving
	// epoch is the greatest config epoch that it knows; -1: none.
	epoch int64
	// state is how it finds its cluster.
	state state
}

var (
	errNoMap   = errors.New("its answer is no map of a cluster")
	errNoNodes = errors.New("it knows no node")
)

// asked is where an answer comes from.
type asked struct {
	// host is the host that was asked: nodes that do not say where they are are there.
	host string
	// secure: with TLS.
	secure bool
	// hosts are where nodes were said to be before, by their ids.
	hosts map[string]string
}

// unknownHost reports whether an answer does not say where a node is: Redis has nothing, or
// "?" while it does not know the node's host name.
func unknownHost(host string) bool { return host == "" || host == "?" }

// parseNodes reads CLUSTER NODES:
//
//	id ip:port@bus[,hostname[,...]] flags primary ping pong epoch link slot slot-slot [slot->-id] ...
func parseNodes(text string, from asked) (*answer, error) {
	a := &answer{nodes: make(map[string]*Node), epoch: -1}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 8 {
			return nil, errNoMap
		}
		n := &Node{ID: words[0]}
		myself, there := false, true
		for flag := range strings.SplitSeq(words[2], ",") {
			switch flag {
			case "myself":
				myself, a.self = true, n.ID
			case "slave", "replica":
				n.Replica, n.Of = true, words[3]
			case "fail":
				n.Failing = true
			case "handshake", "noaddr":
				there = false
			}
		}
		var err error
		if n.Epoch, err = strconv.ParseInt(words[6], 10, 64); err != nil {
			return nil, errNoMap
		}
		if there = n.place(words[1], myself, from) && there; !there {
			continue // nobody could go there
		}
		a.nodes[n.ID] = n
		a.epoch = max(a.epoch, n.Epoch)
		for _, word := range words[8:] {
			if strings.HasPrefix(word, "[") { // the primary that has it shows it, too
				if m, ok := movingOf(word, n.ID); ok {
					a.moves = append(a.moves, m)
				}
				continue
			}
			first, last, isRun := strings.Cut(word, "-")
			if !isRun {
				last = first
			}
			if err := a.add(first, last, n.ID); err != nil {
				return nil, err
			}
		}
	}
	if len(a.nodes) == 0 {
		return nil, errNoNodes
	}
	return a, nil
}

// place reads where a node is, from CLUSTER NODES, and reports false if nobody can say.
func (n *Node) place(word string, myself bool, from asked) bool {
	at, more, _ := strings.Cut(word, ",")
	at, _, _ = strings.Cut(at, "@")
	i := strings.LastIndexByte(at, ':')
	if i < 0 {
		return false
	}
	port, err := strconv.Atoi(at[i+1:])
	if err != nil || port < 1 || port > 65535 {
		return false
	}
	n.Host, n.Port = strings.Trim(at[:i], "[]"), port
	if unknownHost(n.Host) {
		switch {
		case myself:
			n.Host = from.host
		case from.hosts[n.ID] != "":
			n.Host = from.hosts[n.ID]
		default:
			return false
		}
	}
	hostname, aux, _ := strings.Cut(more, ",")
	if hostname != "" {
		n.alias(hostname, n.Port)
	}
	for field := range strings.SplitSeq(aux, ",") {
		if zone, ok := strings.CutPrefix(field, "availability-zone="); ok {
			n.Zone = zone
		}
	}
	return true
}

// alias notes another address of the node.
func (n *Node) alias(host string, port int) {
	name := host + ":" + strconv.Itoa(port)
	if !slices.Contains(n.Others, name) {
		n.Others = append(n.Others, name)
	}
}

// move notes that redirects call the node by another address than is known.
func (n *Node) move(host string, port int) {
	if host == n.Host && port == n.Port {
		return
	}
	n.alias(n.Host, n.Port)
	n.Host, n.Port = host, port
	own := host + ":" + strconv.Itoa(port)
	n.Others = slices.DeleteFunc(n.Others, func(name string) bool { return name == own })
}

// add notes that a primary has a run of slots.
func (a *answer) add(first, last, owner string) error {
	lo, err1 := strconv.Atoi(first)
	hi, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || lo < 0 || hi < lo || hi >= NumSlots || len(a.runs) == NumSlots {
		return errNoMap
	}
	a.runs = append(a.runs, run{lo, hi, owner})
	return nil
}

// fields are the fields of a map in RESP2.
func fields(of any) map[string]any {
	flat, _ := of.([]any)
	all := make(map[string]any, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		if name, ok := flat[i].(string); ok {
			all[name] = flat[i+1]
		}
	}
	return all
}

func textOf(of any) string {
	s, _ := of.(string)
	return s
}

func numberOf(of any) int {
	switch n := of.(type) {
	case int64:
		return int(n)
	case string:
		i, err := strconv.Atoi(n)
		if err == nil {
			return i
		}
	}
	return 0
}

// parseShards reads CLUSTER SHARDS (Redis 7). It has no epochs.
func parseShards(of any, from asked) (*answer, error) {
	shards, ok := of.([]any)
	if !ok {
		return nil, errNoMap
	}
	a := &answer{nodes: make(map[string]*Node), epoch: -1}
	for _, s := range shards {
		shard := fields(s)
		list, _ := shard["nodes"].([]any)
		primary := ""
		var nodes []*Node
		for _, f := range list {
			n := nodeOfShard(fields(f), from)
			if n == nil {
				continue
			}
			nodes = append(nodes, n)
			if !n.Replica && (primary == "" || !n.Failing) {
				primary = n.ID
			}
		}
		for _, n := range nodes {
			if n.Replica {
				n.Of = primary
			}
			a.nodes[n.ID] = n
		}
		slots, _ := shard["slots"].([]any)
		for i := 0; primary != "" && i+1 < len(slots); i += 2 {
			if err := a.add(strconv.Itoa(numberOf(slots[i])), strconv.Itoa(numberOf(slots[i+1])), primary); err != nil {
				return nil, err
			}
		}
	}
	if len(a.nodes) == 0 {
		return nil, errNoNodes
	}
	return a, nil
}

// nodeOfShard is a node as CLUSTER SHARDS has it, or nil if nobody can go there.
func nodeOfShard(f map[string]any, from asked) *Node {
	n := &Node{ID: textOf(f["id"]), Epoch: -1, Zone: textOf(f["availability-zone"])}
	n.Port = numberOf(f["port"])
	if tls := numberOf(f["tls-port"]); tls > 0 && (from.secure || n.Port == 0) {
		n.Port = tls
	}
	n.Replica = textOf(f["role"]) == "replica" || textOf(f["role"]) == "slave"
	n.Failing = textOf(f["health"]) == "fail"
	ip, endpoint := textOf(f["ip"]), textOf(f["endpoint"])
	switch _, named := f["endpoint"].(string); {
	case named && !unknownHost(endpoint):
		n.Host = endpoint
	case endpoint == "?" && !unknownHost(ip): // its host name is not known yet
		n.Host = ip
	case from.hosts[n.ID] != "":
		n.Host = from.hosts[n.ID]
	default:
		n.Host = from.host // no endpoint: the host that was asked
	}
	if n.ID == "" || n.Port < 1 || n.Port > 65535 {
		return nil
	}
	for _, host := range []string{ip, textOf(f["hostname"])} {
		if !unknownHost(host) && host != n.Host {
			n.alias(host, n.Port)
		}
	}
	return n
}

// parseSlots reads CLUSTER SLOTS, for servers that have nothing else. It has no epochs, and
// no replicas that have failed.
func parseSlots(of any, from asked) (*answer, error) {
	runs, ok := of.([]any)
	if !ok {
		return nil, errNoMap
	}
	a := &answer{nodes: make(map[string]*Node), epoch: -1}
	for _, r := range runs {
		parts, _ := r.([]any)
		if len(parts) < 3 {
			return nil, errNoMap
		}
		primary := ""
		for i, p := range parts[2:] {
			n := nodeOfSlots(p, from)
			switch {
			case n == nil:
				continue
			case i == 0:
				primary = n.ID
			default:
				n.Replica, n.Of = true, primary
			}
			if a.nodes[n.ID] == nil {
				a.nodes[n.ID] = n
			}
		}
		if primary == "" {
			continue // a hole, as far as anybody can tell
		}
		if err := a.add(strconv.Itoa(numberOf(parts[0])), strconv.Itoa(numberOf(parts[1])), primary); err != nil {
			return nil, err
		}
	}
	if len(a.nodes) == 0 {
		return nil, errNoNodes
	}
	return a, nil
}

// nodeOfSlots is a node as CLUSTER SLOTS has it: host, port, id and, since Redis 7, more.
func nodeOfSlots(of any, from asked) *Node {
	parts, _ := of.([]any)
	if len(parts) < 2 {
		return nil
	}
	n := &Node{Host: textOf(parts[0]), Port: numberOf(parts[1]), Epoch: -1}
	var more map[string]any
	if len(parts) > 2 {
		n.ID = textOf(parts[2])
	}
	if len(parts) > 3 {
		more = fields(parts[3])
	}
	if n.Port < 1 || n.Port > 65535 {
		return nil
	}
	ip := textOf(more["ip"])
	switch {
	case !unknownHost(n.Host):
	case n.Host == "?" && !unknownHost(ip):
		n.Host = ip
	case n.Host == "?" && from.hosts[n.ID] != "":
		n.Host = from.hosts[n.ID]
	case n.Host == "?":
		return nil // to guess would ask the wrong node
	default:
		n.Host = from.host
	}
	if n.ID == "" {
		n.ID = n.Addr()
	}
	for _, host := range []string{ip, textOf(more["hostname"])} {
		if !unknownHost(host) && host != n.Host {
			n.alias(host, n.Port)
		}
	}
	n.Zone = textOf(more["availability-zone"])
	return n
}

// with takes from CLUSTER SHARDS what CLUSTER NODES does not say: by which addresses
// redirects call the nodes, and their zones.
func (a *answer) with(shards *answer) {
	for id, n := range a.nodes {
		s := shards.nodes[id]
		if s == nil {
			continue
		}
		n.move(s.Host, s.Port)
		own := n.Host + ":" + strconv.Itoa(n.Port)
		for _, name := range s.Others {
			if name != own && !slices.Contains(n.Others, name) {
				n.Others = append(n.Others, name)
			}
		}
		if s.Zone != "" {
			n.Zone = s.Zone
		}
	}
}
