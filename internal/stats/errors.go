package stats

import (
	"maps"
	"slices"
	"sync/atomic"
)

const (
	// MaxErrorNames is how many prefixes of errors are told apart in a process. All
	// others count under OtherError.
	MaxErrorNames = 64
	// MaxErrorName is the length, in bytes, of the longest prefix.
	MaxErrorName = 32
	// OtherError is the name of all other errors, and the first of the names.
	OtherError = "other"
)

// ErrorCounts are how many error replies a server gave, by the index of their
// prefix. One loop's belong to that loop.
type ErrorCounts [MaxErrorNames + 1]int64

// ServerErrors describes the error replies of a server, which are counted by prefix.
// In Prometheus it has the label error.
var ServerErrors = Field{
	"error_replies", "nuthatch_server_error_replies_total", Counter, Things,
	"error replies of the server, by the word that they begin with",
}

// RequestErrors are the prefixes of errors for which the server is not to blame: the
// request was wrong, or the error is an ordinary answer. All other prefixes, known
// or not, mean that the server cannot do its work.
var RequestErrors = []string{
	"ERR", "WRONGTYPE", "NOSCRIPT", "EXECABORT", "CROSSSLOT", "BUSYGROUP", "NOGROUP", "BUSYKEY", "INVALIDOBJ", "UNKILLABLE",
	"NOTBUSY", "NOPROTO", "UNBLOCKED", "ERROR", "CLIENT_ERROR",
}

// ServerFaults are prefixes that mean that the server cannot do its work.
var ServerFaults = []string{
	"OOM", "NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "BUSY", "MOVED", "ASK",
	"TRYAGAIN", "CLUSTERDOWN", "INPROG", "NOGOODSLAVE", "NOMASTERLINK", "IOERR", "DENIED", "SERVER_ERROR",
}

// Refusals are those by which a server says that it has not carried out a request, and that it, or
// another one, may do so later. Where it can, the proxy asks again, and no client gets them.
var Refusals = []string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY", "MASTERDOWN"}

// knownErrors have fixed places, so that unknown prefixes cannot take them.
var knownErrors = slices.Concat([]string{OtherError}, RequestErrors, ServerFaults)

// ErrorNames are the prefixes of errors that a process has seen. They may be used
// on any goroutine, without waiting.
type ErrorNames struct{ table atomic.Pointer[errorTable] }

// An errorTable is immutable.
type errorTable struct {
	names []string
	index map[string]int
}

var firstErrors = newErrorTable(knownErrors)

func newErrorTable(names []string) *errorTable {
	t := &errorTable{names: names, index: make(map[string]int, len(names))}
	for i, name := range names {
		t.index[name] = i
	}
	return t
}

func (n *ErrorNames) load() *errorTable {
	if t := n.table.Load(); t != nil {
		return t
	}
	return firstErrors
}

// Index is the index of a prefix in ErrorCounts. A prefix that is new gets one, as
// long as there are any left; it consists of capital letters, digits and underscores.
func (n *ErrorNames) Index(prefix []byte) int {
	for {
		was := n.table.Load()
		t := n.load()
		if i, ok := t.index[string(prefix)]; ok && i > 0 {
			return i
		}
		if len(t.names) > MaxErrorNames || !isErrorName(prefix) {
			return 0
		}
		next := &errorTable{names: append(slices.Clip(t.names), string(prefix)), index: maps.Clone(t.index)}
		next.index[string(prefix)] = len(t.names)
		if n.table.CompareAndSwap(was, next) {
			return len(t.names)
		}
	}
}

func isErrorName(prefix []byte) bool {
	if len(prefix) == 0 || len(prefix) > MaxErrorName {
		return false
	}
	for _, c := range prefix {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Names are the prefixes by their index. They are not to be changed.
func (n *ErrorNames) Names() []string { return n.load().names }

// Count counts an error reply with the prefix of that index. The counts are
// allocated at a server's first error.
func Count(counts **ErrorCounts, i int) {
	if *counts == nil {
		*counts = new(ErrorCounts)
	}
	(*counts)[i]++
}

// add merges the counts of another shard, which may be nil.
func (c *ErrorCounts) add(other *ErrorCounts) *ErrorCounts {
	if other == nil {
		return c
	}
	if c == nil {
		c = new(ErrorCounts)
	}
	for i, n := range other {
		c[i] += n
	}
	return c
}

// ErrorReplies are the error replies of all servers of the pool, by prefix.
func (p *PoolSnapshot) ErrorReplies(names []string) map[string]int64 {
	var all ServerSnapshot
	for i := range p.Servers {
		all.Errors = all.Errors.add(p.Servers[i].Errors)
	}
	return all.ErrorReplies(names)
}

// ErrorReplies are the server's error replies by prefix; what is 0 is left out.
func (s *ServerSnapshot) ErrorReplies(names []string) map[string]int64 {
	if s.Errors == nil {
		return nil
	}
	found := make(map[string]int64)
	for i, name := range names {
		if n := s.Errors[i]; n != 0 {
			found[name] = n
		}
	}
	return found
}
