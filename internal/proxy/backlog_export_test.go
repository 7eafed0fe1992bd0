package proxy

// BacklogPlaces is how many places the backlogs of shared connections have.
func BacklogPlaces(ctx *Context) (places int) {
	for _, p := range ctx.pools {
		for _, s := range p.servers {
			for _, sf := range s.shared {
				places = max(places, cap(sf.all))
			}
		}
	}
	return places
}

// KeptBacklog is how many places an empty backlog keeps.
const KeptBacklog = keptBacklog
