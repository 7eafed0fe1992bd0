package hashkit

// IsLike reports whether both continua give every value to the same server. same
// says whether the i-th server of c is the j-th of other.
func (c *Continuum) IsLike(other *Continuum, same func(i, j int) bool) bool {
	if c.distribution != other.distribution || c.live != other.live || c.modulo != other.modulo || len(c.points) != len(other.points) {
		return false
	}
	if (c.servers == 1) != (other.servers == 1) { // one server has no need of a hash
		return false
	}
	if c.servers == 1 && c.live == 1 {
		return same(0, 0)
	}
	if c.distribution == Slots {
		return c.isLikeSlots(other, same)
	}
	lastI, lastJ := uint32(0), uint32(0)
	known := false
	for n, p := range c.points {
		q := other.points[n]
		if p.value != q.value {
			return false
		}
		if known && p.server == lastI && q.server == lastJ {
			continue
		}
		if !same(int(p.server), int(q.server)) {
			return false
		}
		lastI, lastJ, known = p.server, q.server, true
	}
	return true
}
