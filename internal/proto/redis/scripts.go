package redis

import (
	"crypto/sha1" //nolint:gosec // It is how Redis names a script; nothing is kept secret by it.
	"encoding/hex"
	"sync/atomic"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Bounds of a pool's memory of scripts. They also bound what is sent to a server that
// comes back, before the first request.
const (
	maxScripts     = 1000
	maxScriptBytes = 4 << 20
)

// Scripts are the scripts that a pool's clients have loaded with SCRIPT LOAD. They are
// loaded again at a server that was away. All event loops share them: each reads a
// snapshot, and a change publishes a new one.
//
//	SCRIPT LOAD ─► loading (of the loop) ── the servers agree ─► Scripts
//	                                                               │
//	              a server's first connection after a failure ◄── Restore
//
// Scripts that came with EVAL are not among them: clients send the text again when they
// get NOSCRIPT.
type Scripts struct{ set atomic.Pointer[scriptSet] }

// NewScripts returns an empty memory.
func NewScripts() *Scripts {
	s := &Scripts{}
	s.set.Store(&scriptSet{})
	return s
}

// A scriptSet is the scripts of one moment. It is immutable.
type scriptSet struct {
	// scripts are the scripts, the oldest first, and bytes their size.
	scripts []script
	bytes   int
	// flushes is how many SCRIPT FLUSH there were so far.
	flushes uint64
}

type script struct {
	sha, text string
	// flushes is that of the set when the script was loaded.
	flushes uint64
}

// add remembers a script that was loaded, unless it was flushed since then. If there is
// no room, it forgets the oldest ones.
func (s *Scripts) add(one script) {
	for {
		old := s.set.Load()
		if one.flushes != old.flushes || old.has(one.sha) {
			return
		}
		next := &scriptSet{bytes: old.bytes + len(one.text), flushes: old.flushes}
		kept := old.scripts
		for len(kept) > 0 && (len(kept) >= maxScripts || next.bytes > maxScriptBytes) {
			next.bytes -= len(kept[0].text)
			kept = kept[1:]
		}
		next.scripts = append(append(make([]script, 0, len(kept)+1), kept...), one)
		if s.set.CompareAndSwap(old, next) {
			return
		}
	}
}

func (set *scriptSet) has(sha string) bool {
	for i := range set.scripts {
		if set.scripts[i].sha == sha {
			return true
		}
	}
	return false
}

// flush forgets all scripts.
func (s *Scripts) flush() {
	for {
		old := s.set.Load()
		if s.set.CompareAndSwap(old, &scriptSet{flushes: old.flushes + 1}) {
			return
		}
	}
}

// A loading is the scripts that this loop's clients are loading: from SCRIPT LOAD to
// its reply. Scripts that no server accepts stay until the room is needed.
type loading struct {
	// known are those that servers have loaded; static after construction.
	known   *Scripts
	scripts []script
	bytes   int
}

func (l *loading) add(one script) {
	l.bytes += len(one.text)
	l.scripts = append(l.scripts, one)
	for len(l.scripts) > maxScripts || l.bytes > maxScriptBytes {
		l.take(0)
	}
}

// take takes the i-th script out.
func (l *loading) take(i int) script {
	one := l.scripts[i]
	l.bytes -= len(one.text)
	l.scripts = append(l.scripts[:i], l.scripts[i+1:]...)
	if len(l.scripts) == 0 {
		l.scripts = nil
	}
	return one
}

// note notes the script of a SCRIPT LOAD, unless it is too large to be remembered.
func (l *loading) note(req *msg.Request) {
	text := req.Args[len(req.Args)-1]
	if text.Len > maxScriptBytes {
		return
	}
	b, _ := req.View.Bytes(int(text.Off), int(text.Len), nil)
	sum := sha1.Sum(b) //nolint:gosec // See the import.
	l.add(script{
		sha: hex.EncodeToString(sum[:]), text: string(b), flushes: l.known.set.Load().flushes,
	})
}

// loaded remembers the script that a server has loaded under the name sha, and
// reports whether it could: it must have come through this loop.
func (l *loading) loaded(sha string) bool {
	for i := range l.scripts {
		if l.scripts[i].sha == sha {
			l.known.add(l.take(i))
			return true
		}
	}
	return l.known.set.Load().has(sha)
}

// flush forgets all scripts, as the servers are told to.
func (l *loading) flush() {
	l.known.flush()
	l.scripts, l.bytes = nil, 0
}

// mergeLoad moves the reply to SCRIPT LOAD, which is the script's name. Servers that
// cannot be reached get the script when they come back. So it is enough if the others
// have it, provided that the script is remembered.
func (m *merger) mergeLoad(parent *msg.Msg, failure msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	sha := ""
	for i := range m.cursors {
		c := m.cursors[i]
		if c.absent {
			continue
		}
		if n, ok := m.readCount(&c, '$'); !ok || n != 2*sha1.Size {
			return msg.BadReply
		}
		line := m.line(&c)
		if len(line) != 2*sha1.Size+2 {
			return msg.BadReply // the bulk itself holds a line end
		}
		sha = string(line[:2*sha1.Size])
	}
	if !m.loading.loaded(sha) && failure != msg.OK {
		return failure
	}
	return m.mergeSame(parent, pool, out)
}

// Restore implements proxy.Greeter: it appends a SCRIPT LOAD for every script
// that is remembered.
func (g *greeter) Restore(pool *mbuf.Pool, out *mbuf.Chain) int {
	set := g.scripts.set.Load()
	w := writer{pool: pool, out: out}
	for i := range set.scripts {
		w.array(3)
		w.bulkString("SCRIPT")
		w.bulkString("LOAD")
		w.bulkString(set.scripts[i].text)
	}
	return len(set.scripts)
}
