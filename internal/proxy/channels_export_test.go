package proxy

// Listening is how many seats and channels the shared connections have.
func Listening(ctx *Context) (seats, channels int) {
	for _, p := range ctx.pools {
		for _, s := range p.servers {
			for _, sf := range s.shared {
				seats += len(sf.seats)
				for _, all := range sf.channels {
					channels += len(all)
				}
			}
		}
	}
	return seats, channels
}

// Beside is what a loop counts as held beside chunks, messages and private connections.
func Beside(ctx *Context) int64 {
	n := ctx.memory.beside
	for _, p := range ctx.pools {
		for _, s := range p.servers {
			n -= privateSize * int64(len(s.store.all))
		}
	}
	return n
}
