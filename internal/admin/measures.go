package admin

import (
	"time"

	"nuthatch/internal/hotkeys"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// PoolLatency is how long the requests of a pool took, since the start, in all
// loops. It belongs to whoever asked for it.
type PoolLatency struct {
	Name string
	// Commands are the times for clients, by command, in the order of the
	// protocol's table. Unused ones are left out.
	Commands []CommandLatency
	// Servers are the times at the servers, in the configuration's order.
	Servers []ServerLatency
}

// CommandLatency is how many requests with a command clients sent, and how long those
// took that were measured: from when a request was taken until its reply went out. Failures has
// those that the proxy answered with an error of its own, and Histogram all others.
type CommandLatency struct {
	msg.Command
	Calls int64
	latency.Histogram
	Failures latency.Histogram
}

// ServerLatency is how long a server took, by family: from when a request was sent
// until its reply came.
type ServerLatency struct {
	Name     string
	Families [msg.NumFamilies]latency.Histogram
}

// Families are the times for clients of what did not fail, by family.
func (p *PoolLatency) Families() *[msg.NumFamilies]latency.Histogram {
	return p.byFamily(func(c *CommandLatency) *latency.Histogram { return &c.Histogram })
}

// Failures are those of what the proxy answered with an error of its own, by family.
func (p *PoolLatency) Failures() *[msg.NumFamilies]latency.Histogram {
	return p.byFamily(func(c *CommandLatency) *latency.Histogram { return &c.Failures })
}

// byFamily adds up times of the commands of each family.
func (p *PoolLatency) byFamily(times func(*CommandLatency) *latency.Histogram) *[msg.NumFamilies]latency.Histogram {
	var f [msg.NumFamilies]latency.Histogram
	for i := range p.Commands {
		c := &p.Commands[i]
		f[c.Family].Merge(times(c))
	}
	return &f
}

// Calls are how many requests clients sent, by command.
func (p *PoolLatency) Calls() map[string]int64 {
	calls := make(map[string]int64, len(p.Commands))
	for i := range p.Commands {
		calls[p.Commands[i].Name] += p.Commands[i].Calls
	}
	return calls
}

// PoolKeys are the most requested keys of a pool, and the largest requests and
// replies of the last hour.
type PoolKeys struct {
	Name              string
	Hot               []hotkeys.Key
	Requests, Replies []Large
}

// Large is a large request or reply: of which key and command, how many bytes, and
// when.
type Large struct {
	Key     string // its beginning
	KeyLen  int
	Size    int
	Command string
	At      time.Time
}
