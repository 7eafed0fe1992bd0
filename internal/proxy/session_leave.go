package proxy

import "nuthatch/internal/msg"

// A client may listen to very many channels. On a shared feed each of them is left by
// itself, since others may listen to it too. If that is too much for one turn, the next
// ones go on:
//
//	client closes ─► its channels, a slice in each turn ─► UNSUBSCRIBE of those that nobody listens to
//
// The client has gone meanwhile: it is told nothing of what comes.

// perChannel is how many keys a channel counts for that is begun, left or moved.
const perChannel = 16

// countChannels counts channels that were begun, left or moved in this turn.
func (t *turn) countChannels(n int) { t.count(Amount{Keys: perChannel * n}) }

// roomForChannels is how many more may be in this turn.
func (t *turn) roomForChannels() int {
	if !t.hasBudget() {
		return 0
	}
	return max(1, t.left().Keys/perChannel)
}

// A channelNames is the channels, by kind, that a client leaves when it ends.
type channelNames [msg.NumChannels][]string

// channelsOf are all channels that the client listens to.
func channelsOf(s *subscriber) *channelNames {
	all := new(channelNames)
	for kind, some := range s.listens {
		if some.size() == 0 {
			continue
		}
		all[kind] = make([]string, 0, some.size())
		for name := range some.all() {
			all[kind] = append(all[kind], name)
		}
	}
	return all
}

// quit ends the client's part of a shared feed. from are the channels that it may be a
// member of.
func (f *feed) quit(from *channelNames) {
	sf := f.shared
	f.asked = nil
	if !sf.remove(f) {
		return
	}
	j := &quitting{of: f, from: *from}
	if ctx := sf.server.pool.ctx; !j.step(ctx) {
		ctx.turn.later(j)
	}
}

// A quitting has a feed that has gone leave channels, in slices.
type quitting struct {
	of   *feed
	from channelNames
}

// step implements job.
func (j *quitting) step(ctx *Context) (done bool) {
	sf := j.of.shared
	for kind := range j.from {
		for all := &j.from[kind]; len(*all) > 0 && !sf.over; {
			n := min(len(*all), ctx.turn.roomForChannels())
			if n == 0 {
				sf.settle() // after the last client the connection is closed
				return false
			}
			sf.leave(j.of, msg.Channels(kind), (*all)[:n])
			*all = (*all)[n:]
		}
	}
	sf.settle()
	return true
}

// unjoin ends what a failed move of s has begun.
func (mv *move) unjoin(s *subscriber) {
	for kind := range s.listens {
		for _, ch := range mv.channels {
			at, _ := s.listens[ch.kind].at(ch.name)
			if int(ch.kind) != kind || at.feed == nil {
				continue
			}
			for _, f := range fedBy(s, ch.to) {
				if f != at.feed {
					f.names = append(f.names, ch.name)
				}
			}
		}
		for _, f := range s.feeds {
			names := f.names
			f.names = nil
			if len(names) > 0 && f.shared != nil {
				f.shared.leave(f, msg.Channels(kind), names)
			}
		}
	}
}

// fedBy are the client's feeds that have the messages of a channel whose feed is f; nil:
// all have. The result is valid until the next call.
func fedBy(s *subscriber, f *feed) []*feed {
	if f == nil {
		return s.feeds
	}
	s.one[0] = f
	return s.one[:]
}
