package proxy

import "nuthatch/internal/msg"

// A roster is the channels of a shared feed to which clients listen, and their memory.
type roster struct {
	memory *memory
	// channels are there by kind and by the server's names.
	channels [msg.NumChannels]map[string]*sharedChannel
	// counted is how many bytes are counted for them in memory.beside. closed: nothing is
	// counted any more.
	counted int64
	closed  bool
}

// enter adds a channel.
func (r *roster) enter(ch *sharedChannel) {
	if r.channels[ch.kind] == nil {
		r.channels[ch.kind] = make(map[string]*sharedChannel)
	}
	r.channels[ch.kind][ch.name] = ch
	r.count(ch, 1)
}

// forget takes out a channel.
func (r *roster) forget(ch *sharedChannel) {
	delete(r.channels[ch.kind], ch.name)
	r.count(ch, -1)
}

// holds reports whether there is a channel: the server may still send messages.
func (r *roster) holds() bool {
	for _, all := range r.channels {
		if len(all) > 0 {
			return true
		}
	}
	return false
}

// nameOf is a channel's name, as one string for all that listen to it.
func (r *roster) nameOf(kind msg.Channels, name string) string {
	if ch := r.channels[kind][name]; ch != nil {
		return ch.name
	}
	return name
}

// count counts the memory of a channel that comes, or with -1 goes.
func (r *roster) count(ch *sharedChannel, n int64) {
	if r.closed {
		return
	}
	bytes := n * int64(sharedChannelSize+len(ch.name))
	r.counted += bytes
	r.memory.beside += bytes
}

// close subtracts what is counted, at once, however many channels there are.
func (r *roster) close() {
	r.memory.beside -= r.counted
	r.counted, r.closed = 0, true
}
