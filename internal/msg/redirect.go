package msg

// A Redirect is what a node of a cluster says in place of a reply: that it did not carry
// the request out, and who may.
type Redirect struct {
	Kind RedirectKind
	// Slot is the slot of the request's keys, and Host and Port are the node that is named,
	// for Moved and Asks. If Host is empty, it is the host of the node that says so.
	Slot, Port int
	Host       string
}

// A RedirectKind says why a node did not carry a request out.
type RedirectKind uint8

const (
	// Carried means that it did, or that nothing is known of the contrary.
	Carried RedirectKind = iota
	// Moved means that another node has the slot.
	Moved
	// Asks means that the slot is on its way to another node, which has this key if
	// anybody has.
	Asks
	// TriesAgain means that the slot is on its way, and that each of the two nodes may have
	// some of the keys.
	TriesAgain
	// Unready means that the node serves no such request at present: the cluster is down,
	// the node is a replica, or reads its data in.
	Unready
	// NumRedirects is how many kinds there are.
	NumRedirects = iota
)
