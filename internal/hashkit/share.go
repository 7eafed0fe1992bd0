package hashkit

// Shares returns, for each server, the part of the values that h can take that
// it owns: the part of the keys, if h spreads them evenly. The parts sum up to 1,
// or to 0 if no server is live. Slots that no server has are missing.
func (c *Continuum) Shares(h Hash) []float64 {
	shares := make([]float64, c.servers)
	if len(c.points) == 0 {
		return shares
	}
	if c.servers == 1 {
		shares[0] = 1 // its keys are not hashed
		return shares
	}
	if c.distribution == Slots {
		return c.slotShares()
	}
	values := uint64(1) << h.Bits()
	if c.distribution == Random {
		values = 1 << 32 // a number, and no hash
	}
	r := c.runs()
	whole, rest := values/r.period, values%r.period
	begin := uint64(0)
	for _, run := range r.list {
		owned := whole * (run.end - begin)
		if rest > begin {
			owned += min(rest, run.end) - begin
		}
		shares[run.server] += float64(owned) / float64(values)
		begin = run.end
	}
	return shares
}
