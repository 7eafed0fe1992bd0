package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestClusterShardChannelsOfSeveralSlots: a node refuses a request about shard channels of several
// slots. A client may ask for them together, is subscribed again when its connection is lost, and
// when a slot moves, and leaves nothing behind where it has left.
func TestClusterShardChannelsOfSeveralSlots(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, clusterDown)
	node, other := cluster.Nodes[0], cluster.Nodes[1]
	channels := make([]string, 0, 4)
	for i := 0; len(channels) < cap(channels); i++ {
		if name := fmt.Sprintf("ch%d", i); cluster.Owner(node, cluster.Slot(name)) == node {
			channels = append(channels, name)
		}
	}
	for _, connections := range []string{"own", "shared"} {
		t.Run(connections, func(t *testing.T) {
			pool := cluster.Pool()
			pool.Lines = append(pool.Lines, "pubsub: {on_loss: resubscribe, connections: "+connections+"}")
			proxy := testkit.StartNuthatch(t, pool.String())
			listener, publisher := proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)
			t.Cleanup(listener.Close)
			t.Cleanup(publisher.Close)
			var all []byte
			for _, name := range channels {
				all = append(all, testkit.RESP("SSUBSCRIBE", name)...)
			}
			listener.Send(all)
			for i, name := range channels {
				want := fmt.Sprintf("*3\r\n$10\r\nssubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(name), name, i+1)
				if got := listener.Reply(); got != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
			hear := func(when string, names ...string) {
				t.Helper()
				for _, name := range names {
					testkit.Await(t, when+" a message of "+name, func() error {
						if got := publisher.Do("SPUBLISH", name, "x"); got != ":1\r\n" {
							return fmt.Errorf("it went to %q", got)
						}
						return nil
					})
					if got := listener.Reply(); !strings.Contains(got, "\r\n"+name+"\r\n") {
						t.Fatalf("%s: %q, want a message of %s", when, got, name)
					}
				}
			}
			hear("at first", channels...)
			c := node.Dial()
			defer c.Close()
			if got := c.Do("CLIENT", "KILL", "TYPE", "pubsub"); got != ":1\r\n" {
				t.Fatalf("%q", got)
			}
			hear("after the loss", channels...)
			listener.Send(testkit.RESP("SUNSUBSCRIBE", channels[0], channels[1]))
			for i := range 2 {
				if got := listener.Reply(); !strings.HasSuffix(got, fmt.Sprintf(":%d\r\n", 3-i)) {
					t.Fatalf("%q", got)
				}
			}
			testkit.Await(t, "the node to know what was left", func() error {
				if got := c.Do("PUBSUB", "SHARDCHANNELS"); strings.Contains(got, channels[0]) || strings.Contains(got, channels[1]) {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			slot := cluster.Slot(channels[2])
			cluster.Move(slot, node, other)
			defer cluster.Move(slot, other, node)
			hear("after the move", channels[2:]...)
		})
	}
}
