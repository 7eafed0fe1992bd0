package testkit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AwaitAgreed waits until all living nodes say the same of the slots and the config epochs of
// all nodes, no two primaries have the same epoch, and nothing older is on its way between
// them. Before that nothing may be moved:
//   - Of two nodes whose epochs rise to the same number, one raises it again, and may so get
//     slots back that it has given away.
//   - Nodes talk over two connections. A message of a slot's old owner that comes late may give
//     it the slot back at a third node, which then has the new owner give it up: when the old
//     owner's epoch has risen meanwhile, nobody has it (clusterUpdateSlotsConfigWith and
//     clusterSendUpdate in cluster.c of Redis 7.0.15).
func (c *Cluster) AwaitAgreed() {
	c.t.Helper()
	Await(c.t, "the nodes to agree", func() error {
		if err := c.agreed(); err != nil {
			return err
		}
		if err := c.settle(); err != nil {
			return err
		}
		return c.agreed()
	})
}

// agreed is nil if the nodes say the same of each other.
func (c *Cluster) agreed() error {
	c.t.Helper()
	living := c.living()
	first := c.View(living[0])
	epochs := map[int]string{}
	for id, line := range first {
		if other, taken := epochs[line.Epoch]; taken && line.Has("master") {
			return fmt.Errorf("%s and %s have the epoch %d", other, id, line.Epoch)
		}
		if line.Has("master") {
			epochs[line.Epoch] = id
		}
	}
	for _, s := range living[1:] {
		for id, line := range c.View(s) {
			if is := first[id]; line.Epoch != is.Epoch || line.Has("master") != is.Has("master") || !sameSlots(line, is) {
				return fmt.Errorf("%s says %+v, and %s says %+v", s.Name(), line, living[0].Name(), is)
			}
		}
	}
	return nil
}

// sameSlots reports whether both have the same slots. What is on its way does not count:
// only the node itself tells it.
func sameSlots(a, b NodeLine) bool {
	settled := func(l NodeLine) []string {
		return slices.DeleteFunc(slices.Clone(l.Slots), func(run string) bool { return strings.HasPrefix(run, "[") })
	}
	return slices.Equal(settled(a), settled(b))
}

// settle returns when every living node has read what the others had sent it: what each
// publishes has come to all, behind the rest. Twice, since a node's answers go over the other
// node's connection, which is read in the same turn at the latest.
func (c *Cluster) settle() error {
	c.t.Helper()
	const channel, patience = "nodes:settle", time.Second
	living := c.living()
	subscribers := make([]*Client, len(living))
	for i, s := range living {
		subscribers[i] = s.Dial()
		subscribers[i].Do("SUBSCRIBE", channel)
	}
	defer func() {
		for _, subscriber := range subscribers {
			subscriber.Close()
		}
	}()
	for range 2 {
		for _, s := range living {
			c.do(s, "PUBLISH", channel, s.Name())
		}
		for i, subscriber := range subscribers {
			if err := subscriber.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return fmt.Errorf("testkit: %w", err)
			}
			for range living {
				if got, err := subscriber.protocol.ReadReply(subscriber.in); err != nil {
					return fmt.Errorf("%s has not heard of all others: %q, %w", living[i].Name(), got, err)
				}
			}
		}
	}
	return nil
}

// Gets is how often a node has carried out GET since it was started.
func (c *Cluster) Gets(s *Server) (calls int) {
	c.t.Helper()
	_, after, _ := strings.Cut(c.do(s, "INFO", "commandstats"), "cmdstat_get:calls=")
	_, _ = fmt.Sscanf(after, "%d,", &calls)
	return calls
}

// AwaitReadAtReplicas waits until every node that is a replica has carried out one more GET.
func (c *Cluster) AwaitReadAtReplicas() {
	c.t.Helper()
	for _, s := range c.living() {
		if !c.View(s)[c.ID(s)].Has("slave") {
			continue
		}
		before := c.Gets(s)
		Await(c.t, s.Name()+" to be read from", func() error {
			if c.Gets(s) == before && c.View(s)[c.ID(s)].Has("slave") {
				return errors.New("it is not")
			}
			return nil
		})
	}
}
