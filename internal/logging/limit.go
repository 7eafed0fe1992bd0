package logging

import (
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// perSecond is how many lines of one kind are written in a second. More are
	// counted, and a line a second later says how many.
	perSecond = 20
	// limitSlots is about how many kinds are told apart.
	limitSlots = 1 << 10
	// limited is the highest level whose lines are limited. Whoever sets a higher level
	// wants all lines.
	limited = Notice
)

var limitSeed = maphash.MakeSeed()

// A limiter bounds how many lines of one kind are written. Lines are of one kind
// if they come from one place in the source and are about the same pool and
// server. Kinds that fall into one slot share its bound. It never waits, since
// event loops log too.
type limiter struct {
	slots [limitSlots]limitSlot
	// excess tells the writer that lines were left out.
	excess chan struct{}
}

type limitSlot struct {
	second, n, lost atomic.Int64
	// what is one of the lines that were lost.
	what atomic.Pointer[lostLine]
}

type lostLine struct {
	pc           uintptr
	msg          string
	pool, server string
}

func newLimiter() *limiter { return &limiter{excess: make(chan struct{}, 1)} }

// admits reports whether a line may be written.
func (l *limiter) admits(level Level, now time.Time, pc uintptr, msg string, attrs []slog.Attr) bool {
	if level > limited {
		return true
	}
	pool, server := "", ""
	for i := range attrs {
		switch attrs[i].Key {
		case "pool":
			pool = attrs[i].Value.String()
		case "server":
			server = attrs[i].Value.String()
		}
	}
	s := &l.slots[l.slotOf(pc, pool, server)]
	if second := now.Unix(); s.second.Load() != second && s.second.Swap(second) != second {
		s.n.Store(0)
	}
	if s.n.Add(1) <= perSecond {
		return true
	}
	s.lost.Add(1)
	if s.what.Load() == nil {
		s.what.CompareAndSwap(nil, &lostLine{pc: pc, msg: msg, pool: pool, server: server})
		select {
		case l.excess <- struct{}{}:
		default:
		}
	}
	return false
}

func (l *limiter) slotOf(pc uintptr, pool, server string) uint64 {
	h := uint64(pc) * 0x9e3779b97f4a7c15
	h ^= maphash.String(limitSeed, pool)
	h ^= maphash.String(limitSeed, server) * 0x9e3779b97f4a7c15
	return h >> 32 % limitSlots
}

// lost calls tell for each kind with lines that were left out since the last
// call.
func (l *limiter) lost(tell func(n int64, line *lostLine)) {
	for i := range l.slots {
		s := &l.slots[i]
		if line := s.what.Swap(nil); line != nil {
			tell(s.lost.Swap(0), line)
		}
	}
}

// appendLost adds lines about lines that were left out because there were too many.
func (c *core) appendLost(batch []byte) []byte {
	now := time.Now()
	c.limiter.lost(func(n int64, lost *lostLine) {
		line := c.format.head(nil, Warn, now, lost.pc, "too many lines of one kind: the rest was left out")
		attrs := []slog.Attr{slog.String("line", lost.msg), slog.Int64("left_out", n)}
		if lost.pool != "" {
			attrs = append(attrs, slog.String("pool", lost.pool))
		}
		if lost.server != "" {
			attrs = append(attrs, slog.String("server", lost.server))
		}
		batch = append(batch, c.format.finish(c.format.attrs(line, "", attrs))...)
	})
	return batch
}
