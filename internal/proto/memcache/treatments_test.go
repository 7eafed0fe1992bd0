package memcache

import (
	"testing"

	"nuthatch/internal/msg"
)

// What becomes of a command asks for nothing that the protocol does not have: it has no
// question for servers, about clients or the process, and no server of its choice.
func TestTreatments(t *testing.T) {
	for i := range commands {
		switch c := &commands[i]; c.treatment {
		case msg.Forward, msg.Fragment, msg.Broadcast, msg.Local, msg.Quit:
		case msg.Watch, msg.Block, msg.Subscribe, msg.Publish, msg.Track, msg.Monitor, msg.Confirm, msg.One, msg.Learn, msg.Gather, msg.Report, msg.Ignore:
			t.Errorf("%s: treatment %d", c.name, c.treatment)
		}
	}
}
