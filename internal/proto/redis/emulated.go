package redis

import (
	"bytes"
	"strconv"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
)

// A pool that looks like a Redis Cluster to its clients (emulate: cluster: true). All answers
// about nodes are texts of the map in force; see package emulate.

// Why keys of a slot are not told.
const (
	invalidSlot     = "Invalid slot"
	invalidSlotKeys = "Invalid slot or number of keys"
	noSlotKeys      = "its servers are not a Redis Cluster, and do not know which keys a slot has"
)

// mode is what HELLO and INFO say that the pool is.
func (r *rules) mode() string {
	if r.emulate != nil {
		return "cluster"
	}
	return "standalone"
}

// support notes why the request is not supported, if it is not. If the pool looks like a
// cluster, requests about that are. Where the servers are a cluster, the owner of a slot is asked
// for its keys.
func (p *requestParser) support(cmd *command) {
	r := &p.req
	r.Error = cmd.reason
	if cmd.emulated && p.peers != nil && p.isPeers(cmd) {
		r.Error = ""
		return
	}
	if !cmd.emulated || p.emulate == nil {
		return
	}
	if len(r.Args) != cmd.arity {
		p.refuse(wrongArity)
		return
	}
	r.Error = ""
	const keysOf, countOf = "getkeysinslot", "countkeysinslot"
	if cmd.sub != keysOf && cmd.sub != countOf {
		return
	}
	fault := invalidSlot
	slot, ok := number(r, 2)
	if cmd.sub == keysOf {
		fault = invalidSlotKeys
		n, isNumber := number(r, 3)
		if ok = ok && isNumber; n < 0 {
			slot = -1
		}
	}
	switch {
	case !ok:
		p.refuse(notInteger)
	case slot < 0 || slot >= hashkit.NumSlots:
		p.refuse(fault)
	case !p.cluster:
		p.refuse(noSlotKeys)
	default:
		r.Treatment, r.PlaceKey = msg.Forward, append(p.place[:0], p.emulate.KeyOfSlot(int(slot))...)
	}
}

// isPeers tells whether the request is how another proxy asks who this one is: CLUSTER MYID PEER.
func (p *requestParser) isPeers(cmd *command) bool {
	const word = "PEER"
	r := &p.req
	if cmd.answer != answerMyID || len(r.Args) != 3 || int(r.Args[2].Len) != len(word) {
		return false
	}
	var buf [len(word)]byte
	b, _ := r.View.Bytes(int(r.Args[2].Off), len(word), buf[:0])
	return bytes.EqualFold(b, []byte(word))
}

// asksWhoIsThere tells whether a request is how a proxy asks another whether it is there. It is
// answered without a login: what it tells is no secret.
func (r *rules) asksWhoIsThere(req *msg.Request, cmd *command) bool {
	return cmd.answer == answerMyID && r.peers != nil && req.Error == ""
}

// An emulated answers requests about the cluster that a pool looks like.
type emulated struct {
	*rules
	words *wordReader // the protocol's
}

// answer answers a request about the cluster.
func (e emulated) answer(req *msg.Request, cmd *command, w writer) {
	if cmd.answer == answerMyID && len(req.Args) == 3 {
		w.bulkString(e.peers.Map().Card())
		return
	}
	if e.emulate == nil {
		w.raw(noCluster)
		return
	}
	m := e.emulate.Map()
	switch cmd.sub {
	case "": // READONLY, READWRITE, ASKING
		w.ok()
	case "info":
		w.verbatim(m.Info())
	case "keyslot":
		w.integer(int64(hashkit.Slot(e.words.word(req, 2))))
	case "myid", "myshardid":
		w.bulkString(m.MyID())
	case "nodes":
		w.verbatim(m.NodeLines())
	case "shards":
		w.raw(m.Shards(w.resp3))
	case "slots":
		w.raw(m.Slots(w.resp3))
	}
}

// goesElsewhere tells whether a request is to be sent to another proxy, since this one is about to
// end. It concerns what is for the servers that have its keys. What is under way is finished: a
// transaction, and one that watches keys.
func (r *rules) goesElsewhere(req *msg.Request, s *msg.Session) bool {
	switch req.Treatment {
	case msg.Forward, msg.Fragment, msg.Watch, msg.Block:
		return req.Nkeys > 0 && s.Watched == 0 && r.emulate != nil && r.emulate.Map().Leaves
	default:
		return false
	}
}

// sendElsewhere tells the client which proxy to ask, as a node of a cluster does.
func (e emulated) sendElsewhere(req *msg.Request, w writer) {
	slot := hashkit.Slot(e.words.word(req, req.FirstKey))
	w.fail("MOVED ", strconv.Itoa(slot), " ", e.emulate.Map().Owner(slot).Moved())
}
