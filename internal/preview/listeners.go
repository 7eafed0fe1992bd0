package preview

import (
	"fmt"

	"nuthatch/internal/config"
)

// appendListeners warns of a change after which each client that listens to channels wants
// connections of its own.
func appendListeners(all []Warning, old, changed *config.Pool) []Warning {
	if old.PubSub.Connections != config.ConnectionsShared || changed.PubSub.Connections == config.ConnectionsShared {
		return all
	}
	return append(all, Warning{
		What: fmt.Sprintf("pubsub.connections changes from shared to own: each client that listens takes a private connection "+
			"to each server of its channels, which has at most %d", changed.PrivateConnections),
		Instead: "raise private_connections if more clients listen; those that find none stay on shared connections",
	})
}
