package emulate

import (
	"strconv"
	"strings"

	"nuthatch/internal/hashkit"
)

// The answers of a map, as Redis 7.0.15 has them.

// busOffset is how far Redis's port for other nodes is from that for clients. Nobody connects
// there; clients only read the number.
const busOffset = 10000

// write makes the answers.
func (m *Map) write() {
	for v, resp3 := range [2]bool{false, true} {
		m.slots[v] = m.writeSlots(resp3)
		m.shards[v] = m.writeShards(resp3)
	}
	m.nodes = m.writeNodes()
	m.info = m.writeInfo()
}

// A reply is the text of a reply in RESP.
type reply struct {
	strings.Builder
	resp3 bool
}

func (r *reply) number(first string, n int) {
	r.WriteString(first)
	r.WriteString(strconv.Itoa(n))
	r.WriteString("\r\n")
}

func (r *reply) array(n int)   { r.number("*", n) }
func (r *reply) integer(n int) { r.number(":", n) }

func (r *reply) bulk(s string) {
	r.number("$", len(s))
	r.WriteString(s)
	r.WriteString("\r\n")
}

func (r *reply) mapping(n int) {
	if r.resp3 {
		r.number("%", n)
		return
	}
	r.array(2 * n)
}

func (m *Map) writeSlots(resp3 bool) string {
	r := &reply{resp3: resp3}
	r.array(len(m.Nodes))
	for i := range m.Nodes {
		n := &m.Nodes[i]
		r.array(3)
		r.integer(n.First)
		r.integer(n.Last)
		r.array(4)
		r.bulk(n.Host)
		r.integer(n.Port)
		r.bulk(n.ID)
		r.mapping(0)
	}
	return r.String()
}

func (m *Map) writeShards(resp3 bool) string {
	r := &reply{resp3: resp3}
	r.array(len(m.Nodes))
	for i := range m.Nodes {
		n := &m.Nodes[i]
		r.mapping(2)
		r.bulk("slots")
		r.array(2)
		r.integer(n.First)
		r.integer(n.Last)
		r.bulk("nodes")
		r.array(1)
		m.writeNode(r, n)
	}
	return r.String()
}

// writeNode writes a node of CLUSTER SHARDS.
func (m *Map) writeNode(r *reply, n *Node) {
	pairs, port := 7, "port"
	if m.secure {
		port = "tls-port"
	}
	if !n.isNumeric() {
		pairs++
	}
	r.mapping(pairs)
	r.bulk("id")
	r.bulk(n.ID)
	r.bulk(port)
	r.integer(n.Port)
	r.bulk("ip")
	r.bulk(n.Host)
	r.bulk("endpoint")
	r.bulk(n.Host)
	if !n.isNumeric() {
		r.bulk("hostname")
		r.bulk(n.Host)
	}
	r.bulk("role")
	r.bulk("master")
	r.bulk("replication-offset")
	r.integer(0)
	r.bulk("health")
	r.bulk("online")
}

func (m *Map) writeNodes() string {
	var b strings.Builder
	for i := range m.Nodes {
		n := &m.Nodes[i]
		b.WriteString(n.ID + " " + n.Host + ":" + strconv.Itoa(n.Port) + "@" + strconv.Itoa(bus(n.Port)))
		if !n.isNumeric() {
			b.WriteString("," + n.Host)
		}
		flags := " master"
		if i == m.Self {
			flags = " myself,master"
		}
		slots := strconv.Itoa(n.First)
		if n.Last > n.First {
			slots += "-" + strconv.Itoa(n.Last)
		}
		b.WriteString(flags + " - 0 0 " + strconv.Itoa(i+1) + " connected " + slots + "\n")
	}
	if m.Self < 0 {
		// Some clients refuse an answer without a node that is the one asked.
		b.WriteString(m.MyID() + " " + m.own.Host + ":" + strconv.Itoa(m.own.Port) + "@" + strconv.Itoa(bus(m.own.Port)) +
			" myself,master - 0 0 0 connected\n")
	}
	return b.String()
}

// bus is the port for other nodes that belongs to one for clients.
func bus(port int) int {
	const last = 1<<16 - 1
	if port+busOffset > last {
		return port - busOffset
	}
	return port + busOffset
}

func (m *Map) writeInfo() string {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + ":" + value + "\r\n") }
	number := func(name string, n int) { line(name, strconv.Itoa(n)) }
	line("cluster_state", "ok")
	number("cluster_slots_assigned", hashkit.NumSlots)
	number("cluster_slots_ok", hashkit.NumSlots)
	number("cluster_slots_pfail", 0)
	number("cluster_slots_fail", 0)
	number("cluster_known_nodes", len(m.Nodes))
	number("cluster_size", len(m.Nodes))
	number("cluster_current_epoch", len(m.Nodes))
	number("cluster_my_epoch", m.Self+1)
	number("cluster_stats_messages_sent", 0)
	number("cluster_stats_messages_received", 0)
	number("total_cluster_links_buffer_limit_exceeded", 0)
	return b.String()
}
