package cluster

import (
	"context"

	"nuthatch/internal/config"
)

// Answers reports whether the node at that address tells who is in its cluster. One that is stopped,
// or loads its data, does not.
func (w *Watcher) Answers(ctx context.Context, addr config.Address) bool {
	_, err := w.ask(ctx, addr, w.Status().Map.hosts())
	return err == nil
}
