package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/socket"
)

// resolveListens bounds the look-ups of names to listen at.
const resolveListens = 5 * time.Second

// CheckListens looks up the names that the configuration listens at, as a start
// does. The error tells those that have no address.
func CheckListens(ctx context.Context, conf *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, resolveListens)
	defer cancel()
	check := func(what string, a config.Address) error {
		if a.Network != config.NetworkTCP {
			return nil
		}
		if _, err := socket.Resolve(ctx, a.Host, a.Port); err != nil {
			return fmt.Errorf("%s: listen on '%s': %w", what, a, err)
		}
		return nil
	}
	faults := []error{check("admin listener", conf.Process.Admin)}
	for i := range conf.Pools {
		faults = append(faults, check("pool '"+conf.Pools[i].Name+"'", conf.Pools[i].Listen))
	}
	return errors.Join(faults...)
}
