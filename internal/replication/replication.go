// Package replication asks primaries and replicas how they are, and judges whether a replica
// may be read from. It runs outside the event loops.
//
//	INFO of the replica ─┐
//	                     ├─► Judge ─► topology.Standing
//	INFO of its primary ─┘
//
// The replica is asked first, so that its lag is rather told too great than too small.
package replication

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/config"
	"nuthatch/internal/redisclient"
	"nuthatch/internal/topology"
)

// maxZone is how much of a zone's name is taken note of.
const maxZone = 64

// A Client asks one server.
type Client struct{ *redis.Client }

// NewClient makes a client. Nothing is connected yet.
func NewClient(o redisclient.Options) *Client { return &Client{redisclient.New(o)} }

// A Report is what a server says of itself.
type Report struct {
	// Primary: it is one.
	Primary bool
	// Loading: it loads its data. Linked: it has a connection to its primary.
	Loading, Linked bool
	// ID is that of the data set that it has. Offset is how much of it.
	ID     string
	Offset int64
	// Silence is how long it has heard nothing of its primary.
	Silence time.Duration
	// Zone is where it is; empty: it does not say.
	Zone string
}

// Ask asks the server. An error means that it did not answer, or refused.
func (c *Client) Ask(ctx context.Context) (*Report, error) {
	q := c.Pipeline()
	var sections []*redis.StringCmd
	for _, name := range []string{"replication", "persistence", "server"} {
		sections = append(sections, q.Info(ctx, name))
	}
	if err := redisclient.Ask(ctx, q); err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, s := range sections {
		if err := s.Err(); err != nil {
			return nil, err
		}
		text.WriteString(s.Val())
		text.WriteString("\r\n")
	}
	return Parse(text.String()), nil
}

// Parse reads sections of INFO.
func Parse(text string) *Report {
	r := new(Report)
	var primaryOffset, replicaOffset int64
	for line := range strings.SplitSeq(text, "\n") {
		name, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "role":
			r.Primary = v == "master"
		case "loading":
			r.Loading = v != "0"
		case "master_link_status":
			r.Linked = v == "up"
		case "master_replid":
			r.ID = v
		case "master_repl_offset":
			primaryOffset = number(v)
		case "slave_repl_offset":
			replicaOffset = number(v)
		case "master_last_io_seconds_ago", "master_link_down_since_seconds": // the first is -1 without a link
			r.Silence = max(r.Silence, time.Duration(number(v))*time.Second)
		case "availability_zone":
			r.Zone = v[:min(len(v), maxZone)]
		}
	}
	r.Offset = replicaOffset
	if r.Primary {
		r.Offset = primaryOffset
	}
	return r
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Judge says whether a replica may be read from; replica is nil if it did not answer, and so
// is primary. If the primary does not answer, its replicas have no link, and are the best
// that there is, until they are silent.
func Judge(limits *config.Reads, replica, primary *Report) topology.Standing {
	s := topology.Standing{Replica: true, Lag: -1}
	if replica == nil {
		s.Why = topology.NoAnswer
		return s
	}
	s.Zone, s.Silence = replica.Zone, replica.Silence
	same := primary != nil && primary.ID == replica.ID
	if same && !replica.Primary {
		s.Lag = max(0, primary.Offset-replica.Offset)
	}
	switch {
	case replica.Loading:
		s.Why = topology.Loads
	case replica.Primary:
		s.Replica, s.Why = false, topology.NoReplica
	case !replica.Linked && primary != nil:
		s.Why = topology.NoLink
	case limits.MaxSilence > 0 && replica.Silence >= limits.MaxSilence:
		s.Why = topology.Silent
	case primary != nil && primary.Primary && !same:
		s.Why = topology.OfAnother
	case limits.MaxLag > 0 && s.Lag > limits.MaxLag:
		s.Why = topology.Lags
	}
	return s
}
