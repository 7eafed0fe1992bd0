package topology

import "nuthatch/internal/route"

// A ScanView is a cluster as it was found at one moment.
type ScanView struct {
	// Names and Epochs are those of its nodes, by their places. An epoch is the config
	// epoch; -1: unknown.
	Names  []string
	Epochs []int64
	// Owners has the place of the primary of each slot, or route.NoServer.
	Owners *[route.NumSlots]uint16
	// Moves are slots that are on their way.
	Moves []SlotMove
	// Looked is when all nodes began to be asked, in the loops' nanoseconds; 0: only some of
	// them were asked.
	Looked int64
}

// A SlotMove is a slot that is on its way from a node to another one, by their places; -1:
// nobody knows the node.
type SlotMove struct {
	Slot, From, To int
}

// A ScanHistory notes which slots move in which direction of a SCAN. It belongs to the
// publisher of a cluster's slots.
//
// What happens between two views is seen in the second one:
//
//	a slot has another primary, or is on its way     it moved from the one to the other
//	a slot moved to a node that was not scanned      it moved back and forth: the scan may have
//	                                                 passed the node's place
//	a node has a greater config epoch, and no more   its slots moved back and forth: it may have
//	slots                                            lost one and got it back
//
// So what it may miss is a slot that moves twice between two views, one of whose nodes gets
// another slot as well, and keys that go back while their slot keeps its primary.
type ScanHistory struct {
	log ScanLog
	// owners are the names of the primaries of slots.
	owners [route.NumSlots]string
	// back is when a slot moved back last, and turned when it moved back for the last time
	// before it moved forth.
	back, turned [route.NumSlots]int64
	// epochs are the greatest config epochs of nodes, by their names, and scanned are the nodes
	// that had slots, or got some, in the last view.
	epochs  map[string]int64
	scanned map[string]bool
}

// Note notes what a cluster is like at time now, and returns what follows for scans.
func (h *ScanHistory) Note(v *ScanView, now int64) ScanLog {
	if h.log.Known == 0 {
		h.log.Known = now
	}
	has, gained := make([]bool, len(v.Names)), make([]bool, len(v.Names))
	for slot, at := range v.Owners {
		if at == route.NoServer {
			continue
		}
		was, is := h.owners[slot], v.Names[at]
		if was != "" && was != is {
			h.moved(slot, was, is, now)
			gained[at] = true
		}
		h.owners[slot], has[at] = is, true
	}
	h.noteEpochs(v, gained, now)
	for _, m := range v.Moves {
		if m.From < 0 || m.To < 0 {
			h.movedAround(m.Slot, now)
			continue
		}
		h.moved(m.Slot, v.Names[m.From], v.Names[m.To], now)
		has[m.To] = true
	}
	h.scanned = make(map[string]bool, len(v.Names))
	for place, name := range v.Names {
		h.scanned[name] = has[place]
	}
	h.log.Back, h.log.Turned = 0, 0
	for slot, back := range h.back {
		h.log.Back, h.log.Turned = max(h.log.Back, back), max(h.log.Turned, h.turned[slot])
	}
	if v.Looked > 0 {
		h.log.Looked = v.Looked
	}
	return h.log
}

// moved notes that a slot moves, or has moved.
func (h *ScanHistory) moved(slot int, from, to string, now int64) {
	switch {
	case h.scanned != nil && !h.scanned[to]:
		h.movedAround(slot, now)
	case scanOrder(from, to) > 0:
		h.back[slot] = now
	default:
		h.turned[slot] = h.back[slot]
	}
}

// movedAround notes that a slot may have moved back and forth.
func (h *ScanHistory) movedAround(slot int, now int64) { h.back[slot], h.turned[slot] = now, now }

// noteEpochs notes the moves of slots of nodes whose config epochs have grown although they have
// not gained a slot.
func (h *ScanHistory) noteEpochs(v *ScanView, gained []bool, now int64) {
	epochs := make(map[string]int64, len(v.Names))
	risen := make(map[string]bool)
	for place, name := range v.Names {
		was, known := h.epochs[name]
		epochs[name] = max(was, v.Epochs[place])
		if known && v.Epochs[place] > was && !gained[place] {
			risen[name] = true
		}
	}
	h.epochs = epochs
	if len(risen) == 0 {
		return
	}
	for slot, owner := range h.owners {
		if risen[owner] {
			h.movedAround(slot, now)
		}
	}
}
