package proxy

import (
	"math"
	"time"

	"nuthatch/internal/hotkeys"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

const (
	// samplesPerSecond is about how many requests of a pool each loop samples for hot
	// keys.
	samplesPerSecond = 1000
	// samplePeriod is how often, in nanoseconds, the share of requests that is sampled
	// is fitted to their number. It is fitted earlier after maxSamples samples.
	samplePeriod = int64(time.Second)
	maxSamples   = samplesPerSecond / 4
	maxEvery     = 1 << 16
	// noteBurst is how many requests get a note of their key after a large reply whose
	// key is unknown, since a large value is likely to be requested again. notePause is
	// the least time, in nanoseconds, between two bursts.
	noteBurst = 64
	notePause = int64(50 * time.Millisecond)
	// maxNoted is how many of a request's keys are considered for large replies.
	maxNoted = 256
)

// A keySampler finds the most requested keys, and the largest requests and replies. It
// samples one request in n, of any kind, and looks at large ones.
type keySampler struct {
	// left is how many requests come before the next sample. every is how many requests
	// a sample stands for.
	left, every int64
	// notes is how many of the next requests get a note of their key. largeRequest and
	// largeReply are the sizes above which a request or reply is recorded.
	notes                    int
	largeRequest, largeReply int

	hot               *hotkeys.Sketch
	requests, replies hotkeys.Largest
	// taken is the number of samples since fitted.
	taken           int64
	fitted, noticed int64
}

// set turns sampling on or off.
func (k *keySampler) set(m Measures) {
	k.left, k.every, k.notes = math.MaxInt64, 1, 0
	k.largeRequest, k.largeReply = math.MaxInt, math.MaxInt
	if m.HotKeys {
		k.left = 0
		k.largeRequest, k.largeReply = k.requests.Least(), k.replies.Least()
	}
	if m.SlowKeys && m.SlowLog {
		k.notes = math.MaxInt
	}
}

// sampleIfDue samples the request of m, if a sample is due.
func (k *keySampler) sampleIfDue(p *ServerPool, req *msg.Request, m *msg.Msg) {
	if k.left--; k.left < 0 || k.notes > 0 || req.View.Len() > k.largeRequest {
		k.sampleDue(p, req, m)
	}
}

// sampleDue takes the samples of the request of m whose turn it is.
func (k *keySampler) sampleDue(p *ServerPool, req *msg.Request, m *msg.Msg) {
	if k.left < 0 {
		k.sample(p, req)
	}
	if k.notes > 0 {
		k.note(p, req, m)
	}
	if n := req.View.Len(); n > k.largeRequest && req.Nkeys == 1 {
		key := p.keyOf(req, 0)
		k.requests.Add(n, uint16(m.Type), key, len(key), p.ctx.loop.Now())
		k.largeRequest = k.requests.Least()
	}
}

// sample counts one of the request's keys, on behalf of all requests since the last
// sample.
func (k *keySampler) sample(p *ServerPool, req *msg.Request) {
	now := p.ctx.loop.Now()
	k.left = k.every - 1
	k.taken++
	if elapsed := now - k.fitted; elapsed >= samplePeriod || k.taken >= maxSamples {
		perSecond := float64(k.taken*k.every) / (float64(max(elapsed, 1)) / float64(time.Second))
		k.every = min(max(int64(perSecond)/samplesPerSecond, 1), maxEvery)
		k.taken, k.fitted = 0, now
	}
	if req.Nkeys == 0 {
		return
	}
	if k.hot == nil {
		k.hot = hotkeys.NewSketch(now)
	}
	i := 0
	if req.Nkeys > 1 {
		i = int(p.ctx.rnd.Uint64() % uint64(req.Nkeys))
	}
	k.hot.Add(p.keyOf(req, i), uint64(k.every)*uint64(req.Nkeys), now)
}

// note gives m a note of the request's key. If there are several keys it is a random
// one, so that each may be found. If the slow log shows keys, it is the first.
func (k *keySampler) note(p *ServerPool, req *msg.Request, m *msg.Msg) {
	k.notes--
	if req.Nkeys == 0 {
		return
	}
	i, ms := 0, &p.ctx.measures
	if wantsFirst := ms.SlowKeys && ms.SlowLog; req.Nkeys > 1 && !wantsFirst {
		i = int(p.ctx.rnd.Uint64() % uint64(min(req.Nkeys, maxNoted)))
	}
	p.ctx.msgs.Take(m, p.keyOf(req, i), i, req.Nkeys)
}

// keyOf is the request's i-th key. It is valid until the next call.
func (p *ServerPool) keyOf(req *msg.Request, i int) []byte {
	s := req.Key(i)
	var key []byte
	key, p.ctx.measures.sampled = req.View.Bytes(int(s.Off), int(s.Len), p.ctx.measures.sampled)
	return key
}

// sawLarge records a large reply to m. If its key is unknown, the next requests get
// notes.
func (k *keySampler) sawLarge(p *ServerPool, m *msg.Msg, r msg.Reply) {
	now := p.ctx.loop.Now()
	whole := m
	if m.Parent != nil {
		whole = m.Parent
	}
	if whole.Note() == nil {
		if now-k.noticed >= notePause {
			k.noticed = now
			k.notes = max(k.notes, noteBurst)
		}
		return
	}
	text, n := whole.Note().Key()
	size := r.Len()
	if whole.Note().Keys() > 1 {
		size = sizeOfNoted(p.proto.Protocol, whole, m, r)
	}
	if size > k.largeReply {
		k.replies.Add(size, uint16(m.Type), text, n, now)
		k.largeReply = k.replies.Least()
	}
}

// sizeOfNoted is how many bytes of a reply are about the noted key. The reply is to a
// request of several keys, or to its fragment m. It is 0 if that is not known.
func sizeOfNoted(proto Protocol, whole, m *msg.Msg, r msg.Reply) int {
	text, n := whole.Note().Key()
	i := whole.Note().Index()
	if m != whole {
		if len(whole.Seq) != whole.Note().Keys() || len(whole.Seq) > maxNoted {
			return 0
		}
		at := whole.Seq[i]
		if int(at) >= len(whole.Frags) || whole.Frags[at] != m {
			return 0 // the key is another server's
		}
		before := 0
		for _, to := range whole.Seq[:i] {
			if to == at {
				before++
			}
		}
		i = before
	}
	return proto.SizeOfKey(m.Type, r, i, text[:min(len(text), n)])
}

// Keys are the hot keys of a pool, and its largest requests and replies, as seen by one
// loop.
type Keys struct {
	Hot               []hotkeys.Key
	Requests, Replies []hotkeys.Large
}

// HotKeys returns what the loop knows of the keys of t's pool: the n hottest, and the
// largest requests and replies. It must run on the loop.
func (ctx *Context) HotKeys(t *topology.Topology, n int) Keys {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return Keys{}
	}
	now, k := ctx.loop.Now(), &p.keys
	keys := Keys{Requests: k.requests.Top(now), Replies: k.replies.Top(now)}
	if k.hot != nil {
		keys.Hot = k.hot.Top(n, now)
	}
	return keys
}
